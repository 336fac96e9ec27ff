"""The miniature's judges."""
