"""Stable Audio Open: denoiser, backbone, adapter, and the names of its published files."""
