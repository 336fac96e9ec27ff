"""TangoFlux: denoiser, backbone, adapter."""
