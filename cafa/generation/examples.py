"""A page of examples: the same clips under several prompts, by several systems, playable without any other file."""

import base64
import importlib.resources
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import InputError, MissingClipError
from cafa.common.files import atomic_write
from cafa.common.seeds import seed_for
from cafa.common.shards import shard_of
from cafa.common.tables import records, row_tuples
from cafa.data.manifest import check_clip_id
from cafa.data.sample_index import keyed, read_sounds

#: Columns of a waveform's picture.
BINS = 160


class ExamplesSettings(BaseModel):
    """What the page shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    systems: Annotated[tuple[str, ...], Field(description="systems to show, in order")] = ()
    clips: Annotated[int, Field(ge=1, description="clips on the page, of different categories where there are")] = 2
    prompts_per_clip: Annotated[int, Field(ge=1, description="prompts of each clip; its own caption comes first")] = 3
    seed: Annotated[int, Field(ge=0, description="of the choice of clips and prompts")] = 0
    title: Annotated[str, Field(description="heading of the page")] = "One picture, many sounds"
    introduction: Annotated[str, Field(description="paragraph under the heading")] = (
        "Each clip is shown with its own sound, and then with sounds that were made for its picture and a prompt. "
        "Good sound follows the prompt in what is heard and the picture in when it is heard."
    )
    descriptions: Annotated[dict[str, str], Field(description="system -> one line that explains it")] = {}
    max_megabytes: Annotated[float, Field(gt=0, description="largest page that is written")] = 60.0


@dataclass(frozen=True)
class ExampleSources:
    """Where clips and samples are.

    Attributes
    ----------
    clips
        Folder of ``<shard>/<clip_id>.mp4`` and ``.flac``.
    samples
        Folder of ``<system>/<shard>.parquet`` and of the sounds in ``<system>/<shard>/``.
    clip_shards, sample_shards
        How many shards there are. By default: wherever a clip is, and all indices of samples.
    """

    clips: Path
    samples: Path
    clip_shards: int | None = None
    sample_shards: int | None = None


@dataclass(frozen=True)
class Example:
    """One playable video: base64 of an mp4, outlines of its sound and of the clip's own."""

    name: str
    video: str
    wave: str
    own_wave: str


def read_indices(sources: ExampleSources, systems: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Samples that are ok, by system, indexed by ``clip_id/caption_id/protocol``, with ``path`` of the sound.

    Raises
    ------
    InputError
        If a system has no index of samples, or not of every shard.
    """
    found = {}
    for system in systems:
        check_clip_id(system)
        index = read_sounds(sources.samples / system, sources.sample_shards)
        if not index.index.is_unique:
            raise InputError(
                f"a sample of {system} is in two indices below {sources.samples}: say how many shards there are"
            )
        found[system] = index
    return found


def choose_rows(
    prompts: pd.DataFrame, indices: dict[str, pd.DataFrame], settings: ExamplesSettings
) -> list[pd.DataFrame]:
    """Prompts to show, one table per clip.

    Only rows that every system has. Clips come in the order of a hash of their id, first one of each category;
    a clip's own caption comes before the prompts of other categories, which come in the order of a hash too.

    Raises
    ------
    MissingClipError
        If there are not enough clips with enough prompts.
    """
    rows = keyed(prompts)
    for index in indices.values():
        rows = rows[rows.index.isin(index.index)]
    rows = rows.assign(own=rows["caption"] == rows["own_caption"]).drop_duplicates(["clip_id", "caption"])
    rows = rows.assign(order=[seed_for(settings.seed, row.clip_id, row.caption_id) for row in row_tuples(rows)])
    rows = rows.sort_values(["own", "order"], ascending=[False, True])
    enough = {
        str(clip_id): group.head(settings.prompts_per_clip)
        for clip_id, group in rows.groupby("clip_id")
        if len(group) >= settings.prompts_per_clip
    }
    if len(enough) < settings.clips:
        raise MissingClipError(
            f"only {len(enough)} clips have {settings.prompts_per_clip} prompts in all of {', '.join(indices)}, "
            f"{settings.clips} were asked for: ask for fewer clips, prompts or systems"
        )
    ordered = sorted(enough, key=lambda clip_id: seed_for(settings.seed, clip_id))
    labels = [enough[clip_id]["own_label"].iloc[0] for clip_id in ordered]
    first = [labels.index(label) == place for place, label in enumerate(labels)]
    ordered = [clip_id for _, clip_id in sorted(zip(first, ordered, strict=True), key=lambda pair: not pair[0])]
    return [enough[clip_id] for clip_id in ordered[: settings.clips]]


def outline(sound: np.ndarray, bins: int = BINS) -> str:
    """SVG path of a waveform's envelope, `bins` wide and 2 high; the loudest point fills the height.

    Parameters
    ----------
    sound : numpy.ndarray, shape (samples,)
    """
    peaks = np.array([np.abs(part).max(initial=0.0) for part in np.array_split(sound, bins)])
    heights = 0.96 * peaks / max(float(peaks.max()), 1e-9)
    upper = [f"{place + 0.5:g} {1 - height:.3f}" for place, height in enumerate(heights)]
    lower = [f"{place + 0.5:g} {1 + height:.3f}" for place, height in reversed(list(enumerate(heights)))]
    return "M" + "L".join(upper + lower) + "Z"


def clip_files(sources: ExampleSources, clip_id: str) -> tuple[Path, Path]:
    """Normalised video and sound of a clip.

    Raises
    ------
    MissingClipError
        If they are not in exactly one shard.
    """
    check_clip_id(clip_id)
    shard = "*" if sources.clip_shards is None else shard_of(clip_id, sources.clip_shards)
    paths = sorted(sources.clips.glob(f"{shard}/{clip_id}.mp4"))
    found = [path for path in paths if path.with_suffix(".flac").is_file()]
    if len(found) != 1:
        raise MissingClipError(
            f"clip {clip_id} is {len(found)} times in {sources.clips}/{shard}, wanted once: "
            "ingest it again, or say how many shards there are"
        )
    return found[0], found[0].with_suffix(".flac")


def _playable(video: Path, sound: np.ndarray, sample_rate: int, seconds: float) -> str:
    from cafa.media.mux import put_sound_under_video

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "example.mp4"
        put_sound_under_video(video, sound, sample_rate, path, seconds)
        return base64.b64encode(path.read_bytes()).decode("ascii")


def _clip(rows: pd.DataFrame, indices: dict[str, pd.DataFrame], sources: ExampleSources) -> dict[str, Any]:
    """Everything of one clip that the template shows."""
    from cafa.media.sound import read_sound

    head = rows.iloc[0]
    video, own_file = clip_files(sources, head["clip_id"])
    samples = {name: index.loc[rows.index] for name, index in indices.items()}
    sample_rows = {name: dict(zip(part.index, records(part), strict=True)) for name, part in samples.items()}
    seconds = min(float(sample["seconds"].min()) for sample in samples.values())
    own_rate = int(next(iter(samples.values()))["sample_rate"].iloc[0])
    own = read_sound(own_file, sample_rate=own_rate, seconds=seconds)
    own_wave = outline(own)

    def example(name: str, sample: dict[str, Any]) -> Example:
        rate = int(sample["sample_rate"])
        sound = read_sound(sample["path"], sample_rate=rate, seconds=seconds)
        return Example(name, _playable(video, sound, rate, seconds), outline(sound), own_wave)

    return {
        "clip_id": head["clip_id"],
        "label": head["own_label"],
        "caption": head["own_caption"],
        "seconds": seconds,
        "video": video,
        "reference": Example("own sound", _playable(video, own, own_rate, seconds), own_wave, own_wave),
        "prompts": [
            {
                "caption": row["caption"],
                "own": bool(row["own"]),
                "examples": [example(name, by_key[key]) for name, by_key in sample_rows.items()],
            }
            for key, row in zip(rows.index, records(rows), strict=True)
        ],
    }


def _aspect(video: Path) -> str:
    import av

    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        return f"{stream.width} / {stream.height}"


def write_examples(
    prompts: pd.DataFrame, sources: ExampleSources, settings: ExamplesSettings, output: str | Path
) -> int:
    """Write the page.

    Parameters
    ----------
    prompts : pandas.DataFrame
        The prompt set: clip_id, caption_id, protocol, caption, own_label, own_caption.
    sources : ExampleSources
    settings : ExamplesSettings
    output : path
        HTML file without references to any other.

    Returns
    -------
    int
        Videos on the page.

    Raises
    ------
    InputError
        If no system is named, an index is missing or the page would be too large.
    MissingClipError
        If there are not enough clips with enough prompts.
    """
    import jinja2

    if not settings.systems:
        raise InputError("name at least one system to show")
    indices = read_indices(sources, settings.systems)
    shown = [_clip(rows, indices, sources) for rows in choose_rows(prompts, indices, settings)]
    source = importlib.resources.files("cafa.generation").joinpath("templates/examples.html.jinja").read_text("utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    page = template.render(
        settings=settings,
        clips=shown,
        bins=BINS,
        aspect=_aspect(shown[0]["video"]),
        seconds=max(clip["seconds"] for clip in shown),
    )
    megabytes = len(page.encode()) / 1e6
    if megabytes > settings.max_megabytes:
        raise InputError(
            f"the page would have {megabytes:.0f} MB, more than max_megabytes {settings.max_megabytes:g}: "
            "show fewer clips, prompts or systems"
        )
    with atomic_write(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return sum(1 + sum(len(prompt["examples"]) for prompt in clip["prompts"]) for clip in shown)
