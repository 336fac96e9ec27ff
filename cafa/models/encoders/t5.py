"""Text states of a pretrained T5 encoder, as Stable Audio Open and TangoFlux were trained with."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cafa.models.checkpoint_reader import read_tensors
from cafa.models.encoders.t5_network import T5Encoder, T5Settings, encoder_tensors
from cafa.models.weights import load_strict

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class T5Text:
    """Captions to states of fixed length.

    Parameters
    ----------
    encoder : T5Encoder
    tokenizer : PreTrainedTokenizerBase
    length : int
        Tokens; captions are padded to it, and longer ones cut with a warning.
    """

    def __init__(self, encoder: T5Encoder, tokenizer: "PreTrainedTokenizerBase", length: int) -> None:
        self.encoder = encoder.requires_grad_(False).eval()
        self.tokenizer = tokenizer
        self.length = length

    @classmethod
    def load(cls, encoder: Path, tokenizer: Path, length: int, device: torch.device | str = "cpu") -> "T5Text":
        """From local folders, float32, which is more accurate than the float16 of the published Stable Audio code.

        Raises
        ------
        WeightsError
            If the weights are not those that ``config.json`` describes.
        """
        from transformers import AutoTokenizer

        with torch.device("meta"):
            network = T5Encoder(T5Settings.from_file(encoder / "config.json"))
        file = encoder / "model.safetensors"
        load_strict(network, encoder_tensors(read_tensors(file)), file=file, device=device)
        return cls(network, AutoTokenizer.from_pretrained(tokenizer, local_files_only=True), length)

    def encode(self, captions: Sequence[str]) -> Tensor:
        """States (B, length, dim), float32, zero at padded positions.

        Every caption is padded to the same length, so a caption's states do not depend on its batch.
        """
        return self.masked(*self.encode_padded(captions))

    def encode_padded(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """States before padded positions are zeroed, and the mask (B, length) of real tokens."""
        batch = self.tokenizer(
            list(captions), padding="max_length", max_length=self.length, truncation=True, return_tensors="pt"
        )
        for caption, mask in zip(captions, batch.attention_mask, strict=True):
            if mask.all() and len(self.tokenizer(caption).input_ids) > self.length:
                warnings.warn(f"caption cut to {self.length} tokens: {caption!r}", stacklevel=3)
        device = self.encoder.device
        with torch.inference_mode():
            states = self.encoder(batch.input_ids.to(device), batch.attention_mask.to(device))
        return states.float(), batch.attention_mask.to(device)

    @staticmethod
    def masked(states: Tensor, mask: Tensor) -> Tensor:
        """States with zeros at padded positions."""
        return states * mask.unsqueeze(-1)
