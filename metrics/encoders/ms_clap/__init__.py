"""Microsoft's CLAP of 2023: network, tokenizer, checkpoint."""
