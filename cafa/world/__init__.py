"""The rendered world: small clips whose events are seen and heard at known times."""
