"""The judges against published code."""
