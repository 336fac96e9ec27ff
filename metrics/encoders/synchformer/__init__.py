"""Synchformer: the networks of sound and of the offset."""
