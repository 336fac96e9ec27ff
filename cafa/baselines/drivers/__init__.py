"""Drivers: small programs that run in the environment of somebody else's code, and know nothing of this package."""
