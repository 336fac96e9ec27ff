"""Reading, normalising and writing of video and sound files."""
