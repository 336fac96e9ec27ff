"""The study's page: a folder of static files that any web server, or a browser alone, can show.

The page holds no name of a system: who made which sound stands in ``key.json``, outside the folder.
"""

import importlib.resources
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import InputError
from cafa.common.files import atomic_write, digest_of, write_json
from cafa.common.progress import progress
from cafa.data.sample_index import read_sounds
from cafa.media.mux import put_sound_under_video
from cafa.media.sound import read_channels
from metrics.study.design import (
    OWN,
    QUESTIONS,
    SILENT,
    Design,
    Pair,
    StudySettings,
    assign,
    choose_checks,
    choose_pairs,
    media_name,
)

#: Rate of every sound on the page, in Hz.
PAGE_RATE = 48_000
PAGE, KEY, MEDIA = "page", "key.json", "media"
FILES = ("index.html", "study.js", "pair.js", "study.css")


class PageSettings(BaseModel):
    """What raters read, and where their answers go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, Field(description="heading of the page")] = "Which sound fits better?"
    consent: Annotated[str, Field(min_length=1, description="what raters agree to before they begin")] = (
        "You will compare pairs of short videos and answer three questions about each pair. Your answers, the time you "
        "take and the identifier that you came with are stored; nothing else is. You can stop at any time by closing "
        "the page. By going on you agree to take part."
    )
    instructions: Annotated[tuple[str, ...], Field(description="pages to read before the first pair")] = (
        "Please use headphones and a quiet room. In each pair both videos have the same picture and different sounds.",
        "Play both videos to the end, as often as you like, then answer the three questions. Each question stands for "
        "itself: one video may match the description better and the other may sound better. Some pairs check that "
        "you are attentive.",
    )
    receiver: Annotated[
        str | None, Field(description="address that answers are sent to; null: they are downloaded as a file")
    ] = None
    completion: Annotated[
        str | None, Field(description="address that raters are led to at the end, as Prolific wants it")
    ] = None


@dataclass(frozen=True)
class StudySources:
    """Where clips and samples are, as the workflow leaves them.

    Attributes
    ----------
    clips : Path
        Folder of ``<shard>/<clip_id>.mp4`` and ``.flac``.
    samples : Path
        Folder of ``<system>/<shard>.parquet`` and of the sounds in ``<system>/<shard>/``.
    """

    clips: Path
    samples: Path


def build_study(
    prompts: pd.DataFrame, sources: StudySources, settings: StudySettings, page: PageSettings, output: Path
) -> Design:
    """Choose pairs, write the page, its videos and the key.

    Parameters
    ----------
    prompts : pandas.DataFrame
        The prompt set: ``clip_id``, ``caption_id``, ``protocol``, ``caption``, ``label``, ``own_label``.
    sources : StudySources
    settings : StudySettings
    page : PageSettings
    output : path
        Folder to write: ``page/``, to be shown, and ``key.json``, to be kept.

    Raises
    ------
    InputError
        If there are not enough samples or clips, or the folder holds a study of other settings.
    """
    samples = {name: read_sounds(sources.samples / name) for name in (settings.system, *settings.opponents)}
    pairs = choose_pairs(prompts, {name: set(index.index) for name, index in samples.items()}, settings)
    own = prompts[prompts["label"] == prompts["own_label"]]
    design = assign(pairs, choose_checks(own, settings), settings)
    _refuse_another(output, design)
    clips = _Clips(sources.clips, own)
    for pair in progress(list(design.pairs.values()), "study videos", len(design.pairs)):
        sides: tuple[tuple[Literal["first", "second"], str], ...] = (("first", pair.first), ("second", pair.second))
        for which, maker in sides:
            file = output / PAGE / MEDIA / media_name(pair, which, settings.seed)
            if not file.exists():
                _write_video(file, pair, maker, clips, samples)
    _write_page(output / PAGE, design, settings, page)
    write_json(output / KEY, {"settings": settings.model_dump(mode="json"), **design.as_json()})
    return design


def _refuse_another(output: Path, design: Design) -> None:
    key = output / KEY
    if not key.is_file():
        return
    known = Design.from_json(json.loads(key.read_text()))
    if known != design:
        raise InputError(
            f"{key} is the key of another study (other settings, prompts or samples): answers that were collected with "
            "it need it. Choose another folder, or move this one away"
        )


class _Clips:
    """Pictures and own sounds of the clips."""

    def __init__(self, folder: Path, own: pd.DataFrame) -> None:
        self._places = {path.stem: path for path in sorted(folder.glob("**/*.mp4"))}
        self._labels = dict(zip(own["clip_id"], own["own_label"], strict=True))

    def picture(self, clip_id: str) -> Path:
        if clip_id not in self._places:
            raise InputError(f"no normalised clip {clip_id} below the folder of clips")
        return self._places[clip_id]

    def sound(self, clip_id: str) -> Path:
        return self.picture(clip_id).with_suffix(".flac")

    def of_another_category(self, clip_id: str) -> str:
        """The next clip, in order of names, of another category."""
        names = sorted(name for name in self._labels if name in self._places)
        begin = names.index(clip_id) if clip_id in names else 0
        turned = names[begin:] + names[:begin]
        other = next((name for name in turned if self._labels[name] != self._labels[clip_id]), None)
        if other is None:
            raise InputError(f"an attention check needs a clip of another category than that of {clip_id}")
        return other


def _write_video(file: Path, pair: Pair, maker: str, clips: _Clips, samples: dict[str, pd.DataFrame]) -> None:
    picture = clips.picture(pair.clip_id)
    if pair.kind == "pair":
        key = f"{pair.clip_id}/{pair.caption_id}/{pair.protocol}"
        sound = read_channels(samples[maker]["path"].loc[key], sample_rate=PAGE_RATE)
        shortest = min(
            float(samples[name]["seconds"].loc[key]) for name in (pair.first, pair.second)
        )  # both end together
    else:
        own = read_channels(clips.sound(pair.clip_id), sample_rate=PAGE_RATE)
        other = own if maker == OWN else _other_sound(maker, pair, clips, own)
        sound, shortest = other, min(own.shape[1], other.shape[1]) / PAGE_RATE
    peak = max(float(np.abs(sound).max()), 1.0)
    put_sound_under_video(picture, sound / peak, PAGE_RATE, file, seconds=shortest)


def _other_sound(maker: str, pair: Pair, clips: _Clips, own: np.ndarray) -> np.ndarray:
    if maker == SILENT:
        return np.zeros_like(own)
    return read_channels(clips.sound(clips.of_another_category(pair.clip_id)), sample_rate=PAGE_RATE)


def _write_page(folder: Path, design: Design, settings: StudySettings, page: PageSettings) -> None:
    source = importlib.resources.files("metrics.study").joinpath("page")
    vendored = [entry.name for entry in source.joinpath("vendor").iterdir() if entry.is_file()]
    for name in (*FILES, *(f"vendor/{name}" for name in vendored)):
        with atomic_write(folder / name) as temporary:
            temporary.write_bytes(source.joinpath(name).read_bytes())
    data = {
        **page.model_dump(mode="json"),
        "study": settings.name,
        "digest": study_digest(design),
        "ties": settings.ties,
        "questions": QUESTIONS,
        "sets": [[_shown(design, shown, settings) for shown in one] for one in design.sets],
    }
    with atomic_write(folder / "data.js") as temporary:
        temporary.write_text(f"window.STUDY = {json.dumps(data)};\n", encoding="utf-8")


def _shown(design: Design, shown: Any, settings: StudySettings) -> dict[str, str]:
    pair = design.pairs[shown.pair]
    sides: tuple[Literal["first", "second"], ...] = ("first", "second") if shown.first_left else ("second", "first")
    left, right = (f"{MEDIA}/{media_name(pair, which, settings.seed)}" for which in sides)
    return {"pair": pair.pair, "caption": pair.caption, "left": left, "right": right}


def study_digest(design: Design) -> str:
    """Digest of a design: answers name it, so that those of another study are refused."""
    return digest_of(design.as_json())[:16]
