"""Data sets of the rendered world: which clips there are, what is true of them, and their files.

Everything about a clip follows from (seed, data set, clip_id): neither other clips nor the order of rendering matter.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from cafa.common.errors import InputError
from cafa.common.journal import Journal
from cafa.common.seeds import seed_for
from cafa.world.categories import CATEGORIES, caption, slug_of
from cafa.world.controls import shuffled_sound
from cafa.world.difficulty import Difficulty
from cafa.world.encode import write_mp4
from cafa.world.scene import RATE, SECONDS, Scene, draw_scene, render_frames
from cafa.world.sounds import SAMPLE_RATE, render_sound
from cafa.world.wrong_sounds import OTHER_CATEGORY, RIGHT, kind_of_sound, wrong_category

#: Licence of everything rendered.
LICENCE = "CC0-1.0"

_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_CLIP_ID = re.compile(
    r"(?P<dataset>[A-Za-z0-9][A-Za-z0-9_.-]{0,39})-(?P<slug>"
    + "|".join(map(slug_of, CATEGORIES))
    + r")-(?P<index>\d{5})"
)


def clip_id_of(dataset: str, category: str, index: int) -> str:
    """Name of a clip, ``<dataset>-<category with hyphens>-<five digits>``.

    Raises
    ------
    InputError
        The data set's name holds other characters than letters, digits, ``_``, ``.``, ``-``, or is longer than 40;
        the category is unknown; the index has more than five digits.
    """
    if not _DATASET.fullmatch(dataset):
        raise InputError(f"data set {dataset!r}: use 1 to 40 letters, digits, '_', '.', '-', not starting with a sign")
    if not 0 <= index < 100_000:
        raise InputError(f"clip index {index} is not in 0 to 99999")
    return f"{dataset}-{slug_of(category)}-{index:05d}"


def parse_clip_id(clip_id: str) -> tuple[str, str, int]:
    """Data set, category and index of a clip of this world.

    Raises
    ------
    InputError
        Not a name that :func:`clip_id_of` gives.
    """
    match = _CLIP_ID.fullmatch(clip_id)
    if match is None:
        raise InputError(f"{clip_id!r} is not a clip of the rendered world: expected <dataset>-<category>-<5 digits>")
    return match["dataset"], match["slug"].replace("-", " "), int(match["index"])


def _rng(seed: int, clip_id: str, part: str) -> np.random.Generator:
    return np.random.default_rng(seed_for(seed, parse_clip_id(clip_id)[0], clip_id, part))


def scene_of(clip_id: str, seed: int, difficulty: Difficulty | None = None) -> Scene:
    """Scene of a clip; its events and feints are the truth about it.

    Parameters
    ----------
    clip_id : str
        A name that :func:`clip_id_of` gives.
    seed : int
        Of the data set.
    difficulty : Difficulty, optional
        The defaults where absent.
    """
    return draw_scene(parse_clip_id(clip_id)[1], _rng(seed, clip_id, "scene"), difficulty)


def sound_of(clip_id: str, seed: int, difficulty: Difficulty | None = None, *, wrong_sounds: float = 0.0) -> np.ndarray:
    """Sound of a clip before encoding, (51200,) float32 at 16 kHz, peak at most 0.95.

    Parameters
    ----------
    clip_id, seed, difficulty
        As in :func:`scene_of`.
    wrong_sounds : float
        Share of the clips that get a sound which does not belong to their picture (:mod:`cafa.world.wrong_sounds`).
    """
    kind = kind_of_sound(clip_id, seed, wrong_sounds)
    if kind != RIGHT:
        shown = parse_clip_id(clip_id)[1]
        heard = wrong_category(clip_id, shown, seed) if kind == OTHER_CATEGORY else shown
        return shuffled_sound(clip_id, kind, heard, seed, difficulty)
    scene = scene_of(clip_id, seed, difficulty)
    return render_sound(
        scene.category,
        scene.event_times,
        scene.event_levels,
        SECONDS,
        SAMPLE_RATE,
        _rng(seed, clip_id, "sound"),
        difficulty,
    )


def plan(
    dataset: str, clips_per_category: int, seed: int, split: str = "train", validation_per_category: int = 0
) -> pd.DataFrame:
    """List the clips of a data set as a manifest.

    Parameters
    ----------
    dataset : str
        Its name; two names share no clip.
    clips_per_category : int
        How many clips of each of the twelve categories, validation included.
    seed : int
        Base seed.
    split : str
        Split of the clips that are not for validation.
    validation_per_category : int
        So many clips of each category, those of the lowest index, get the split ``validation``.

    Returns
    -------
    pandas.DataFrame
        Columns clip_id, uri, start, duration, label, caption, split, licence. Categories take turns, so that any
        leading part is balanced. A larger `clips_per_category` appends rows and changes none.
    """
    if clips_per_category < 1:
        raise InputError(f"clips_per_category is {clips_per_category}: ask for at least one")
    if not 0 <= validation_per_category <= clips_per_category:
        raise InputError(f"validation_per_category is {validation_per_category}, of {clips_per_category} clips")
    rows = []
    for index in range(clips_per_category):
        for category in CATEGORIES:
            clip_id = clip_id_of(dataset, category, index)
            rows.append(
                {
                    "clip_id": clip_id,
                    "uri": f"{clip_id}.mp4",
                    "start": 0.0,
                    "duration": SECONDS,
                    "label": category,
                    "caption": caption(category, _rng(seed, clip_id, "caption")),
                    "split": "validation" if index < validation_per_category else split,
                    "licence": LICENCE,
                }
            )
    return pd.DataFrame(rows)


def event_times(
    clip_ids: list[str], seed: int, difficulty: Difficulty | None = None, *, wrong_sounds: float | None = None
) -> pd.DataFrame:
    """What is true of clips and is written nowhere in their files.

    Parameters
    ----------
    clip_ids : list of str
        Clips, e.g. ``plan(...)["clip_id"]``.
    seed : int
        Base seed that their data set was planned with.
    difficulty : Difficulty, optional
        What they are rendered with.
    wrong_sounds : float, optional
        Share of clips with a sound that does not belong to their picture, where the data set is rendered with one.

    Returns
    -------
    pandas.DataFrame
        Columns clip_id, event_times and feint_times (lists of seconds, ascending), event_levels (list, in (0, 1]): of
        what is seen. With `wrong_sounds` also ``sound``, a value of :func:`cafa.world.wrong_sounds.kind_of_sound`.
    """
    rows = []
    for clip_id in clip_ids:
        scene = scene_of(clip_id, seed, difficulty)
        rows.append(
            {
                "clip_id": clip_id,
                "event_times": scene.event_times.tolist(),
                "event_levels": scene.event_levels.tolist(),
                "feint_times": scene.feint_times.tolist(),
            }
        )
    found = pd.DataFrame(rows, columns=["clip_id", "event_times", "event_levels", "feint_times"])
    if wrong_sounds is not None:
        found["sound"] = [kind_of_sound(clip_id, seed, wrong_sounds) for clip_id in clip_ids]
    return found


def render_clip(
    clip_id: str, seed: int, path: str | Path, difficulty: Difficulty | None = None, *, wrong_sounds: float = 0.0
) -> None:
    """Write a clip's mp4: 80 frames of 128 x 128 at 25 per second, and 3.2 s of sound at 16 kHz.

    The file appears whole or not at all, and is the same to the byte whenever it is rendered with the same versions.

    Parameters
    ----------
    clip_id : str
        A name that :func:`clip_id_of` gives.
    seed : int
        Base seed.
    path : str or pathlib.Path
        File to write.
    difficulty : Difficulty, optional
        The defaults where absent.
    wrong_sounds : float
        As in :func:`sound_of`.
    """
    frames = render_frames(scene_of(clip_id, seed, difficulty))
    sound = sound_of(clip_id, seed, difficulty, wrong_sounds=wrong_sounds)
    write_mp4(path, frames, sound, RATE, SAMPLE_RATE)


def render_shard(
    clip_ids: Iterable[str],
    seed: int,
    folder: str | Path,
    journal: str | Path,
    version: str,
    wrong_sounds: float | None = None,
) -> None:
    """Render clips to ``<folder>/<clip_id>.mp4``, keeping those a journal knows as rendered by the same code.

    Parameters
    ----------
    clip_ids : iterable of str
        Names that :func:`clip_id_of` gives.
    seed : int
        Base seed.
    folder : path
        Where the files go.
    journal : path
        Journal file; the caller removes it when the shard is finished.
    version : str
        Of the stage.
    wrong_sounds : float, optional
        As in :func:`sound_of`.

    Raises
    ------
    ChangedError
        If the journal is of another seed, version or share of wrong sounds.
    """
    key = {"seed": seed, "version": version} | ({} if wrong_sounds is None else {"wrong_sounds": wrong_sounds})
    with Journal(journal, key) as done:
        for clip_id in clip_ids:
            path = Path(folder) / f"{clip_id}.mp4"
            if done.done.get(clip_id) is None or not path.is_file():
                render_clip(clip_id, seed, path, wrong_sounds=wrong_sounds or 0.0)
                done.add(clip_id, 1)
