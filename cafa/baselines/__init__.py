"""Baselines: what other systems' authors publish, and their code, run in environments of its own."""
