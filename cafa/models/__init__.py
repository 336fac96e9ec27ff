"""Pretrained text-to-audio models behind one interface."""
