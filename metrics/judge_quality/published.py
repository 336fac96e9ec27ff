"""Canaries of pretrained judges: are these the networks that they claim to be, and can they judge?

Without clips
-------------
largest_cosine_of_different_sounds
    Of embeddings of noise, a chirp and clicks: a network that does not react (empty or half-loaded weights) is near 1.
largest_cosine_of_different_pictures
    The same for still grey, noise and a moving edge (ImageBind, Synchformer).
levels.loudness_error_of_test_signal
    LU between the loudness of the first test signal of EBU Tech 3341 and what is measured of it. Judges without weights
    are no networks, and have none of the measures above.
clap.largest_cosine_of_unrelated_captions
    Some converted checkpoints map all captions to one point.
clap.paraphrase_retrieval
    Share of captions whose closest other caption is the one that says the same in other words.

On the clips of a data set (from their embeddings)
--------------------------------------------------
A judge at chance has 0.5; published weights are far above on any real data set. How strict the demand is depends on
the number of clips, so that chance refuses no good judge (:mod:`metrics.judge_quality.limits`).

classifier.same_over_other
    Share of (sound, sound of the same label, sound of another) where the first two are closer.
clap.matched_over_other
    Share of (sound, caption of another label) where the sound is closer to its own caption.
imagebind.own_over_other
    Share of (picture, sound of another label) where the picture is closer to its own sound.
synchformer.desync_of_own_sound
    DeSync of the clips' own sound, seconds; an answer at random would be 1.05.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import InputError
from metrics.embedding.reading import CLIP_KEY, TEXT_KEY, Embeddings, read_embeddings
from metrics.encoders.clap.tokenizer import LARGEST_COSINE, UNRELATED
from metrics.functional.desync import desync
from metrics.judge_quality.limits import Demand, Mean, Trials
from metrics.judge_quality.verdict import own_over_other, report, thresholds
from metrics.judges.kinds import JUDGES
from metrics.judges.level_names import LARGEST_ERROR, LEVELS, METER_ERROR
from metrics.judges.published_judge import PublishedJudge
from metrics.judges.synthetic_signals import wave

SECONDS = 5.0
#: Clips of a data set that are compared with each other: evenly spaced, if there are more.
MOST_CLIPS = 1000
PARAPHRASES = (
    ("a dog barking", "a puppy is woofing loudly"),
    ("heavy rain on a roof", "a downpour, water falling from the sky"),
    ("a crowd clapping", "an audience applauds"),
    ("a car engine starting", "someone turns the key of an automobile and the motor runs"),
    ("a baby crying", "an infant wails"),
    ("typing on a keyboard", "someone writes on a computer"),
    ("playing the piano", "a pianist performs a melody"),
    ("a church bell ringing", "chimes of a cathedral tower"),
    ("a cat meowing", "a kitten is mewing"),
    ("thunder in the distance", "a storm rumbles far away"),
    ("someone laughing", "a person giggles and chuckles"),
    ("frying food in a pan", "oil sizzles while something is cooked"),
    ("a train passing by", "a locomotive and its wagons rush past on the rails"),
    ("birds singing in a forest", "chirping and tweeting among the trees"),
    ("waves breaking on a beach", "the sea washes up on the shore"),
    ("a helicopter overhead", "the rotor of a chopper thumps in the air"),
    ("a man speaking", "a male voice is talking"),
    ("playing electric guitar", "someone strums an amplified six-string"),
    ("a fire crackling", "burning logs pop and snap"),
    ("a telephone ringing", "somebody gets a phone call"),
    ("a horse galloping", "hooves clatter quickly over the ground"),
    ("glass breaking", "a window shatters into pieces"),
    ("snoring", "a person sleeps and breathes noisily"),
    ("sawing wood", "someone cuts a plank with a handsaw"),
)
_Limits = dict[str, tuple[Literal[">=", "<="], float]]
REACTS: _Limits = {"largest_cosine_of_different_sounds": ("<=", 0.999)}
LOOKS: _Limits = {"largest_cosine_of_different_pictures": ("<=", 0.999)}

#: What is demanded of measures that vary by chance. The share that a good text encoder finds was not measured here: 0.6
#: is far below what such sentences should give, and far above a guess.
DEMANDS: dict[str, Demand] = {
    "paraphrase_retrieval": Trials(good=0.6, guessing=1 / (2 * len(PARAPHRASES) - 1)),
    "same_over_other": Mean(wanted=0.6, good=0.7, guessing=0.5, clips_each=3),
    "matched_over_other": Mean(wanted=0.6, good=0.7, guessing=0.5, clips_each=2),
    "own_over_other": Mean(wanted=0.6, good=0.7, guessing=0.5, clips_each=2),
    "desync_of_own_sound": Mean(wanted=0.9, good=0.6, guessing=1.05, clips_each=1, span=2.0),
}

#: Measure by judge: direction in which it is good, default threshold (with many clips, where it depends on them). A
#: network that is not named must react to sounds, and to pictures if it looks at some (:func:`canaries_of`).
CANARIES: dict[str, _Limits] = {
    "classifier": {**REACTS, "same_over_other": (">=", 0.6)},
    "clap": {
        **REACTS,
        "largest_cosine_of_unrelated_captions": ("<=", LARGEST_COSINE),
        "paraphrase_retrieval": (">=", DEMANDS["paraphrase_retrieval"].threshold(len(PARAPHRASES))),
        "matched_over_other": (">=", 0.6),
    },
    "imagebind": {**REACTS, **LOOKS, "own_over_other": (">=", 0.6)},
    "synchformer": {**REACTS, **LOOKS, "desync_of_own_sound": ("<=", 0.9)},
}
#: The same for judges without weights, which measure it themselves.
WITHOUT_WEIGHTS: dict[str, _Limits] = {LEVELS: {METER_ERROR: ("<=", LARGEST_ERROR)}}


def canaries_of(judge: str) -> _Limits:
    """What is demanded of a judge."""
    if not JUDGES[judge].weights:
        return WITHOUT_WEIGHTS.get(judge, {})
    by_default = {**REACTS, **(LOOKS if "video" in JUDGES[judge].parts else {})}
    return CANARIES.get(judge, by_default)


class CanarySettings(BaseModel):
    """What judges must reach."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    thresholds: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="{judge: {measure: number}}; see metrics.judge_quality.published.CANARIES"
    )


def largest_cosine(embeddings: np.ndarray) -> float:
    """Largest cosine of two different rows of an array (n, ...)."""
    rows = np.asarray(embeddings, np.float64).reshape(len(embeddings), -1)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(rows).all() or not norms.all():
        return 1.0  # nothing can be told apart by it
    cosines = (rows / norms) @ (rows / norms).T
    return float(cosines[~np.eye(len(rows), dtype=bool)].max())


def paraphrase_retrieval(first: np.ndarray, second: np.ndarray) -> float:
    """Share of rows of `first` whose closest row of all others, in both arrays, is their own of `second`."""
    every = np.concatenate((first, second))
    cosines = every @ every.T
    np.fill_diagonal(cosines, -np.inf)
    return float((cosines[: len(first)].argmax(axis=1) == np.arange(len(first)) + len(first)).mean())


def same_over_other(embeddings: np.ndarray, targets: np.ndarray) -> float | None:
    """Share of triples (row, another of its label, one of another label) where the first two are closer.

    None if no label has two rows, or there is only one label.
    """
    rows = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines = rows @ rows.T
    same = (targets[:, None] == targets[None, :]) & ~np.eye(len(rows), dtype=bool)
    other = targets[:, None] != targets[None, :]
    shares = [
        (np.searchsorted(np.sort(cosines[row][other[row]]), cosines[row][same[row]]) / other[row].sum()).mean()
        for row in np.flatnonzero(same.any(axis=1) & other.any(axis=1))
    ]
    return float(np.mean(shares)) if shares else None


def without_clips(judges: Mapping[str, PublishedJudge]) -> dict[str, dict[str, float]]:
    """Measures that need no clips, of judges that are loaded for everything."""
    values: dict[str, dict[str, float]] = {}
    for name, judge in judges.items():
        judge.check_length(SECONDS)
        if not JUDGES[name].weights:
            measured = judge.measures()
            values[name] = {measure: measured[measure]["value"] for measure in canaries_of(name)}
            continue
        encoder = judge.audio
        sounds = [wave(index, encoder.sample_rate, SECONDS) for index in range(3)]
        found = encoder.embed([encoder.prepare(sound, encoder.sample_rate, SECONDS) for sound in sounds])
        values[name] = {"largest_cosine_of_different_sounds": largest_cosine(found)}
        if judge.video_encoder is not None:
            pictures = judge.video_encoder.embed(_pictures(judge.fewest_frames))
            values[name]["largest_cosine_of_different_pictures"] = largest_cosine(pictures)
        if "paraphrase_retrieval" in canaries_of(name):
            first, second = (judge.embed_text([pair[which] for pair in PARAPHRASES]) for which in (0, 1))
            values[name]["paraphrase_retrieval"] = paraphrase_retrieval(first, second)
            values[name]["largest_cosine_of_unrelated_captions"] = largest_cosine(judge.embed_text(UNRELATED))
    return values


def _pictures(frames: int) -> list[np.ndarray]:
    """Still grey, noise and a moving edge, each uint8 (frames, 224, 224, 3)."""
    generator = np.random.default_rng(0)
    edge = np.zeros((frames, 224, 224, 3), np.uint8)
    for frame in range(frames):
        edge[frame, :, : 224 * (frame + 1) // (frames + 1)] = 255
    return [np.full_like(edge, 128), generator.integers(0, 256, edge.shape, dtype=np.uint8), edge]


def on_clips(
    judges: Collection[str], folders: Sequence[Path], text: Path, manifest: pd.DataFrame
) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Measures on a data set whose clips and captions are embedded.

    Parameters
    ----------
    judges : collection of str
        Those that embedded the clips; of judges that are not in :data:`ON_CLIPS` nothing is measured.
    folders : sequence of path
        Embeddings of the clips (``cafa embed reference``).
    text : path
        Embeddings of captions; clips whose caption is not among them are left out of what CLAP is measured on.
    manifest : DataFrame
        clip_id, label, caption.

    Returns
    -------
    dict
        judge -> measure -> value.
    dict
        measure -> clips that it was measured on.
    """

    classifier = _of_clips("classifier", folders, "embedding")
    known = manifest[manifest["clip_id"].isin(classifier.keys()["clip_id"])].sort_values("clip_id")
    if known.empty:
        raise InputError("no clip of the manifest is among the embeddings of the clips: name the manifest of their set")
    known = known.iloc[np.unique(np.linspace(0, len(known) - 1, min(MOST_CLIPS, len(known))).astype(int))]
    targets = known["label"].astype("category").cat.codes.to_numpy()
    values: dict[str, dict[str, float]] = {}
    sizes: dict[str, int] = {}
    for judge, (measure, measured) in ON_CLIPS.items():
        if judge in judges:
            value, sizes[measure] = measured(folders, text, known, targets)
            values[judge] = {} if value is None else {measure: value}
    return values, sizes


def _of_clips(judge: str, folders: Sequence[Path], *columns: str) -> Embeddings:
    return read_embeddings([folder / f"{judge}.parquet" for folder in folders], CLIP_KEY, columns)


def _same(folders: Sequence[Path], text: Path, known: pd.DataFrame, targets: np.ndarray) -> tuple[float | None, int]:
    sounds = _of_clips("classifier", folders, "embedding").take(known, "embedding")
    return same_over_other(sounds, targets), len(known)


def _matched(folders: Sequence[Path], text: Path, known: pd.DataFrame, targets: np.ndarray) -> tuple[float | None, int]:
    captions = read_embeddings([text], TEXT_KEY, ("embedding",))
    captioned = known["caption"].isin(captions.keys()["caption"]).to_numpy()
    rows = known[captioned]
    sounds = _of_clips("clap", folders, "embedding").take(rows, "embedding")
    return _over_other(sounds, captions.take(rows, "embedding"), targets[captioned]), len(rows)


def _own(folders: Sequence[Path], text: Path, known: pd.DataFrame, targets: np.ndarray) -> tuple[float | None, int]:
    pictures = _of_clips("imagebind", folders, "embedding", "video")
    return _over_other(pictures.take(known, "video"), pictures.take(known, "embedding"), targets), len(known)


def _desync(folders: Sequence[Path], text: Path, known: pd.DataFrame, targets: np.ndarray) -> tuple[float | None, int]:
    judge = _of_clips("synchformer", folders, "logits_first", "logits_last")
    if judge.grid is None:
        raise InputError(f"{judge.source}: the metadata hold no `grid` of offsets in seconds")
    own = desync(judge.take(known, "logits_first"), judge.take(known, "logits_last"), judge.grid)
    return float(own.seconds.mean()), len(known)


#: What is measured of a judge on clips: its measure, and the function (folders, text, clips, their labels' numbers) of
#: its value and of the number of clips behind it.
ON_CLIPS: dict[
    str, tuple[str, Callable[[Sequence[Path], Path, pd.DataFrame, np.ndarray], tuple[float | None, int]]]
] = {
    "classifier": ("same_over_other", _same),
    "synchformer": ("desync_of_own_sound", _desync),
    "imagebind": ("own_over_other", _own),
    "clap": ("matched_over_other", _matched),
}


def _over_other(first: np.ndarray, second: np.ndarray, targets: np.ndarray) -> float | None:
    if len(np.unique(targets)) < 2:
        return None
    one, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (first, second))
    return own_over_other(one @ other.T, targets)


def verdict(
    values: Mapping[str, Mapping[str, float]],
    more: Mapping[str, Mapping[str, float]],
    settings: CanarySettings,
    cards: Mapping[str, Mapping[str, Any]],
    sizes: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Verdict on the judges, as from ``cafa judges check``, with the network and the files of each.

    A measure that varies by chance also has ``errors`` (:class:`metrics.judge_quality.limits.Errors`). `sizes` says
    on how many clips a measure was taken.
    """
    sizes = {"paraphrase_retrieval": len(PARAPHRASES), **(sizes or {})}
    merged = {name: {**found, **more.get(name, {})} for name, found in values.items()}
    weights = {name: str(card["weights_sha256"]) for name, card in cards.items()}
    demanded = {name: canaries_of(name) for name in merged}
    limits = thresholds(settings.thresholds, demanded)
    for judge_name, rows in limits.items():
        for measure in (rows.keys() & sizes.keys()) - settings.thresholds.get(judge_name, {}).keys():
            rows[measure] = DEMANDS[measure].threshold(sizes[measure])
    found = report(merged, limits, weights, demanded)
    for name, judge in found["judges"].items():
        for measure, row in judge["measures"].items():
            if measure in sizes:
                row["errors"] = asdict(DEMANDS[measure].errors(row["threshold"], sizes[measure]))
        judge |= {"network": cards[name]["model"], "files": cards[name]["files"]}
    return found
