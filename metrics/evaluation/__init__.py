"""The application `cafa evaluate`."""
