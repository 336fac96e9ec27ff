"""The page of examples: videos with the sounds of systems, to play and compare, with scores, events, failures."""
