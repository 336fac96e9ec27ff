"""Text states of a pretrained T5 encoder, as Stable Audio Open and TangoFlux were trained with."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from cafa.models.checkpoint_reader import read_tensors
from cafa.models.encoders.t5_network import T5Encoder, T5Settings, encoder_tensors
from cafa.models.encoders.t5_tokenizer import PAD, SPECIAL, load_tokenizer
from cafa.models.weights import load_strict


class T5Text:
    """Captions to states of fixed length.

    Parameters
    ----------
    encoder : T5Encoder
    tokenizer : tokenizers.Tokenizer
        Made to cut and pad; see :func:`~cafa.models.encoders.t5_tokenizer.load_tokenizer`.
    length : int
        Tokens; captions are padded to it, and longer ones cut with a warning.
    """

    def __init__(self, encoder: T5Encoder, tokenizer: Tokenizer, length: int) -> None:
        self.encoder = encoder.requires_grad_(False).eval()
        tokenizer.enable_truncation(length)  # before the end token, which stays the last one
        tokenizer.enable_padding(length=length, pad_id=PAD, pad_token=SPECIAL[PAD])
        self.tokenizer = tokenizer
        self.length = length

    @classmethod
    def load(cls, encoder: Path, tokenizer: Path, length: int, device: torch.device | str = "cpu") -> "T5Text":
        """From local folders, float32, which is more accurate than the float16 of the published Stable Audio code.

        Raises
        ------
        WeightsError
            If the weights are not those that ``config.json`` describes, or `tokenizer` holds none of such a T5.
        """
        settings = T5Settings.from_file(encoder / "config.json")
        words = load_tokenizer(tokenizer, settings.vocab_size)
        with torch.device("meta"):
            network = T5Encoder(settings)
        file = encoder / "model.safetensors"
        load_strict(network, encoder_tensors(read_tensors(file)), file=file, device=device)
        return cls(network, words, length)

    def encode(self, captions: Sequence[str]) -> Tensor:
        """States (B, length, dim), float32, zero at padded positions.

        Every caption is padded to the same length, so a caption's states do not depend on its batch.
        """
        return self.masked(*self.encode_padded(captions))

    def encode_padded(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """States before padded positions are zeroed, and the mask (B, length) of real tokens."""
        batch = self.tokenizer.encode_batch(list(captions))
        for caption, tokens in zip(captions, batch, strict=True):
            if tokens.overflowing:
                warnings.warn(f"caption cut to {self.length} tokens: {caption!r}", stacklevel=3)
        ids = torch.tensor([tokens.ids for tokens in batch], device=self.encoder.device)
        mask = torch.tensor([tokens.attention_mask for tokens in batch], device=self.encoder.device)
        with torch.inference_mode():
            states = self.encoder(ids, mask)
        return states.float(), mask

    def part_read(self, caption: str) -> str:
        """The beginning of a caption that becomes states: all of it, or up to where it is cut."""
        tokens = self.tokenizer.encode(caption)
        if not tokens.overflowing:
            return caption
        words = zip(tokens.offsets, tokens.special_tokens_mask, strict=True)
        return caption[: max((end for (_, end), special in words if not special), default=0)]

    @staticmethod
    def masked(states: Tensor, mask: Tensor) -> Tensor:
        """States with zeros at padded positions."""
        return states * mask.unsqueeze(-1)
