"""Golden arrays of the judges of later papers: what the published packages compute, with weights that a rule makes.

    PYTHONPATH=. REFERENCE/bin/python workflow/scripts/record_golden.py --folder tests/golden/evaluators

Written: ``passt.npz``, ``vggish.npz``, ``ms_clap.npz``, ``audiobox.npz``, at published size and, under ``small_``, with
the small networks of `reference_judges.small_sizes`; ``--only`` names some of them.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reference_judges import (
    audiobox_predictor,
    audiobox_ratings,
    ms_clap_audio,
    ms_clap_wrapper,
    passt_network,
    small_sizes,
    token_ids,
    vggish_network,
    vggish_pieces,
    vggish_postprocess,
)

from metrics.judges.synthetic_signals import normal, waves
from metrics.parity.weights import GAIN, fill

Arrays = dict[str, np.ndarray]


def record_passt() -> Arrays:
    """10 s, and 4 s filled up with zeros as av-benchmark does it."""
    found: Arrays = {}
    sound = torch.from_numpy(waves(2, 32000, 10.0))
    short = torch.nn.functional.pad(torch.from_numpy(waves(1, 32000, 4.0)), (0, 6 * 32000))
    for prefix, sizes in (("small_", small_sizes().passt), ("", None)):
        wrapper, _ = passt_network(sizes)
        fill(wrapper.net, GAIN)
        whole, padded = wrapper(sound).numpy(), wrapper(short).numpy()
        found |= {f"{prefix}logits": whole[:, :527], f"{prefix}emb": whole[:, 527:], f"{prefix}emb_4s": padded[:, 527:]}
    mel = wrapper.mel(sound)
    return found | {"logmel_shape": np.asarray(mel.shape), "logmel_sub": mel[:, :, ::20].numpy()}


def record_vggish() -> Arrays:
    """5 s: five pieces; without the last ReLU, with it, and after PCA and steps."""
    network = vggish_network()
    fill(network, GAIN)
    pieces = torch.stack([vggish_pieces(one) for one in waves(3, 16000, 5.0)])
    relu = network(pieces.flatten(0, 1))
    network.embeddings = network.embeddings[:-1]
    eigenvectors, means = (normal(seed, *shape).numpy() for seed, shape in ((51, (128, 128)), (52, (128,))))
    processed = vggish_postprocess(relu, 0.2 * eigenvectors, 0.1 * means)
    split = pieces.shape[:2]
    return {
        "logmel_shape": np.asarray(pieces[:, :, 0].shape),
        "logmel_sub": pieces[:, :, 0, ::8].numpy(),
        "emb": network(pieces.flatten(0, 1)).unflatten(0, split).numpy(),
        "emb_relu": relu.unflatten(0, split).numpy(),
        "emb_pca": processed.unflatten(0, split).numpy(),
    }


def record_ms_clap() -> Arrays:
    """5 s (repeated) and 7 s at 48 kHz (resampled by torchaudio); three captions of made-up tokens."""
    ids, mask = token_ids((4, 9, 14))
    tokens = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    found: Arrays = {"input_ids": ids}
    for prefix, sizes in (("small_", small_sizes().ms_clap), ("", None)):
        wrapper, _ = ms_clap_wrapper(sizes)
        fill(wrapper.clap, GAIN)
        for seconds in (5, 7):
            sound = waves(2, 48000, float(seconds))
            found[f"{prefix}audio_embed_{seconds}s"] = ms_clap_audio(wrapper, sound, 48000)
        found[f"{prefix}text_embed"] = wrapper._get_text_embeddings(tokens).numpy()
    return found


def record_audiobox() -> Arrays:
    """Stereo at 44.1 kHz, 3 s (one piece, mostly filled up) and 12 s (two pieces); order CE, CU, PC, PQ."""
    found: Arrays = {}
    for prefix, sizes in (("", None), ("small_", small_sizes().audiobox)):
        predictor, _ = audiobox_predictor(sizes)
        fill(predictor.model, GAIN)
        for seconds in (3, 12):
            mono = waves(2, 44100, float(seconds))
            sound = np.stack((mono, 0.5 * mono[::-1]), axis=1)
            found[f"{prefix}ratings_{seconds}s"] = audiobox_ratings(predictor, sound, 44100)
    return found


RECORDERS: dict[str, Callable[[], Arrays]] = {
    "passt": record_passt,
    "vggish": record_vggish,
    "ms_clap": record_ms_clap,
    "audiobox": record_audiobox,
}


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only", choices=list(RECORDERS), nargs="+", default=list(RECORDERS))
    options = parser.parse_args()
    for name in options.only:
        with torch.inference_mode():
            arrays: dict[str, Any] = dict(RECORDERS[name]())
        np.savez_compressed(options.folder / f"{name}.npz", mult=np.asarray(GAIN), **arrays)
        print(f"{name}.npz: {(options.folder / f'{name}.npz').stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
