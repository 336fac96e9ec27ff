"""Audiobox-Aesthetics: network, settings, checkpoint."""
