"""What the published packages answer: run in their own environment (envs/reference.yaml), compared in ours.

    PYTHONPATH=. REFERENCE/bin/python workflow/scripts/witness.py --folder results/parity --offline

Writes below the folder the inputs, the weights that were used, and ``answers.npz``. Without ``--weights`` the weights
are a function of names and shapes (`metrics.parity_weights`); with it they are the published files of that folder.
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import os
import sys
import types
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import soundfile
import torch

from metrics.parity_inputs import wave, waves
from metrics.parity_weights import fill

PANNS, CLAP = "Cnn14_16k_mAP=0.438.pth", "music_speech_audioset_epoch_15_esc_89.98.pt"
#: Imported by the packages, and used by nothing that is compared here.
BYSTANDERS = {
    "torchvision": ("datasets", "transforms", "ops", "ops.misc"),
    "torchaudio": ("transforms", "functional"),
    "encodec": (),
}
GAIN = 2.0
CLIPS, SECONDS = 8, 3.0

Answers = dict[str, np.ndarray]


def replace_bystanders() -> list[str]:
    """Put empty modules where a package that nothing here uses cannot be imported; return their names."""
    replaced = []
    for name, parts in BYSTANDERS.items():
        try:
            importlib.import_module(name)
        except (ImportError, OSError, RuntimeError):
            for loaded in [module for module in sys.modules if module.split(".")[0] == name]:
                del sys.modules[loaded]
            for full in (name, *(f"{name}.{part}" for part in parts)):
                sys.modules[full] = MagicMock()
            replaced.append(name)
    return replaced


def without_network() -> None:
    """LAION-CLAP fetches tokenizers and RoBERTa's weights when it is built; both are overwritten or not used here."""
    import transformers

    for name in ("BertTokenizer", "RobertaTokenizer", "BartTokenizer"):
        getattr(transformers, name).from_pretrained = classmethod(lambda cls, *args, **kwargs: None)
    config = transformers.RobertaConfig(
        vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5
    )
    transformers.RobertaModel.from_pretrained = classmethod(lambda cls, *args, **kwargs: cls(config))


def panns(folder: Path, weights: Path | None) -> Answers:
    """panns-inference: its network only, since importing the package downloads a list of labels."""
    spec = importlib.util.find_spec("panns_inference")
    assert spec is not None
    assert spec.submodule_search_locations
    package = types.ModuleType("panns_inference")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["panns_inference"] = package
    network = importlib.import_module("panns_inference.models").Cnn14(
        sample_rate=16000, window_size=512, hop_size=160, mel_bins=64, fmin=50, fmax=8000, classes_num=527
    )
    file = folder / "weights" / PANNS
    if weights is None:
        torch.save({"model": fill(network, GAIN).state_dict()}, file)
    else:
        file.symlink_to((weights / PANNS).resolve())
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True)["model"])
    # frechet-audio-distance looks for the same file under the name that its address has
    (folder / "weights" / PANNS.replace("=", "%3D")).symlink_to(PANNS)
    with torch.inference_mode():
        found = network.eval()(torch.from_numpy(waves(3, 16000, SECONDS)))
    return {"panns.embedding": found["embedding"].numpy(), "panns.probabilities": found["clipwise_output"].numpy()}


def frechet(folder: Path) -> Answers:
    """frechet-audio-distance on two folders of wavs, with PANNs at 16 kHz."""
    from frechet_audio_distance import FrechetAudioDistance

    for name, first in (("reference", 0), ("generated", 100)):
        for number in range(CLIPS):
            path = folder / "clips" / name / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = wave((first + number) % 3 if number < 3 else first + number, 16000, SECONDS) * (0.5 + 0.05 * number)
            soundfile.write(path, np.clip(sound, -1, 1), 16000, subtype="PCM_16")
    judge = FrechetAudioDistance(
        ckpt_dir=str(folder / "weights"), model_name="pann", sample_rate=16000, audio_load_worker=1
    )
    score = judge.score(str(folder / "clips" / "reference"), str(folder / "clips" / "generated"))
    return {"fad.score": np.asarray(float(score))}


def clap(folder: Path, weights: Path | None) -> Answers:
    """laion-clap: sound and text, HTSAT-base."""
    import laion_clap

    judge = laion_clap.CLAP_Module(enable_fusion=False, amodel="HTSAT-base", device="cpu")
    file = folder / "weights" / CLAP
    if weights is None:
        tensors = fill(judge.model, GAIN).state_dict()
        torch.save({"state_dict": {f"module.{name}": value for name, value in tensors.items()}}, file)
    else:
        file.symlink_to((weights / CLAP).resolve())
        judge.load_ckpt(str(file), verbose=False)
    generator = np.random.default_rng(7)
    ids, mask = np.ones((3, 77), np.int64), np.zeros((3, 77), np.int64)
    for row, length in enumerate((5, 9, 14)):
        ids[row, :length] = [0, *generator.integers(4, 50000, length - 2), 2]
        mask[row, :length] = 1
    tokens = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    with torch.inference_mode():
        sound = judge.get_audio_embedding_from_data(torch.from_numpy(waves(3, 48000, SECONDS)), use_tensor=True)
        text = judge.get_text_embedding(["", "", ""], tokenizer=lambda _: tokens, use_tensor=True)
    return {
        "clap.audio": sound.numpy(), "clap.text": text.numpy(), "clap.cosine": (text @ sound.T).numpy(),
        "input.ids": ids, "input.mask": mask,
    }  # fmt: skip


def main() -> None:
    """Run the packages one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="published files; by default weights are made by a rule")
    parser.add_argument("--offline", action="store_true", help="fetch nothing: no tokenizers, no RoBERTa to start from")
    parser.add_argument("--only", choices=["panns", "fad", "clap"], action="append")
    options = parser.parse_args()
    folder, chosen = options.folder, options.only or ["panns", "fad", "clap"]
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    for old in (folder / "weights").iterdir():
        old.unlink()
    if options.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    # Before the empty modules, which transformers would take for real ones.
    for name in ("BartModel", "BertModel", "RobertaModel"):
        getattr(importlib.import_module("transformers"), name)
    replaced = replace_bystanders()
    if options.offline:
        without_network()
    answers = panns(folder, options.weights)
    if "fad" in chosen:
        answers |= frechet(folder)
    if "clap" in chosen:
        answers |= clap(folder, options.weights)
    packages = {"panns": "panns-inference", "fad": "frechet-audio-distance", "clap": "laion-clap"}
    about: dict[str, Any] = {
        "versions": {name: importlib.metadata.version(package) for name, package in packages.items()},
        "packages": packages, "torch": torch.__version__, "numpy": np.__version__,
        "weights": "published files" if options.weights else f"by rule, gain {GAIN:g}",
        "empty_modules": replaced, "seconds": SECONDS,
    }  # fmt: skip
    np.savez(folder / "answers.part.npz", **answers)
    (folder / "about.json").write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
    os.replace(folder / "answers.part.npz", folder / "answers.npz")


if __name__ == "__main__":
    main()
