"""ImageBind: network and encoders."""
