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

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator

from cafa.common.errors import InputError
from cafa.common.registry import Registry
from cafa.common.seeds import seed_for
from metrics.encoders.miniature.synchformer import GRID, MEL_STEP, window
from metrics.functional.desync import desync
from metrics.judge_quality.verdict import own_over_other, trained_measures
from metrics.judges.kinds import JUDGES
from metrics.judges.trained import MicroJudges
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
    """Everything that is measured on unshifted clips, one row per clip: ``<judge>.<column>``, ``.video``, ``.text``."""
    parts: dict[str, list[np.ndarray]] = {}
    for rows in _batches(clips):
        frames = clips.pictures(rows).numpy()
        found = judges.embed_sound(clips.sounds(rows).numpy(), frames)
        flat = {f"{judge}.{name}": array for judge, columns in found.items() for name, array in columns.items()}
        for judge in judges.trained:
            if JUDGES[judge].video_column:
                flat[f"{judge}.video"] = judges.embed_video(frames, judge)
            if JUDGES[judge].text_file is not None:
                flat[f"{judge}.text"] = judges.embed_text([clips.captions[row] for row in rows], judge)
        for name, array in flat.items():
            parts.setdefault(name, []).append(array)
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def category_retrieval(similarity: np.ndarray, targets: np.ndarray) -> float:
    """Share of rows whose most similar column, the row's own left out, has their label."""
    others = np.where(np.eye(len(targets), dtype=bool), -np.inf, similarity)
    return float((targets[others.argmax(axis=1)] == targets).mean())


def shifted_errors(judges: MicroJudges, clips: Clips, seed: int, dub: Dub | None = None) -> np.ndarray:
    """Absolute offset errors in seconds of shifted pairs, (clips, shifts); with `dub`, of dubbed ones."""
    model = judges.trained["synchformer"].model
    grid = torch.tensor(GRID)
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


@dataclass(frozen=True)
class CheckedClips:
    """Clips that judges are measured on, with what the judges made of them.

    Attributes
    ----------
    judges : MicroJudges
    clips : Clips
    targets : ndarray of int
        Index of each clip's label among the classifier's.
    found : mapping of str to ndarray
        One row per clip: ``<judge>.<column>`` of its own sound, ``<judge>.video``, ``<judge>.text`` of its own caption.
    seed : int
    dub : callable, optional
    """

    judges: MicroJudges
    clips: Clips
    targets: np.ndarray
    found: Mapping[str, np.ndarray]
    seed: int
    dub: Dub | None = None


def _classifier(checked: CheckedClips) -> dict[str, float]:
    return {"accuracy": float((checked.found["classifier.logits"].argmax(1) == checked.targets).mean())}


def _clap(checked: CheckedClips) -> dict[str, float]:
    to_captions = checked.found["clap.embedding"] @ checked.found["clap.text"].T
    return {"matched_over_other": own_over_other(to_captions, checked.targets)}


def _imagebind(checked: CheckedClips) -> dict[str, float]:
    to_pictures = checked.found["imagebind.video"] @ checked.found["imagebind.embedding"].T
    return {
        "own_over_other": own_over_other(to_pictures, checked.targets),
        "category_retrieval": category_retrieval(to_pictures, checked.targets),
    }


def _synchformer(checked: CheckedClips) -> dict[str, float]:
    found = checked.found
    true = desync(found["synchformer.logits_first"], found["synchformer.logits_last"], GRID)
    values = {"desync_true_seconds": float(true.seconds.mean())}
    for name, how in (("matched", None), ("dubbed", checked.dub)):
        if name == "matched" or how is not None:
            errors = shifted_errors(checked.judges, checked.clips, checked.seed, how)
            values[f"{name}_error_seconds"] = float(errors.mean())
            values[f"{name}_within_one_class"] = float((errors < 1.5 * (GRID[1] - GRID[0])).mean())
    return values


#: How each judge's `measures` are taken; a judge of a plugin registers its function here.
MEASURED: Registry[Callable[[CheckedClips], dict[str, float]]] = Registry(
    "measured judge",
    {"classifier": _classifier, "clap": _clap, "imagebind": _imagebind, "synchformer": _synchformer},
)


def measure(judges: MicroJudges, clips: Clips, seed: int, dub: Dub | None = None) -> dict[str, dict[str, float]]:
    """Values of all measures of judges that were trained; those of dubbed pairs only where `dub` can make them.

    Raises
    ------
    InputError
        If a clip's label is not one that the classifier knows, or nothing measures what a judge must reach.
    """
    known = judges.trained["classifier"].card["labels"]
    unknown = sorted(set(clips.labels) - set(known))
    if unknown:
        raise InputError(f"labels that the judges were not trained on: {unknown}; they know {known}")
    targets = np.array([known.index(clips.labels[target]) for target in clips.targets])
    checked = CheckedClips(judges, clips, targets, _embed(judges, clips), seed, dub)
    demanded = [name for name in judges.trained if trained_measures()[name]]
    return {name: MEASURED[name](checked) if name in demanded else {} for name in judges.trained}
