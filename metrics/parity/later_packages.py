"""Our answers to what hear21passt, torchvggish, msclap and audiobox-aesthetics were asked, from their files' form."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from cafa.models.weights import WeightSource
from metrics.encoders.audiobox.encoders import AudioboxEncoder
from metrics.encoders.ms_clap.encoders import MsClapAudioEncoder, MsClapNetwork, load_ms_clap
from metrics.encoders.passt import PasstEncoder
from metrics.encoders.vggish import VggishEncoder

PASST, VGGISH = "passt-s-f128-p16-s10-ap.476-swa.pt", "vggish-10086976.pth"
MS_CLAP, AUDIOBOX = "CLAP_weights_2023.pth", "audiobox-aesthetics"
Arrays = Mapping[str, np.ndarray]

#: Largest difference allowed.
LATER_TOLERANCES = {
    "passt.embedding": 1e-4,
    "passt.logits": 1e-4,
    "vggish.embedding": 1e-4,
    "vggish.after_relu": 1e-4,
    "ms_clap.audio": 1e-4,
    "ms_clap.text": 1e-4,
    "ms_clap.cosine": 1e-5,
    "audiobox.ratings": 1e-4,
}


def _source(name: str) -> WeightSource:
    return WeightSource(name, "", None, "", "", "")


def answer_passt(folder: Path, inputs: Arrays) -> dict[str, np.ndarray]:
    """PaSST, from the waveform."""
    judge = PasstEncoder.from_file(folder / "weights" / PASST, _source("passt"), unverified=True)
    embedding, logits = judge.embed_with_logits(list(inputs["sound"]))
    return {"embedding": embedding, "logits": logits}


def answer_vggish(folder: Path, inputs: Arrays) -> dict[str, np.ndarray]:
    """VGGish, from the waveform, with and without its last ReLU."""
    found = {}
    for name, last_relu in (("embedding", False), ("after_relu", True)):
        judge = VggishEncoder.from_file(
            folder / "weights" / VGGISH, _source("vggish"), unverified=True, last_relu=last_relu
        )
        found[name] = judge.embed(list(inputs["sound"]))
    return found


@torch.inference_mode()
def answer_ms_clap(folder: Path, inputs: Arrays) -> dict[str, np.ndarray]:
    """Both towers of Microsoft's CLAP, from the waveform at 48 kHz and from token ids."""
    checkpoint = load_ms_clap(folder / "weights" / MS_CLAP, _source("ms_clap"), unverified=True)
    network = MsClapNetwork.from_tensors(checkpoint.tensors)
    judge = MsClapAudioEncoder(network, checkpoint.sha256)
    ready = np.stack([judge.prepare(sound, 48000, None) for sound in inputs["sound"]])
    sound, text = network.embed_audio(torch.from_numpy(ready)), network.embed_text(torch.from_numpy(inputs["ids"]))
    cosine = functional.normalize(sound, dim=-1) @ functional.normalize(text, dim=-1).T
    return {"audio": sound.numpy(), "text": text.numpy(), "cosine": cosine.numpy()}


def answer_audiobox(folder: Path, inputs: Arrays) -> dict[str, np.ndarray]:
    """Audiobox-Aesthetics, from stereo sound at 44.1 kHz."""
    place = folder / "weights" / AUDIOBOX
    files = (place / "model.safetensors", place / "config.json")
    judge = AudioboxEncoder.from_files(*files, _source("audiobox"), unverified=True)
    return {"ratings": judge.embed([judge.prepare(sound, 44100, None) for sound in inputs["sound"]])}


#: Our answers by package, from the folder and its inputs.
LATER_ANSWERS: dict[str, Callable[[Path, Arrays], dict[str, np.ndarray]]] = {
    "passt": answer_passt,
    "vggish": answer_vggish,
    "ms_clap": answer_ms_clap,
    "audiobox": answer_audiobox,
}
