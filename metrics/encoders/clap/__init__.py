"""CLAP: network, tokenizer, checkpoint."""
