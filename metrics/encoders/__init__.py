"""Evaluation models: waveform or frames in, embedding out."""
