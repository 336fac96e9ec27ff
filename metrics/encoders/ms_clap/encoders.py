"""Microsoft's CLAP of 2023 as a judge: does the sound fit the caption (MS_CLAP)?

The networks are transformers' HTSAT (that of `ClapModel`, "tiny") and GPT-2 with the weights of
``CLAP_weights_2023.pth``; the log-mel comes from the checkpoint's own tables. Those tables were made for 32 kHz, but
the published code gives them sound at 44.1 kHz, and so does this one.

Sound: 44.1 kHz, exactly 7 s. Shorter sound is repeated and cut. **Longer sound is cut to its first 7 s**, and
**channels are averaged**: the published code takes a random 7 s, and puts the channels of a file one after the other,
so the same file would get another score at every run. DC stays. Embeddings (1024 values) are normalised here, which
their cosine does not see.

Source: Elizalde et al., "Natural language supervision for general-purpose audio representations" (ICASSP 2024).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cafa.models.weights import Checkpoint, WeightSource, load_checkpoint, load_strict
from metrics.encoders.audio import prepare_waveform, stack_mono
from metrics.encoders.clap.tokenizer import UNRELATED, check_not_collapsed
from metrics.encoders.ms_clap.checkpoint import to_transformers
from metrics.encoders.ms_clap.tokenizer import PADDING, check_tokenizer, load_tokenizer, tokenise
from metrics.encoders.spectral import TableLogMel, log_mel_tables

if TYPE_CHECKING:
    from transformers import ClapAudioConfig, GPT2Config, GPT2Tokenizer

SAMPLE_RATE = 44100
CLIP_SAMPLES = 7 * SAMPLE_RATE
WIDTH = 1024
_WINDOW, _HOP, _BINS = 1024, 320, 64
#: Rate that the mel filters were made for.
_TABLE_RATE = 32000


def htsat_config(**sizes: Any) -> "ClapAudioConfig":
    """Sizes of the published audio tower; ``sizes`` replace single entries (for tests)."""
    from transformers import ClapAudioConfig

    published: dict[str, Any] = {
        "patch_embeds_hidden_size": 96,
        "hidden_size": 768,
        "depths": [2, 2, 6, 2],
        "num_attention_heads": [4, 8, 16, 32],
        "num_mel_bins": _BINS,
    }
    return ClapAudioConfig(**{**published, **sizes})


def gpt2_config(**sizes: Any) -> "GPT2Config":
    """GPT-2's sizes; ``sizes`` replace single entries (for tests)."""
    from transformers import GPT2Config

    return GPT2Config(**sizes)


def front_end_tables() -> dict[str, Tensor]:
    """The constant tables of the checkpoint, by their published names."""
    tables = log_mel_tables(_TABLE_RATE, _WINDOW, _BINS, 50.0, 14000.0)
    return {f"audio_encoder.base.htsat.{name}": table for name, table in tables.items()}


def fit_length(waveforms: Tensor) -> Tensor:
    """Exactly 7 s at 44.1 kHz of ``(clips, samples)``: repeated and cut."""
    times = -(-CLIP_SAMPLES // waveforms.shape[-1])
    return waveforms.repeat(1, times)[..., :CLIP_SAMPLES]


class _Projection(nn.Module):
    """Two linear layers, the second beside a shortcut, then LayerNorm."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear1 = nn.Linear(inputs, outputs, bias=False)
        self.linear2 = nn.Linear(outputs, outputs, bias=False)
        self.layer_norm = nn.LayerNorm(outputs)

    def forward(self, features: Tensor) -> Tensor:
        first = self.linear1(features)
        return self.layer_norm(first + self.linear2(functional.gelu(first)))


class MsClapNetwork(nn.Module):
    """Front end and both towers."""

    def __init__(self, audio: "ClapAudioConfig", text: "GPT2Config", width: int = WIDTH):
        super().__init__()
        from transformers import ClapAudioModel, GPT2Model

        self.log_mel = TableLogMel(_WINDOW, _HOP, _BINS)
        self.audio = ClapAudioModel(audio)
        self.audio_projection = _Projection(audio.hidden_size, width)
        self.text = GPT2Model(text)
        self.text_projection = _Projection(text.hidden_size, width)

    @classmethod
    def from_tensors(
        cls,
        tensors: Mapping[str, Tensor],
        *,
        device: torch.device | str = "cpu",
        audio: "ClapAudioConfig | None" = None,
        text: "GPT2Config | None" = None,
        width: int = WIDTH,
    ) -> "MsClapNetwork":
        """Build from the published state dict, strictly (see `metrics.encoders.ms_clap.checkpoint`)."""
        with torch.device("meta"):
            network = cls(audio or htsat_config(), text or gpt2_config(), width)
        load_strict(network, to_transformers(tensors), device=device)
        return network

    def embed_audio(self, waveforms: Tensor) -> Tensor:
        """Embeddings ``(clips, 1024)`` of mono sound ``(clips, samples)`` at 44.1 kHz, not normalised."""
        mel = self.log_mel(fit_length(waveforms))[:, None]
        return self.audio_projection(self.audio(input_features=mel).pooler_output)

    def embed_text(self, ids: Tensor) -> Tensor:
        """Embeddings ``(captions, 1024)`` of token ids ``(captions, tokens)``, not normalised."""
        words = ids != PADDING
        hidden = self.text(input_ids=ids).last_hidden_state
        last = words.sum(-1) - 1
        return self.text_projection(hidden[torch.arange(len(ids), device=ids.device), last])


def load_ms_clap(path: Path, source: WeightSource, *, unverified: bool = False) -> Checkpoint:
    """Read the published checkpoint (state dict under ``model``)."""
    return load_checkpoint(path, source, key="model", unverified=unverified)


class MsClapAudioEncoder:
    """Sound at 44.1 kHz to embeddings of norm 1."""

    name = "ms_clap_audio"
    sample_rate = SAMPLE_RATE
    frame_rate = None

    def __init__(self, network: MsClapNetwork, weights_sha256: str):
        self.network = network
        self.weights_sha256 = weights_sha256

    def prepare(self, samples: np.ndarray, rate: int, seconds: float | None) -> np.ndarray:
        """Channel mean, resampled, cut to ``seconds``; DC stays."""
        return prepare_waveform(samples, rate, self.sample_rate, seconds=seconds)

    @torch.inference_mode()
    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings ``(clips, 1024)`` of clips of one length; only the first 7 s are heard."""
        waveforms = stack_mono(batch, 1).to(self.network.text.device)
        return functional.normalize(self.network.embed_audio(waveforms), dim=-1).cpu().numpy()


class MsClapTextEncoder:
    """Captions to embeddings of norm 1, in the space of `MsClapAudioEncoder`.

    Parameters
    ----------
    network
        Shared with the audio encoder.
    tokenizer
        Of gpt2; refused if known sentences do not get their known ids.
    weights_sha256
        SHA-256 of the weights file.

    Raises
    ------
    WeightsError
        If the tokenizer is not gpt2's, or unrelated captions get nearly the same embedding.
    """

    name = "ms_clap_text"
    sample_rate = None
    frame_rate = None

    def __init__(self, network: MsClapNetwork, tokenizer: "GPT2Tokenizer", weights_sha256: str):
        check_tokenizer(tokenizer)
        self.network = network
        self.tokenizer = tokenizer
        self.weights_sha256 = weights_sha256
        check_not_collapsed(self.embed(UNRELATED))

    @classmethod
    def from_files(cls, network: MsClapNetwork, vocab: Path, merges: Path, weights_sha256: str) -> "MsClapTextEncoder":
        """Read the tokenizer from ``vocab.json`` and ``merges.txt`` of gpt2."""
        return cls(network, load_tokenizer(vocab, merges), weights_sha256)

    @torch.inference_mode()
    def embed(self, batch: Sequence[str]) -> np.ndarray:
        """Embeddings ``(captions, 1024)``."""
        ids = tokenise(self.tokenizer, batch).to(self.network.text.device)
        return functional.normalize(self.network.embed_text(ids), dim=-1).cpu().numpy()
