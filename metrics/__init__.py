"""Judging generated sound: encoders of the evaluation models, and metrics as functions of arrays."""
