"""Reference implementations of the judges of later papers: hear21passt, torchvggish, msclap, audiobox-aesthetics.

Their networks can be built smaller than published, so that comparisons with stored arrays take seconds.
"""

import importlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from reference_packages import Said
from reference_standins import importing, python_of_torchaudio, replace_modules
from torch import Tensor, nn

from metrics.judges.synthetic_signals import waves
from metrics.parity.weights import GAIN, fill

PASST, VGGISH = "passt-s-f128-p16-s10-ap.476-swa.pt", "vggish-10086976.pth"
MS_CLAP, AUDIOBOX, AUDIOBOX_CONFIG = "CLAP_weights_2023.pth", "model.safetensors", "config.json"
#: Ratings' means and deviations for weights by rule: any numbers serve.
RATINGS = {axis: {"mean": 5.0 + place, "std": 1.0 + place / 4} for place, axis in enumerate(("CE", "CU", "PC", "PQ"))}
Sizes = Mapping[str, Any]


def passt_network(sizes: Sizes | None = None) -> tuple[Any, list[str]]:
    """hear21passt's wrapper of `base`, with weights to be filled; `sizes`: ``embed_dim``, ``depth``, ``num_heads``."""
    replaced = [*python_of_torchaudio(), *replace_modules(["timm"])]
    with importing():
        base: Any = importlib.import_module("hear21passt.base")
        models = importlib.import_module("hear21passt.models.passt")
    base.get_model_passt = partial(models.get_model, pretrained=False)
    wrapper = base.get_basic_model(mode="all")
    if sizes:
        wrapper.net = models.PaSST(img_size=(128, 998), stride=(10, 10), distilled=True, **sizes)
    return wrapper.eval(), replaced


def vggish_network(sizes: Sizes | None = None) -> Any:
    """torchvggish's network without post-processing; `sizes` must be empty: it has one size."""
    assert not sizes
    with importing():
        package = importlib.import_module("torchvggish.torchvggish")
    return package.VGG(package.make_layers(), postprocess=False).eval()


def vggish_pieces(sound: np.ndarray) -> Tensor:
    """torchvggish's log-mels of one sound at 16 kHz, ``(pieces, 1, 96, 64)``."""
    return importlib.import_module("torchvggish.vggish_input").waveform_to_examples(sound, 16000).detach()


def vggish_postprocess(embeddings: Tensor, eigenvectors: np.ndarray, means: np.ndarray) -> Tensor:
    """torchvggish's post-processing with given parameters, which it would download."""
    package = importlib.import_module("torchvggish.torchvggish")
    processor = object.__new__(package.Postprocessor)
    processor._pca_matrix = torch.from_numpy(eigenvectors)
    processor._pca_means = torch.from_numpy(means.reshape(-1, 1))
    return processor.postprocess(embeddings)


def ms_clap_wrapper(sizes: Sizes | None = None) -> tuple[Any, list[str]]:
    """msclap's wrapper, version 2023, without a download; `sizes`: ``text`` (of GPT-2), ``audio`` (of HTSAT)."""
    import transformers

    replaced = python_of_torchaudio()
    with importing():
        wrapping: Any = importlib.import_module("msclap.CLAPWrapper")
        htsat = importlib.import_module("msclap.models.htsat")
    config = transformers.GPT2Config(**(sizes or {}).get("text", {}))
    automatic: Any = transformers.AutoModel
    automatic.from_pretrained = classmethod(lambda cls, *args, **kwargs: transformers.GPT2Model(config))
    wrapper = object.__new__(wrapping.CLAPWrapper)
    file = Path(wrapping.__file__).parent / "configs" / "config_2023.yml"
    wrapper.args = args = wrapper.read_config_as_args(str(file))
    wrapper.use_cuda, wrapper.token_keys = False, ["input_ids", "attention_mask"]
    wrapper.np_str_obj_array_pattern = wrapping.re.compile(r"[SaUO]")
    wide = {"transformer_embed_dim": config.n_embd, "d_proj": args.d_proj}
    audio = (sizes or {}).get("audio")
    if sizes:
        wide["d_proj"] = sizes["width"]
    wrapper.clap = wrapping.CLAP(
        audioenc_name=args.audioenc_name,
        sample_rate=args.sampling_rate,
        window_size=args.window_size,
        hop_size=args.hop_size,
        mel_bins=args.mel_bins,
        fmin=args.fmin,
        fmax=args.fmax,
        classes_num=args.num_classes,
        out_emb=audio["embed_dim"] * 8 if audio else args.out_emb,
        text_model=args.text_model,
        **wide,
    ).eval()
    if audio:
        wrapper.clap.audio_encoder.base.htsat = htsat.HTSAT_Swin_Transformer(config=htsat.config, **audio).eval()
    return wrapper, replaced


def ms_clap_audio(wrapper: Any, sounds: np.ndarray, rate: int) -> np.ndarray:
    """Embeddings of sounds ``(clips, samples)`` by the package's own way from a file, whose reading is replaced."""
    wrapping = importlib.import_module("msclap.CLAPWrapper")
    wrapping.torchaudio.load = lambda number: (torch.from_numpy(sounds[number])[None], rate)
    return wrapper.get_audio_embeddings(list(range(len(sounds))), resample=True).numpy()


def audiobox_predictor(sizes: Sizes | None = None) -> tuple[Any, list[str]]:
    """audiobox-aesthetics' predictor with weights to be filled; `sizes`: ``wavlm``, ``head``."""
    replaced = python_of_torchaudio()
    with importing():
        infer = importlib.import_module("audiobox_aesthetics.infer")
        aes = importlib.import_module("audiobox_aesthetics.model.aes")
    if sizes:
        aes.DEFAULT_AUDIO_CFG.update(sizes["wavlm"])
    head = {"proj_num_layer": 5, "proj_ln": True, **((sizes or {}).get("head", {}))}
    predictor = object.__new__(infer.AesPredictor)
    predictor.model = aes.AesMultiOutput(target_transform=RATINGS, **head).eval()
    predictor.device, predictor.data_col, predictor.sample_rate = torch.device("cpu"), "path", 16000
    predictor.target_transform = {axis: infer.Normalize(**RATINGS[axis]) for axis in RATINGS}
    return predictor, replaced


def audiobox_ratings(predictor: Any, sounds: np.ndarray, rate: int) -> np.ndarray:
    """Ratings ``(clips, 4)`` in the order CE, CU, PC, PQ, of sounds ``(clips, channels, samples)``."""
    rows = predictor.forward([{"path": torch.from_numpy(sound), "sample_rate": rate} for sound in sounds])
    return np.asarray([[row[axis] for axis in RATINGS] for row in rows], np.float64)


def token_ids(rows: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Made-up captions of GPT-2's tokens of these lengths, with their end: ids and mask ``(captions, 77)``."""
    generator = np.random.default_rng(17)
    ids, mask = np.zeros((len(rows), 77), np.int64), np.zeros((len(rows), 77), np.int64)
    for row, length in enumerate(rows):
        ids[row, :length] = [*generator.integers(1, 50000, length - 2), 220, 50256]
        mask[row, :length] = 1
    return ids, mask


def _state(network: nn.Module, weights: Path | None) -> dict[str, Tensor]:
    if weights is None:
        return dict(fill(network, GAIN).state_dict())
    from cafa.models.checkpoint_reader import read_tensors

    tensors = read_tensors(weights)
    network.load_state_dict(tensors, strict=False)
    return tensors


def passt(folder: Path, weights: Path | None, offline: bool) -> Said:
    """hear21passt, from the waveform of 10 s at 32 kHz."""
    wrapper, replaced = passt_network()
    torch.save(_state(wrapper.net, weights and weights / PASST), folder / "weights" / PASST)
    sound = waves(2, 32000, 10.0)
    with torch.inference_mode():
        found = wrapper(torch.from_numpy(sound)).numpy()
    answers = {"passt.logits": found[:, :527], "passt.embedding": found[:, 527:], "input.passt.sound": sound}
    return answers, replaced, "from the waveform"


def vggish(folder: Path, weights: Path | None, offline: bool) -> Said:
    """torchvggish, from the waveform at 16 kHz, with and without its last ReLU."""
    network = vggish_network()
    torch.save(_state(network, weights and weights / VGGISH), folder / "weights" / VGGISH)
    sound = waves(3, 16000, 5.0)
    pieces = torch.stack([vggish_pieces(one) for one in sound])
    with torch.inference_mode():
        with_relu = network(pieces.flatten(0, 1)).unflatten(0, pieces.shape[:2])
        network.embeddings = network.embeddings[:-1]
        without = network(pieces.flatten(0, 1)).unflatten(0, pieces.shape[:2])
    answers = {"vggish.embedding": without.numpy(), "vggish.after_relu": with_relu.numpy(), "input.vggish.sound": sound}
    return answers, [], "from the waveform; without the last ReLU as in av-benchmark, and with it"


def ms_clap(folder: Path, weights: Path | None, offline: bool) -> Said:
    """msclap 2023, from the waveform at 48 kHz and from token ids."""
    wrapper, replaced = ms_clap_wrapper()
    torch.save({"model": _state(wrapper.clap, weights and weights / MS_CLAP)}, folder / "weights" / MS_CLAP)
    sound = waves(2, 48000, 5.0)
    ids, mask = token_ids((4, 9, 14))
    tokens = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    heard, read = ms_clap_audio(wrapper, sound, 48000), wrapper._get_text_embeddings(tokens).numpy()
    wrapper.clap.logit_scale.data.zero_()
    cosine = wrapper.compute_similarity(torch.from_numpy(heard), torch.from_numpy(read)).detach().numpy()
    answers = {
        "ms_clap.audio": heard,
        "ms_clap.text": read,
        "ms_clap.cosine": cosine,
        "input.ms_clap.sound": sound,
        "input.ms_clap.ids": ids,
    }
    return answers, replaced, "from the waveform, and from token ids"


def audiobox(folder: Path, weights: Path | None, offline: bool) -> Said:
    """audiobox-aesthetics, from stereo sound of 12 s at 44.1 kHz, hence two pieces."""
    import json

    from safetensors.torch import save_file

    predictor, replaced = audiobox_predictor()
    if weights is not None:
        content = json.loads((weights / AUDIOBOX_CONFIG).read_text())
        package = importlib.import_module("audiobox_aesthetics.model.aes")
        predictor.model = package.AesMultiOutput.from_pretrained(str(weights)).eval()
        scale = importlib.import_module("audiobox_aesthetics.infer").Normalize
        predictor.target_transform = {axis: scale(**content["target_transform"][axis]) for axis in RATINGS}
    else:
        fill(predictor.model, GAIN)
        content = {"proj_num_layer": 5, "proj_ln": True, "target_transform": RATINGS}
    below = folder / "weights" / "audiobox-aesthetics"
    below.mkdir(exist_ok=True)
    save_file({name: value.contiguous() for name, value in predictor.model.state_dict().items()}, below / AUDIOBOX)
    (below / AUDIOBOX_CONFIG).write_text(json.dumps(content))
    mono = waves(2, 44100, 12.0)
    sound = np.stack((mono, 0.5 * mono[::-1]), axis=1)
    answers = {"audiobox.ratings": audiobox_ratings(predictor, sound, 44100), "input.audiobox.sound": sound}
    return answers, replaced, "from stereo sound at 44.1 kHz"


def small_sizes() -> SimpleNamespace:
    """Sizes of the small networks of the stored arrays, in the packages' words."""
    return SimpleNamespace(
        passt={"embed_dim": 48, "depth": 2, "num_heads": 4},
        ms_clap={
            "text": {"n_embd": 32, "n_layer": 2, "n_head": 4},
            "audio": {"embed_dim": 16, "depths": [1, 2, 1, 1], "num_heads": [2, 2, 4, 4]},
            "width": 64,
        },
        audiobox={
            "wavlm": {
                "encoder_layers": 2,
                "encoder_embed_dim": 64,
                "encoder_ffn_embed_dim": 96,
                "encoder_attention_heads": 4,
                "conv_feature_layers": "[(32,10,5)] + [(32,3,2)] * 4 + [(32,2,2)] * 2",
                "conv_pos": 16,
                "conv_pos_groups": 4,
            },
            "head": {"proj_num_layer": 3, "nth_layer": 3},
        },
    )
