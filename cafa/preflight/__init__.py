"""What a run at full size will miss, all at once, before its first job."""
