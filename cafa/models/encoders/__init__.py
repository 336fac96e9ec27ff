"""Frozen encoders of sound, text and video."""
