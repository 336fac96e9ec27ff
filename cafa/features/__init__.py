"""Frozen encoders whose arrays are cached once per clip."""
