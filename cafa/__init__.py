"""Controllable video-and-text-to-audio (foley) generation: media, features, models, training, generation."""

__version__ = "0.1.0"
