"""The generator against the published code."""
