"""Training and checking the judges of the miniature."""
