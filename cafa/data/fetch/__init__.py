"""Getting the raw files of clips: a folder that is there, a mirror, the web."""
