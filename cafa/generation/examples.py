"""A page of examples: the same clips under several prompts, by several systems, playable without any other file."""

import importlib.resources
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import InputError, MissingClipError
from cafa.common.files import atomic_write
from cafa.common.seeds import seed_for
from cafa.common.shards import shard_of
from cafa.common.tables import records, row_tuples
from cafa.data.event_times import read_event_times
from cafa.data.manifest import check_clip_id
from cafa.data.sample_index import keyed, lost_samples, read_sounds
from cafa.generation.examples_card import BINS, Card, outline, playable, spectrogram_image
from cafa.generation.examples_scores import Direction, Failure, ScoreTable


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
    scores: Annotated[
        tuple[str, ...], Field(description="metrics whose value of each sample is shown, where it has one")
    ] = ("CLAP", "IB", "Acc", "KL", "DeSync")
    failures: Annotated[int, Field(ge=0, description="worst samples of each system and metric that are shown")] = 1
    worst: Annotated[
        dict[str, Direction], Field(description="metric that failures are looked for by -> which values are the worst")
    ] = {"DeSync": "highest", "CLAP": "lowest"}
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
    scores
        Folder of ``<system>.parquet``; None: no scores are shown, and no failures by scores.
    event_times
        See :func:`cafa.data.event_times.read_event_times`; None: no events are marked.
    """

    clips: Path
    samples: Path
    clip_shards: int | None = None
    sample_shards: int | None = None
    scores: Path | None = None
    event_times: Path | None = None


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


class _Page:
    """What the template shows of clips and samples.

    Parameters
    ----------
    prompts : pandas.DataFrame
    sources : ExampleSources
    settings : ExamplesSettings
    """

    def __init__(self, prompts: pd.DataFrame, sources: ExampleSources, settings: ExamplesSettings) -> None:
        self.prompts, self.sources, self.settings = keyed(prompts), sources, settings
        self.indices = read_indices(sources, settings.systems)
        self.scores = ScoreTable(sources.scores, settings.systems)
        self.events = read_event_times(sources.event_times)
        self.videos = 0

    def clip(self, rows: pd.DataFrame) -> dict[str, Any]:
        """Everything of one clip: its own sound, then its prompts with a card of every system."""
        head = rows.iloc[0]
        seconds = min(float(index.loc[rows.index, "seconds"].min()) for index in self.indices.values())
        own = self._own_card(str(head["clip_id"]), seconds)
        return {
            "clip_id": head["clip_id"],
            "label": head["own_label"],
            "caption": head["own_caption"],
            "reference": own,
            "prompts": [
                {
                    "caption": row["caption"],
                    "own": bool(row["own"]),
                    "cards": [self._card(name, str(key), own.wave, seconds) for name in self.indices],
                }
                for key, row in zip(rows.index, records(rows), strict=True)
            ],
        }

    def failures(self) -> list[dict[str, Any]]:
        """Samples with the worst scores, each with its clip and its prompt."""
        among = {name: index.index for name, index in self.indices.items()}
        found = self.scores.failures(self.settings.worst, self.settings.failures, among)
        return [self._failure(place, failure) for place, failure in enumerate(found)]

    def _failure(self, place: int, failure: Failure) -> dict[str, Any]:
        prompt = self.prompts.loc[failure.key]
        seconds = float(self.indices[failure.system]["seconds"].loc[failure.key])
        own = self._own_sound(str(prompt["clip_id"]), seconds, failure.system)
        return {
            "anchor": f"failure-{place}",
            "failure": failure,
            "label": prompt["own_label"],
            "clip_id": prompt["clip_id"],
            "caption": prompt["caption"],
            "own": bool(prompt["caption"] == prompt["own_caption"]),
            "card": self._card(failure.system, failure.key, own, seconds),
        }

    def lost(self) -> list[dict[str, Any]]:
        """Samples that there are none of, by system, with the reason of each."""
        found = []
        for system in self.settings.systems:
            rows = lost_samples(self.sources.samples / system, self.sources.sample_shards)
            found += [{"system": system, **row} for row in records(rows)]
        return found

    def _own_sound(self, clip_id: str, seconds: float, system: str) -> str:
        from cafa.media.sound import read_sound

        rate = int(self.indices[system]["sample_rate"].iloc[0])
        return outline(read_sound(clip_files(self.sources, clip_id)[1], sample_rate=rate, seconds=seconds))

    def _own_card(self, clip_id: str, seconds: float) -> Card:
        file = clip_files(self.sources, clip_id)[1]
        rate = int(next(iter(self.indices.values()))["sample_rate"].iloc[0])
        return self._drawn("its own sound", clip_id, file, rate, seconds)

    def _card(self, system: str, key: str, own_wave: str, seconds: float) -> Card:
        sample = next(iter(records(self.indices[system].loc[[key]])))
        scores = self.scores.of(system, key, self.settings.scores)
        rate, clip_id = int(sample["sample_rate"]), str(sample["clip_id"])
        return self._drawn(system, clip_id, sample["path"], rate, seconds, own_wave, scores)

    def _drawn(
        self,
        name: str,
        clip_id: str,
        file: Path,
        rate: int,
        seconds: float,
        own_wave: str | None = None,
        scores: Iterable[tuple[str, float]] = (),
    ) -> Card:
        from cafa.media.sound import read_sound

        sound = read_sound(file, sample_rate=rate, seconds=seconds)
        video = clip_files(self.sources, clip_id)[0]
        wave = outline(sound)
        marks = [BINS * time / seconds for time in self.events.get(clip_id, ()) if time < seconds]
        self.videos += 1
        return Card(
            name=name,
            video=playable(video, sound, rate, seconds),
            wave=wave,
            own_wave=wave if own_wave is None else own_wave,
            picture=spectrogram_image(sound),
            marks=tuple(marks),
            scores=tuple((metric, f"{value:.3g}") for metric, value in scores),
            seconds=seconds,
        )


def _aspect(video: Path) -> str:
    import av

    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        return f"{stream.width} / {stream.height}"


def render(template: str, values: Mapping[str, Any]) -> str:
    """Text of a template of this package with `values`; what it asks for and does not get is an error."""
    import jinja2

    source = importlib.resources.files("cafa.generation").joinpath(f"templates/{template}").read_text("utf-8")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source).render(values)


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
        If no system is named, an index or scores are missing or the page would be too large.
    MissingClipError
        If there are not enough clips with enough prompts.
    """
    if not settings.systems:
        raise InputError("name at least one system to show")
    made = _Page(prompts, sources, settings)
    clips = [made.clip(rows) for rows in choose_rows(prompts, made.indices, settings)]
    values = {
        "settings": settings,
        "clips": clips,
        "failures": made.failures(),
        "lost": made.lost(),
        "bins": BINS,
        "events": bool(made.events),
        "aspect": _aspect(clip_files(sources, clips[0]["clip_id"])[0]),
        "seconds": max(clip["reference"].seconds for clip in clips),
    }
    page = render("examples.html.jinja", values)
    megabytes = len(page.encode()) / 1e6
    if megabytes > settings.max_megabytes:
        raise InputError(
            f"the page would have {megabytes:.0f} MB, more than max_megabytes {settings.max_megabytes:g}: "
            "show fewer clips, prompts, failures or systems"
        )
    with atomic_write(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return made.videos
