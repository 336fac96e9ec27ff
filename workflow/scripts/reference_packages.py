"""Reference implementations that are installed packages: panns-inference, frechet-audio-distance, laion-clap."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from reference_standins import bare_package, importing, replace_modules

from cafa.models.checkpoint_reader import read_tensors
from metrics.judges.synthetic_signals import wave, waves
from metrics.parity.weights import GAIN, fill

PANNS, CLAP = "Cnn14_16k_mAP=0.438.pth", "music_speech_audioset_epoch_15_esc_89.98.pt"
CLIPS, SECONDS = 8, 3.0
#: What a package answered (with what went in), what had to be replaced so that it could be imported, what was compared.
Said = tuple[dict[str, np.ndarray], list[str], str]


def without_network() -> None:
    """LAION-CLAP fetches tokenizers and RoBERTa's weights when it is built; both are overwritten or not used here."""
    import transformers

    for name in ("BertTokenizer", "RobertaTokenizer", "BartTokenizer"):
        getattr(transformers, name).from_pretrained = classmethod(lambda cls, *args, **kwargs: None)
    config = transformers.RobertaConfig(
        vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5
    )
    roberta: Any = transformers.RobertaModel
    roberta.from_pretrained = classmethod(lambda cls, *args, **kwargs: cls(config))


def transformers_first() -> None:
    """Import transformers before any empty module, which it would take for a real one."""
    for name in ("BartModel", "BertModel", "RobertaModel"):
        getattr(importlib.import_module("transformers"), name)


def take_panns(published: Path, file: Path) -> None:
    """Put the published network where packages look for it, without its sampler's arrays, which torch will not read."""
    torch.save({"model": read_tensors(published, "model")}, file)


def panns(folder: Path, weights: Path | None, offline: bool) -> Said:
    """panns-inference: its network only, since importing the package downloads a list of labels."""
    replaced = replace_modules(["torchaudio"])
    with importing():
        bare_package("panns_inference")
        models = importlib.import_module("panns_inference.models")
    network = models.Cnn14(
        sample_rate=16000, window_size=512, hop_size=160, mel_bins=64, fmin=50, fmax=8000, classes_num=527
    )
    file = folder / "weights" / PANNS
    if weights is None:
        torch.save({"model": fill(network, GAIN).state_dict()}, file)
    else:
        take_panns(weights / PANNS, file)
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True)["model"])
    # frechet-audio-distance looks for the same file under the name that its address has
    (folder / "weights" / PANNS.replace("=", "%3D")).symlink_to(PANNS)
    sound = waves(3, 16000, SECONDS)
    with torch.inference_mode():
        found = network.eval()(torch.from_numpy(sound))
    answers = {
        "panns.embedding": found["embedding"].numpy(),
        "panns.probabilities": found["clipwise_output"].numpy(),
        "input.panns.sound": sound,
    }
    return answers, replaced, "from the waveform"


def bursts() -> list[np.ndarray]:
    """Sounds unlike those of `wave`, so that the distance is of the size of published ones: tones that come and go."""
    time = np.arange(int(16000 * SECONDS)) / 16000
    noise = [np.random.default_rng(number).standard_normal(len(time)) for number in range(CLIPS)]
    return [
        0.4 * np.sin(2 * np.pi * (150 + 110 * number) * time) * (np.mod(time, 0.2 + 0.05 * number) < 0.1) + 0.02 * faint
        for number, faint in enumerate(noise)
    ]


def frechet(folder: Path, weights: Path | None, offline: bool) -> Said:
    """frechet-audio-distance on two folders of wavs, with the PANNs that the package before left."""
    transformers_first()
    replaced = replace_modules(["torchvision", "torchaudio", "encodec"])
    if offline:
        without_network()
    with importing():
        from frechet_audio_distance import FrechetAudioDistance
    judge = FrechetAudioDistance(
        ckpt_dir=str(folder / "weights"), model_name="pann", sample_rate=16000, audio_load_worker=1
    )
    statistics = []
    reference = [wave(number, 16000, SECONDS) for number in range(CLIPS)]
    for name, sounds in (("reference", reference), ("generated", bursts())):
        rows = []
        for number, sound in enumerate(sounds):
            path = folder / "clips" / name / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.clip(sound * (0.5 + 0.05 * number), -1, 1), 16000, subtype="PCM_16")
            rows.append(judge.get_embeddings([soundfile.read(path, dtype="float32")[0]], sr=16000))
        statistics += judge.calculate_embd_statistics(np.stack(rows))
    note = "from wav files"
    printed = judge.score(str(folder / "clips" / "reference"), str(folder / "clips" / "generated"))
    score = judge.calculate_frechet_distance(*statistics)
    if not np.isclose(printed, score, rtol=1e-3):
        # Version 0.3.4 joins the embeddings of all files to one vector before it takes their covariance.
        note += f", by its own functions file by file; its score() of the two folders says {float(printed):g}"
    return {"fad.score": np.asarray(float(score))}, replaced, note


def clap(folder: Path, weights: Path | None, offline: bool) -> Said:
    """laion-clap: sound and text, HTSAT-base."""
    transformers_first()
    replaced = replace_modules(["torchvision", "torchaudio"])
    if offline:
        without_network()
    with importing():
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
    sound = waves(3, 48000, SECONDS)
    with torch.inference_mode():
        heard = judge.get_audio_embedding_from_data(torch.from_numpy(sound), use_tensor=True)
        text = judge.get_text_embedding(["", "", ""], tokenizer=lambda _: tokens, use_tensor=True)
    answers = {
        "clap.audio": heard.numpy(),
        "clap.text": text.numpy(),
        "clap.cosine": (text @ heard.T).numpy(),
        "input.clap.ids": ids,
        "input.clap.mask": mask,
        "input.clap.sound": sound,
    }
    return answers, replaced, "from the waveform, and from token ids"
