"""Are the judges good enough to judge? Measured on clips they were not trained on.

Measures (defaults of the thresholds: :mod:`metrics.judges.kinds`)
-------------------------------------------------------------------------------
classifier.accuracy
    Share of real sounds given their own label.
clap.matched_over_other
    Share of (sound, caption of another label) where the sound is closer to its own caption.
imagebind.own_over_other
    Share of (picture, sound of another label) where the picture is closer to its own sound.
imagebind.category_retrieval
    Share of pictures whose closest sound, its own left out, has their label.
synchformer.matched_*, dubbed_*
    Error of the offset (and share within one class) on pairs shifted by known offsets, every class equally
    likely (an answer that is always 0 would be 0.499 s off, a random one 0.666 s): with the clip's own sound,
    and with the sound of another label at the same event times, which is what a generated sound for another
    prompt must be judged as.
synchformer.desync_true_seconds
    DeSync of the clips' own sound, which is 0 by construction.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Generator

from cafa.common.errors import InputError
from cafa.common.seeds import seed_for
from metrics.encoders.miniature.all import MicroJudges
from metrics.encoders.miniature.synchformer import MEL_STEP, window
from metrics.functional.desync import desync
from metrics.judge_quality.verdict import own_over_other
from metrics.judges.training.batches import draw_pairs
from metrics.judges.training.clips import Clips

#: (row of the clip, another label) -> log-mel of that label's sound at the clip's own event times.
Dub = Callable[[int, str], np.ndarray]

BATCH = 32
#: Offsets tried for each clip.
SHIFTS = 4


def _batches(clips: Clips) -> Iterator[list[int]]:
    return (list(range(at, min(at + BATCH, len(clips)))) for at in range(0, len(clips), BATCH))


def _embed(judges: MicroJudges, clips: Clips) -> dict[str, np.ndarray]:
    """Everything that is measured on unshifted clips, one row per clip."""
    parts: dict[str, list[np.ndarray]] = {}
    for rows in _batches(clips):
        frames = clips.pictures(rows).numpy()
        found = judges.embed_sound(clips.sounds(rows).numpy(), frames)
        flat = {f"{judge}.{name}": array for judge, columns in found.items() for name, array in columns.items()}
        flat["video"] = judges.embed_video(frames)
        flat["text"] = judges.embed_text([clips.captions[row] for row in rows])
        for name, array in flat.items():
            parts.setdefault(name, []).append(array)
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def category_retrieval(similarity: np.ndarray, targets: np.ndarray) -> float:
    """Share of rows whose most similar column, the row's own left out, has their label."""
    others = np.where(np.eye(len(targets), dtype=bool), -np.inf, similarity)
    return float((targets[others.argmax(axis=1)] == targets).mean())


def shifted_errors(judges: MicroJudges, clips: Clips, seed: int, dub: Dub | None = None) -> np.ndarray:
    """Absolute offset errors in seconds of shifted pairs, (clips, shifts); with `dub`, of dubbed ones."""
    model = judges.judges["synchformer"].model
    grid = torch.tensor(judges.grid)
    errors = []
    for row, clip_id in enumerate(clips.clip_ids):
        generator = Generator().manual_seed(seed_for(seed, "shifts", clip_id))
        starts, sound_starts, target = draw_pairs(clips.frames.shape[0], SHIFTS, generator)
        if dub is None:
            mel = clips.sounds([row])
        else:
            others = [label for at, label in enumerate(clips.labels) if at != clips.targets[row]]
            mel = torch.from_numpy(dub(row, others[seed_for(seed, "dub", clip_id) % len(others)]))[None]
        frames = clips.pictures([row])
        pictures = torch.cat([window(frames, at) for at in starts.tolist()])
        sounds = torch.cat([window(mel, at, MEL_STEP) for at in sound_starts.tolist()])
        with torch.inference_mode():
            found = model(pictures.to(judges.device), sounds.to(judges.device)).argmax(-1).cpu()
        errors.append((grid[found] - grid[target]).abs().numpy())
    return np.stack(errors)


def measure(judges: MicroJudges, clips: Clips, seed: int, dub: Dub | None = None) -> dict[str, dict[str, float]]:
    """Values of all measures; those of dubbed pairs only where `dub` can make them.

    Raises
    ------
    InputError
        If a clip's label is not one that the classifier knows.
    """
    known = judges.judges["classifier"].card["labels"]
    unknown = sorted(set(clips.labels) - set(known))
    if unknown:
        raise InputError(f"labels that the judges were not trained on: {unknown}; they know {known}")
    found = _embed(judges, clips)
    targets = np.array([known.index(clips.labels[target]) for target in clips.targets])
    step = judges.grid[1] - judges.grid[0]
    to_captions = found["clap.embedding"] @ found["text"].T
    to_pictures = found["video"] @ found["imagebind.embedding"].T
    true = desync(found["synchformer.logits_first"], found["synchformer.logits_last"], judges.grid)
    values = {
        "classifier": {"accuracy": float((found["classifier.logits"].argmax(1) == targets).mean())},
        "clap": {"matched_over_other": own_over_other(to_captions, targets)},
        "imagebind": {
            "own_over_other": own_over_other(to_pictures, targets),
            "category_retrieval": category_retrieval(to_pictures, targets),
        },
        "synchformer": {"desync_true_seconds": float(true.seconds.mean())},
    }
    for name, how in (("matched", None), ("dubbed", dub)):
        if name == "matched" or how is not None:
            errors = shifted_errors(judges, clips, seed, how)
            values["synchformer"][f"{name}_error_seconds"] = float(errors.mean())
            values["synchformer"][f"{name}_within_one_class"] = float((errors < 1.5 * step).mean())
    return values
