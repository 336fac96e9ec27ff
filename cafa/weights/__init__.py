"""Published weights, fetched once, checked, and found by every command."""
