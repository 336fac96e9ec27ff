"""The published judges, a file each: PANNs, LAION-CLAP, ImageBind and Synchformer."""
