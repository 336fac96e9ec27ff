"""The stage that embeds sets of files."""
