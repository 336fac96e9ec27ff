"""LAION-CLAP as a judge: does the sound fit the caption (CLAP score, Acc)?

The network is transformers' `ClapModel` with the weights of the original checkpoint
``music_speech_audioset_epoch_15_esc_89.98.pt`` (HTSAT-base, no fusion, RoBERTa). The log-mel comes from the
checkpoint's own tables, not from transformers' feature extractor, whose float arithmetic differs by up to
0.1 dB.

Sound: 48 kHz, mono, exactly 10 s. Shorter sound is repeated a whole number of times and filled up with
zeros, as in the original. **Longer sound is cut to its first 10 s**; the original takes a random 10 s, so
the same file would get another score at every run. Samples are not quantised to 16 bits.

Source: Wu et al., "Large-scale contrastive language-audio pretraining" (ICASSP 2023).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cafa.models.weights import Checkpoint, WeightSource, load_checkpoint, load_strict
from metrics.encoders.audio import prepare_waveform, stack_mono
from metrics.encoders.clap.checkpoint import to_transformers
from metrics.encoders.clap.tokenizer import UNRELATED, check_not_collapsed, check_tokenizer, load_tokenizer, tokenise
from metrics.encoders.spectral import TableLogMel, log_mel_tables

if TYPE_CHECKING:
    from transformers import ClapConfig, RobertaTokenizer

SAMPLE_RATE = 48000
CLIP_SAMPLES = 480000
WIDTH = 512
_WINDOW, _HOP, _BINS = 1024, 480, 64


def clap_config(*, text: Mapping[str, int] | None = None, audio: Mapping[str, object] | None = None) -> "ClapConfig":
    """Sizes of the published checkpoint; ``text`` and ``audio`` replace single entries (for tests)."""
    from transformers import ClapConfig

    text_sizes = {"layer_norm_eps": 1e-5, **(text or {})}
    audio_sizes = {
        "patch_embeds_hidden_size": 128,
        "hidden_size": 1024,
        "depths": [2, 2, 12, 2],
        "num_attention_heads": [4, 8, 16, 32],
        "num_mel_bins": _BINS,
        **(audio or {}),
    }
    return ClapConfig(text_config=text_sizes, audio_config=audio_sizes, projection_dim=WIDTH)


def front_end_tables() -> dict[str, Tensor]:
    """The constant tables of the checkpoint, by their published names."""
    tables = log_mel_tables(SAMPLE_RATE, _WINDOW, _BINS, 50.0, 14000.0)
    return {f"audio_branch.{name}": table for name, table in tables.items()}


def repeat_pad(waveforms: Tensor) -> Tensor:
    """Exactly 10 s at 48 kHz of ``(clips, samples)``: repeated whole times, then zeros; longer is cut."""
    samples = waveforms.shape[-1]
    if samples >= CLIP_SAMPLES:
        return waveforms[..., :CLIP_SAMPLES]
    repeated = waveforms.repeat(1, CLIP_SAMPLES // samples)
    return functional.pad(repeated, (0, CLIP_SAMPLES - repeated.shape[-1]))


class ClapNetwork(nn.Module):
    """Front end and both towers."""

    def __init__(self, config: "ClapConfig"):
        super().__init__()
        from transformers import ClapModel

        self.log_mel = TableLogMel(_WINDOW, _HOP, _BINS)
        self.model = ClapModel(config)

    @classmethod
    def from_tensors(
        cls,
        tensors: Mapping[str, Tensor],
        *,
        device: torch.device | str = "cpu",
        config: "ClapConfig | None" = None,
    ) -> "ClapNetwork":
        """Build from a LAION-CLAP state dict, strictly (see `clap_weights`)."""
        with torch.device("meta"):
            network = cls(config or clap_config())
        # Two buffers that transformers adds and no checkpoint of LAION's has: 0, 1, 2... and zeros.
        length = network.model.text_model.embeddings.position_ids.shape[1]
        counters = {
            "model.text_model.embeddings.position_ids": torch.arange(length)[None],
            "model.text_model.embeddings.token_type_ids": torch.zeros(1, length, dtype=torch.long),
        }
        load_strict(network, to_transformers(tensors) | counters, device=device)
        return network

    def embed_audio(self, waveforms: Tensor) -> Tensor:
        """Embeddings ``(clips, 512)`` of norm 1, of mono sound ``(clips, samples)`` at 48 kHz."""
        mel = self.log_mel(repeat_pad(waveforms))[:, None]
        return self.model.get_audio_features(input_features=mel).pooler_output

    def embed_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Embeddings ``(captions, 512)`` of norm 1, of token ids and mask ``(captions, 77)``."""
        return self.model.get_text_features(input_ids=ids, attention_mask=mask).pooler_output


def load_clap(path: Path, source: WeightSource, *, unverified: bool = False) -> Checkpoint:
    """Read the original checkpoint (state dict under ``state_dict``, names under ``module.``)."""
    return load_checkpoint(path, source, key="state_dict", unverified=unverified)


class ClapAudioEncoder:
    """Sound at 48 kHz to embeddings of norm 1."""

    name = "clap_audio"
    sample_rate = SAMPLE_RATE
    frame_rate = None

    def __init__(self, network: ClapNetwork, weights_sha256: str):
        self.network = network
        self.weights_sha256 = weights_sha256

    def prepare(self, samples: np.ndarray, rate: int, seconds: float | None) -> np.ndarray:
        """Channel mean, DC removed from the whole file, resampled, cut to ``seconds``."""
        return prepare_waveform(samples, rate, self.sample_rate, seconds=seconds, remove_mean=True)

    @torch.inference_mode()
    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings ``(clips, 512)`` of clips of one length; only the first 10 s are used."""
        waveforms = stack_mono(batch, _WINDOW)
        return self.network.embed_audio(waveforms.to(self.network.model.device)).cpu().numpy()


class ClapTextEncoder:
    """Captions to embeddings of norm 1, in the space of `ClapAudioEncoder`.

    Parameters
    ----------
    network
        Shared with the audio encoder.
    tokenizer
        Of roberta-base; refused if known sentences do not get their known ids.
    weights_sha256
        SHA-256 of the weights file.

    Raises
    ------
    WeightsError
        If the tokenizer is not roberta-base's, or unrelated captions get nearly the same embedding.
    """

    name = "clap_text"
    sample_rate = None
    frame_rate = None

    def __init__(self, network: ClapNetwork, tokenizer: "RobertaTokenizer", weights_sha256: str):
        check_tokenizer(tokenizer)
        self.network = network
        self.tokenizer = tokenizer
        self.weights_sha256 = weights_sha256
        check_not_collapsed(self.embed(UNRELATED))

    @classmethod
    def from_files(cls, network: ClapNetwork, vocab: Path, merges: Path, weights_sha256: str) -> "ClapTextEncoder":
        """Read the tokenizer from ``vocab.json`` and ``merges.txt`` of roberta-base."""
        return cls(network, load_tokenizer(vocab, merges), weights_sha256)

    @torch.inference_mode()
    def embed(self, batch: Sequence[str]) -> np.ndarray:
        """Embeddings ``(captions, 512)``."""
        ids, mask = (part.to(self.network.model.device) for part in tokenise(self.tokenizer, batch))
        return self.network.embed_text(ids, mask).cpu().numpy()
