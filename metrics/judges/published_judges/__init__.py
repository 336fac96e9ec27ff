"""The published judges, a file each: PANNs, LAION-CLAP, ImageBind, Synchformer, and those of later papers."""
