"""How the miniature's judges are trained."""
