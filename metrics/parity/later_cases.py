"""One rule per golden file of the judges of later papers: PaSST, VGGish, Microsoft's CLAP, Audiobox-Aesthetics.

Each file holds answers of the network at its published size and, under ``small_``, of a small one of the same
architecture; those that are not stored are not built. Recorded by ``workflow/scripts/record_golden.py``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cafa.parity.golden import ParityRow
from metrics.encoders import passt, vggish
from metrics.encoders.audiobox.encoders import AudioboxEncoder
from metrics.encoders.audiobox.network import AXES, Aesthetics, Settings
from metrics.encoders.ms_clap import encoders as ms_clap
from metrics.judges.synthetic_signals import normal, waves
from metrics.parity.golden import Golden
from metrics.parity.published_names import audiobox_shapes, ms_clap_constants, ms_clap_shapes
from metrics.parity.weights import deterministic_tensors

Rows = Iterator[ParityRow]

#: dB-free log-mels, features and logits, and ratings of 1 to 10.
MEDIA, FEATURES, RATINGS = 1e-3, 1e-4, 1e-4

#: Sizes of the small networks, in our words; `reference_judges.small_sizes` says the same in the packages' words.
SMALL_PASST = {"width": 48, "depth": 2, "heads": 4}
SMALL_HTSAT = {
    "patch_embeds_hidden_size": 16,
    "hidden_size": 128,
    "depths": [1, 2, 1, 1],
    "num_attention_heads": [2, 2, 4, 4],
}
SMALL_GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4}
SMALL_WAVLM = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "conv_dim": [32] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
#: What the reference was given for the publisher's means and deviations.
TRANSFORM = {axis: {"mean": 5.0 + place, "std": 1.0 + place / 4} for place, axis in enumerate(AXES)}


def passt_network(gain: float, sizes: Mapping[str, Any]) -> passt.Passt:
    """PaSST with deterministic weights."""
    return passt.Passt.from_tensors(deterministic_tensors(passt.published_shapes(**sizes), gain), **sizes)


def check_passt(golden: Golden) -> Rows:
    """PaSST: log-mel, embedding, logits, and sound that is filled up to 10 s."""
    clips = 2
    sound = waves(clips, passt.SAMPLE_RATE, 10.0)
    mel = passt.log_mel(torch.from_numpy(sound))
    yield from golden.compare("logmel_shape", mel.shape, 0)
    yield from golden.compare("logmel_sub", mel[:, :, ::20], MEDIA)
    for prefix, sizes in (("small_", SMALL_PASST), ("", {})):
        if not golden.has(f"{prefix}emb", f"{prefix}logits", f"{prefix}emb_4s"):
            continue
        judge = passt.PasstEncoder(passt_network(golden.gain, sizes), weights_sha256="")
        embedding, logits = judge.embed_with_logits(list(sound))
        yield from golden.compare(f"{prefix}emb", embedding, FEATURES)
        yield from golden.compare(f"{prefix}logits", logits, FEATURES)
        yield from golden.compare(f"{prefix}emb_4s", judge.embed(list(waves(1, passt.SAMPLE_RATE, 4.0))), FEATURES)


def check_vggish(golden: Golden) -> Rows:
    """VGGish: log-mel, and the three things that are printed under its name."""
    sound = waves(3, vggish.SAMPLE_RATE, 5.0)
    pieces = vggish.log_mel_pieces(torch.from_numpy(sound))
    yield from golden.compare("logmel_shape", pieces.shape, 0)
    yield from golden.compare("logmel_sub", pieces[:, :, ::8], MEDIA)
    network = vggish.Vggish.from_tensors(deterministic_tensors(vggish.published_shapes(), golden.gain))
    judge = vggish.VggishEncoder(network, weights_sha256="")
    yield from golden.compare("emb", judge.embed(list(sound)), FEATURES)
    network.last_relu = True
    after = judge.embed(list(sound))
    yield from golden.compare("emb_relu", after, FEATURES)
    eigenvectors, means = 0.2 * normal(51, 128, 128).numpy(), 0.1 * normal(52, 128).numpy()
    # whole numbers: a value at the edge of a step may fall to either side
    yield from golden.compare("emb_pca", vggish.postprocess(after, eigenvectors, means), 1)


def ms_clap_network(
    gain: float, audio: Mapping[str, Any], text: Mapping[str, Any], width: int
) -> ms_clap.MsClapNetwork:
    """Microsoft's CLAP with deterministic weights."""
    audio_config, text_config = ms_clap.htsat_config(**audio), ms_clap.gpt2_config(**text)
    with torch.device("meta"):
        own = ms_clap.MsClapNetwork(audio_config, text_config, width)
    shapes = ms_clap_shapes(own)
    tensors = deterministic_tensors(shapes, gain) | ms_clap_constants(shapes)
    return ms_clap.MsClapNetwork.from_tensors(tensors, audio=audio_config, text=text_config, width=width)


def check_ms_clap(golden: Golden) -> Rows:
    """Microsoft's CLAP: sound at another rate, shorter than 7 s and as long, and captions."""
    yield golden.given("input_ids")
    ids = torch.from_numpy(golden.stored("input_ids"))
    for prefix, audio, text, width in (("small_", SMALL_HTSAT, SMALL_GPT2, 64), ("", {}, {}, ms_clap.WIDTH)):
        names = [name for name in golden.arrays if name.startswith((f"{prefix}audio", f"{prefix}text"))]
        if not names:
            continue
        network = ms_clap_network(golden.gain, audio, text, width)
        judge = ms_clap.MsClapAudioEncoder(network, weights_sha256="")
        for name in names:
            if name.endswith("text_embed"):
                with torch.inference_mode():
                    yield from golden.compare(name, network.embed_text(ids), FEATURES)
                continue
            seconds = float(name.rpartition("_")[2].removesuffix("s"))
            clips = waves(len(golden.arrays[name]), 48000, seconds)
            ready = [judge.prepare(clip, 48000, seconds) for clip in clips]
            with torch.inference_mode():
                yield from golden.compare(name, network.embed_audio(torch.from_numpy(np.stack(ready))), FEATURES)


def audiobox_network(gain: float, settings: Settings) -> Aesthetics:
    """Audiobox-Aesthetics with deterministic weights."""
    with torch.device("meta"):
        own: nn.Module = Aesthetics(settings)
    tensors: dict[str, Tensor] = deterministic_tensors(audiobox_shapes(own), gain)
    return Aesthetics.from_tensors(tensors, settings)


def check_audiobox(golden: Golden) -> Rows:
    """Audiobox-Aesthetics: ratings of stereo sound, shorter and longer than a piece of 10 s."""
    small = Settings(TRANSFORM, proj_num_layer=3, proj_ln=True, nth_layer=3, wavlm=SMALL_WAVLM)
    for prefix, settings in (("small_", small), ("", Settings(TRANSFORM, proj_num_layer=5, proj_ln=True))):
        names = [name for name in golden.arrays if name.startswith(f"{prefix}ratings")]
        if not names:
            continue
        judge = AudioboxEncoder(audiobox_network(golden.gain, settings), weights_sha256="")
        for name in names:
            seconds = float(name.rpartition("_")[2].removesuffix("s"))
            mono = waves(len(golden.arrays[name]), 44100, seconds)
            clips = np.stack((mono, 0.5 * mono[::-1]), axis=1)
            ready = [judge.prepare(clip, 44100, seconds) for clip in clips]
            yield from golden.compare(name, judge.embed(ready), RATINGS)
