"""One rule per golden file: recompute what the published evaluators computed.

Tolerances are absolute: 1e-3 dB for log-mels in decibels, 1e-3 for pre-processed media, 1e-4 for features and logits,
1e-5 for CLAP's embeddings of norm 1.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cafa.common.errors import InputError
from cafa.models.encoders.synchformer_network import SynchformerVisual, normalise_frames
from cafa.parity.golden import ParityRow
from cafa.parity.golden_folder import published_clip
from metrics.encoders import panns
from metrics.encoders.audio import resample
from metrics.encoders.clap import encoders as clap
from metrics.encoders.clap.checkpoint import to_transformers
from metrics.encoders.imagebind.encoders import imagebind_crops, imagebind_frames, imagebind_log_mels
from metrics.encoders.imagebind.network import ImageBindAudio, ImageBindVision
from metrics.encoders.spectral import synchformer_log_mel
from metrics.encoders.synchformer.audio_network import SynchformerAudio, take_audio_segments
from metrics.encoders.synchformer.encoders import synchformer_frames
from metrics.encoders.synchformer.offset_network import SynchformerOffset, offset_grid
from metrics.functional.divergence import kl_divergence
from metrics.functional.frechet import frechet_distance
from metrics.functional.inception import inception_score
from metrics.functional.similarity import cosine_similarity
from metrics.judges.synthetic_signals import normal, waves
from metrics.parity.golden import Golden
from metrics.parity.inputs import decoded_frames, decoded_sound
from metrics.parity.later_cases import check_audiobox, check_ms_clap, check_passt, check_vggish
from metrics.parity.published_names import window_places
from metrics.parity.weights import deterministic_tensors

if TYPE_CHECKING:
    from transformers import ClapConfig

Rows = Iterator[ParityRow]

DECIBELS = MEDIA = 1e-3
FEATURES = 1e-4
UNIT_EMBEDDINGS = 1e-5
METRICS = 1e-5


def _published_shapes(golden: Golden, name: str, *prefixes: str) -> dict[str, list[int]]:
    path = golden.path.with_name(name)
    if not path.is_file():
        raise InputError(f"{golden.path.name} needs {name} beside it: the published names and shapes")
    shapes = json.loads(path.read_text())
    return {key: shape for key, shape in shapes.items() if key.startswith(prefixes or "")}


def check_panns(golden: Golden) -> Rows:
    """Cnn14 at both rates: log-mel, embedding, logits."""
    for rate in (16000, 32000):
        if not golden.has(f"emb_{rate}", f"logits_{rate}", f"logmel_{rate}_sub"):
            continue
        stored = golden.stored(f"logmel_{rate}_shape")
        seconds = (int(stored[2]) - 1) / 100
        tables = panns.front_end_tables(rate)
        weights = deterministic_tensors(panns.published_shapes(rate), golden.gain)
        network = panns.Cnn14.from_tensors(weights | tables, rate)
        sound = torch.from_numpy(waves(int(stored[0]), rate, seconds))
        mel = network.log_mel(sound)
        embedding, logits = network(sound)
        yield from golden.compare(f"melW_{rate}_colsum", tables["logmel_extractor.melW"].double().sum(0), 1e-6)
        yield from golden.compare(f"logmel_{rate}_shape", mel[:, None].shape, 0)
        yield from golden.compare(f"logmel_{rate}_sub", mel[:, ::20], DECIBELS)
        yield from golden.compare(f"emb_{rate}", embedding, FEATURES)
        yield from golden.compare(f"logits_{rate}", logits, FEATURES)


def check_front_ends(golden: Golden) -> Rows:
    """Log-mels of Synchformer and ImageBind."""
    if golden.has("sync_mel_shape"):
        clips, segments = (int(size) for size in golden.stored("sync_mel_shape")[:2])
        sound = torch.from_numpy(waves(clips, 16000, 0.32 * segments + 0.32))
        mel = synchformer_log_mel(take_audio_segments(sound))
        yield from golden.compare("sync_mel_shape", mel[:, :, None].shape, 0)
        yield from golden.compare("sync_mel_mean", mel.double().mean((-1, -2)), MEDIA)
        for name in golden.arrays:
            if name.startswith("sync_mel_seg"):
                yield from golden.compare(name, mel[:, int(name.removeprefix("sync_mel_seg")), :, ::3], MEDIA)
    if golden.has("ib_mel_shape"):
        sound = torch.from_numpy(waves(int(golden.stored("ib_mel_shape")[0]), 16000, 8))
        mel = torch.stack([imagebind_log_mels(clip[None]) for clip in sound])
        yield from golden.compare("ib_mel_shape", mel[:, :, None].shape, 0)
        yield from golden.compare("ib_mel_sub", mel[:, :, ::4, ::8], MEDIA)
        yield from golden.compare("ib_mel_mean", mel.double().mean((-1, -2)), MEDIA)
        yield from golden.compare("ib_mel_tail", mel[:, :, 0, -8:], MEDIA)


def check_synchformer(golden: Golden) -> Rows:
    """Both towers and the offset head."""
    yield from golden.compare("grid", offset_grid(), 1e-6)

    def weights(*prefixes: str) -> dict[str, Tensor]:
        shapes = _published_shapes(golden, "synchformer_keys.json", *prefixes)
        return deterministic_tensors(shapes, golden.gain)

    if golden.has("logits_first", "logits_last"):
        head = SynchformerOffset.from_tensors(weights("vproj.", "aproj.", "transformer."))
        clips = len(golden.stored("logits_first"))
        first, last = head.window_logits(normal(13, clips, 24, 8, 768), normal(14, clips, 24, 6, 768))
        yield from golden.compare("logits_first", first, FEATURES)
        yield from golden.compare("logits_last", last, FEATURES)
    if golden.has("afeats"):
        clips, segments = golden.arrays["afeats"].shape[:2]
        audio = SynchformerAudio.from_tensors(weights("afeat_extractor."))
        mel = normal(11, clips, segments, 1, 128, 66) * 0.5
        features = audio.afeat_extractor(mel.flatten(0, 2)).unflatten(0, (clips, segments))
        yield from golden.compare("afeats", features, FEATURES)
    if golden.has("vfeats"):
        clips, segments = golden.arrays["vfeats"].shape[:2]
        visual = SynchformerVisual.from_tensors(weights("vfeat_extractor.", "vproj."))
        frames = normal(12, clips, segments, 16, 3, 224, 224).clamp(-1, 1)
        yield from golden.compare("vfeats", visual(frames), FEATURES)


def check_imagebind(golden: Golden) -> Rows:
    """Both towers; the vision tower has 632 million weights."""

    def weights(modality: str) -> dict[str, Tensor]:
        shapes = _published_shapes(golden, "imagebind_keys.json")
        return deterministic_tensors(
            {name: shape for name, shape in shapes.items() if f".{modality}." in name}, golden.gain
        )

    def embed(network: ImageBindAudio | ImageBindVision, clips: Tensor) -> Tensor:
        return network(clips.flatten(0, 1)).unflatten(0, clips.shape[:2]).mean(1)

    if golden.has("audio", "audio_first_clip"):
        scale = {"modality_postprocessors.audio.1.log_logit_scale": torch.tensor(20.0).log()}
        audio = ImageBindAudio.from_tensors(weights("audio") | scale)
        clips = len(golden.stored("audio"))
        mel = normal(21, clips, 3, 1, 128, 204)[:, :, 0]
        yield from golden.compare("audio", embed(audio, mel), FEATURES)
        yield from golden.compare("audio_first_clip", embed(audio, mel[:, :1]), FEATURES)
    if golden.has("vision", "vision2"):
        vision = ImageBindVision.from_tensors(weights("vision"))
        frames = normal(22, len(golden.stored("vision")), 2, 3, 2, 224, 224)
        yield from golden.compare("vision", embed(vision, frames), FEATURES)
        yield from golden.compare("vision2", embed(vision, frames.flip(1) * 0.5 + 0.3), FEATURES)


def published_shapes(names: Sequence[str], config: "ClapConfig") -> dict[str, tuple[int, ...]]:
    """Shapes of LAION-CLAP's tensors by their published names, from those of transformers' model."""
    with torch.device("meta"):
        own = clap.ClapNetwork(config).state_dict()
    shapes: dict[str, tuple[int, ...]] = {}
    for name in names:
        parts = list(to_transformers({name: torch.zeros(3)}))
        if parts:
            first, *rest = own[parts[0]].shape or (None,)
            # query, key and value lie one below the other in one published tensor
            shapes[name] = () if first is None else (first * len(parts), *rest)
    return shapes


def clap_constants(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """What LAION-CLAP's constructor puts in place: front end, temperatures, places inside a window."""
    scales = {name: torch.tensor(math.log(1 / 0.07)) for name in shapes if name.startswith("logit_scale")}
    return clap.front_end_tables() | scales | window_places(shapes)


def clap_network(golden: Golden) -> clap.ClapNetwork:
    """CLAP with deterministic weights, by the published names in ``clap_keymap.npz`` beside the file."""
    keymap = golden.path.with_name("clap_keymap.npz")
    if not keymap.is_file():
        raise InputError(f"{golden.path.name} needs clap_keymap.npz beside it: the published names")
    shapes = published_shapes([str(name) for name in np.load(keymap)["laion"]], clap.clap_config())
    return clap.ClapNetwork.from_tensors(deterministic_tensors(shapes, golden.gain) | clap_constants(shapes))


def check_clap(golden: Golden) -> Rows:
    """LAION-CLAP: log-mel, sound and captions."""
    network = clap_network(golden)
    judge = clap.ClapAudioEncoder(network, weights_sha256="")
    for name in ("input_ids", "attention_mask"):
        yield golden.given(name)
    text = network.embed_text(*(torch.from_numpy(golden.stored(name)) for name in ("input_ids", "attention_mask")))
    yield from golden.compare("text_embed", text, UNIT_EMBEDDINGS)
    for name in [name for name in golden.arrays if name.startswith("audio_embed_") and "int16" not in name]:
        length = name.removeprefix("audio_embed_")
        sound = waves(len(golden.arrays[name]), clap.SAMPLE_RATE, float(length.removesuffix("s")))
        mel = network.log_mel(clap.repeat_pad(torch.from_numpy(sound)))
        yield from golden.compare(f"logmel_{length}_shape", mel[:, None].shape, 0)
        yield from golden.compare(f"logmel_{length}_head", mel[:, :4], DECIBELS)
        yield from golden.compare(f"logmel_{length}_mean_per_bin", mel.double().mean(1), DECIBELS)
        embedding = judge.embed(list(sound))
        yield from golden.compare(name, embedding, UNIT_EMBEDDINGS)
        yield from golden.compare(f"text_audio_cos_{length}", text.numpy() @ embedding.T, UNIT_EMBEDDINGS)
        if golden.has(f"audio_embed_int16_{length}"):
            quantised = (sound.clip(-1, 1) * 32767).astype(np.int16).astype(np.float32) / 32767
            yield from golden.compare(f"audio_embed_int16_{length}", judge.embed(list(quantised)), UNIT_EMBEDDINGS)


def check_clap_names(golden: Golden) -> Rows:
    """Every published name has a place, and together they give every name of transformers' model."""
    yield golden.given("laion")
    given = {str(name) for name in golden.stored("laion")}
    ours = {name.removeprefix("model.") for name in to_transformers(dict.fromkeys(given, torch.zeros(3)))}
    added = {f"text_model.embeddings.{kind}_ids" for kind in ("position", "token_type")}
    tables = {name for name in ours if name.startswith("log_mel.")}
    wrong = {str(name) for name in golden.stored("hf")} ^ ((ours - tables) | added)
    golden.answered.add("hf")
    note = f"differ: {sorted(wrong)[:3]}" if wrong else "names"
    yield ParityRow("clap_keymap/hf", golden.stored("hf").size, float(len(wrong)), 0.0, not wrong, note)


def _without_clip(golden: Golden) -> Rows:
    for name in golden.arrays:
        yield golden.given(name, "not compared: needs the clip drum.mp4, which others publish (CAFA_SHARED)")


def check_video(golden: Golden) -> Rows:
    """Frames of a real clip, ready for ImageBind and for Synchformer."""
    path = published_clip(golden.path, "drum.mp4")
    if path is None:
        yield from _without_clip(golden)
        return
    count = int(golden.stored("ib_shape")[1])
    crops = imagebind_crops(imagebind_frames(decoded_frames(path, Fraction(1, 2), count))).numpy()
    yield from golden.compare("ib_shape", crops.shape, 0)
    yield from golden.compare("ib_sub", crops[..., ::16, ::16], MEDIA)
    yield from golden.compare("ib_mean", crops.astype(np.float64).mean((-1, -2)), MEDIA)
    count = int(golden.stored("sync_shape")[0])
    frames = normalise_frames(synchformer_frames(decoded_frames(path, Fraction(25), count))).numpy()
    yield from golden.compare("sync_shape", frames.shape, 0)
    yield from golden.compare("sync_sub", frames[[0, 1, 62, -1], :, ::16, ::16], MEDIA)
    yield from golden.compare("sync_frame_mean", frames.astype(np.float64).mean((1, 2, 3)), MEDIA)


def check_sound(golden: Golden) -> Rows:
    """Sound of a real clip, ready for ImageBind: stereo, 44.1 kHz, pieces that overlap."""
    path = published_clip(golden.path, "drum.mp4")
    if path is None:
        yield from _without_clip(golden)
        return
    samples, rate = decoded_sound(path)
    mel = imagebind_log_mels(resample(torch.from_numpy(samples), rate, 16000)).numpy()
    yield from golden.compare("shape", mel[None, :, None].shape, 0)
    yield from golden.compare("sub", mel[:, ::4, ::8], MEDIA)
    yield from golden.compare("mean", mel.astype(np.float64).mean((-1, -2)), MEDIA)


def check_metrics(golden: Golden) -> Rows:
    """Metrics of random arrays. Relative to the stored value, since values reach hundreds."""
    for name, (rows, width) in {"fd_a": (400, 64), "fd_b": (200, 256), "fd_c": (50, 128)}.items():
        generator = np.random.default_rng(31)
        x = generator.standard_normal((rows, width)).astype(np.float32)
        y = (generator.standard_normal((rows, width)) * 1.3 + 0.2).astype(np.float32)
        yield from golden.compare(name, frechet_distance(x, y).value, METRICS * float(golden.arrays.get(name, 0)))
    generator = np.random.default_rng(41)
    p, q = ((3 * generator.standard_normal((203, 527))).astype(np.float32) for _ in range(2))
    yield from golden.compare("kl_softmax", kl_divergence(q, p).mean(), METRICS)
    score = inception_score(p)
    yield from golden.compare("isc_mean", score.value, METRICS)
    yield from golden.compare("isc_std", score.std, METRICS)
    yield from golden.compare("isc_N10", inception_score(p[:10]).value, METRICS)
    u, w = (generator.standard_normal((7, 1024)).astype(np.float32) for _ in range(2))
    yield from golden.compare("cosine_mean", cosine_similarity(u, w).mean(), METRICS)
    for name in ("kl_sigmoid", "kl_softmax_audioldm_eps1e-6"):
        if golden.has(name):
            yield golden.given(name, "another definition of KL, not ours")


#: Rule by name of file without suffix, cheapest first.
RULES: dict[str, Callable[[Golden], Rows]] = {
    "metrics": check_metrics,
    "clap_keymap": check_clap_names,
    "mel_frontends": check_front_ends,
    "ib_audio_preproc_drum_gt": check_sound,
    "video_preproc_drum": check_video,
    "vggish": check_vggish,
    "panns": check_panns,
    "audiobox": check_audiobox,
    "passt": check_passt,
    "ms_clap": check_ms_clap,
    "clap_htsat_base": check_clap,
    "synchformer": check_synchformer,
    "imagebind": check_imagebind,
}
