"""Judging generated sound: encoders of the evaluation models, and metrics as functions of arrays."""

# Read by the guard in `cafa.provenance`: another installed package called `metrics` would lack it.
PROJECT = "cafa"
