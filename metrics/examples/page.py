"""A page of examples: the same clips under several prompts, by several systems, to play, filter and compare.

The page is text of its own: what it shows is a JSON object in it, of which its script draws a few prompts at a time. It
asks for nothing from outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from cafa.common.errors import InputError, MissingClipError
from cafa.common.files import atomic_write
from cafa.common.progress import progress
from cafa.common.shards import shard_of
from cafa.common.tables import records
from cafa.data.event_times import read_event_times
from cafa.data.manifest import check_clip_id
from cafa.data.sample_index import keyed
from cafa.media.sound import read_own_rate, read_sound
from metrics.examples.drawing import peaks, playable, spectrogram_image, still
from metrics.examples.media import PageMedia
from metrics.examples.samples import Failure, choose_rows, lost_of, read_indices, shown_keys, worst_of
from metrics.examples.scores import ScoreTable
from metrics.examples.settings import ExampleSources, ExamplesSettings
from metrics.results.templates import as_script_data, render

#: Files that the page is put together from, beside those of all pages.
TEMPLATE, INCLUDED = "examples.html.jinja", ("examples.css", "examples_state.js", "examples.js")


def clips_named(sources: ExampleSources, clip_id: str) -> list[Path]:
    """Normalised videos of this id that have a sound beside them: one, where all is well."""
    check_clip_id(clip_id)
    shard = "*" if sources.clip_shards is None else shard_of(clip_id, sources.clip_shards)
    paths = sorted(sources.clips.glob(f"{shard}/{clip_id}.mp4"))
    return [path for path in paths if path.with_suffix(".flac").is_file()]


def clip_files(sources: ExampleSources, clip_id: str) -> tuple[Path, Path]:
    """Normalised video and sound of a clip.

    Raises
    ------
    MissingClipError
        If they are not in exactly one shard.
    """
    found = clips_named(sources, clip_id)
    if len(found) != 1:
        raise MissingClipError(
            f"clip {clip_id} is {len(found)} times below {sources.clips}, wanted once: "
            "ingest it again, or say how many shards there are"
        )
    return found[0], found[0].with_suffix(".flac")


@dataclass(frozen=True)
class _Own:
    """A clip as a row shows it: what its sounds are drawn with."""

    video: Path
    seconds: float
    drawn: dict[str, Any]


class _Page:
    """What the page shows, as JSON.

    Parameters
    ----------
    prompts : pandas.DataFrame
    sources : ExampleSources
    settings : ExamplesSettings
    media : PageMedia
    """

    def __init__(
        self, prompts: pd.DataFrame, sources: ExampleSources, settings: ExamplesSettings, media: PageMedia
    ) -> None:
        self.prompts, self.sources, self.settings, self.media = keyed(prompts), sources, settings, media
        self.indices = read_indices(sources, settings.systems)
        self.scores = ScoreTable(sources.scores, settings.systems)
        self.metrics = self.scores.metrics(settings.scores)
        self.events = read_event_times(sources.event_times)
        sounds = {name: index.index for name, index in self.indices.items() if name not in settings.controls}
        self.failures = worst_of(self.scores, self.prompts["caption"], sounds, settings)
        self.failures += [one for system in settings.systems for one in lost_of(sources, system)]
        self.owns: dict[tuple[str, float, int], _Own] = {}
        self.of_cell: dict[tuple[str, str], list[int]] = {}
        for number, one in enumerate(self.failures):
            self.of_cell.setdefault((one.system, one.key), []).append(number)
        self.keys = shown_keys(choose_rows(prompts, self.indices, settings), self.failures, settings, self._can_show)

    def _can_show(self, key: str) -> bool:
        """Whether a failure's clip is there: it may be what failed."""
        return key in self.prompts.index and len(clips_named(self.sources, key.split("/")[0])) == 1

    def data(self) -> dict[str, Any]:
        """All that the script of the page shows."""
        return {
            "systems": [
                {
                    "name": system,
                    "description": self.settings.descriptions.get(system, ""),
                    "control": system in self.settings.controls,
                }
                for system in self.settings.systems
            ],
            "metrics": [
                {
                    "name": metric.name,
                    "arrow": metric.arrow,
                    "unit": metric.unit,
                    "meaning": metric.meaning,
                    "decimals": metric.decimals,
                    "otherCaptionsOnly": metric.other_captions_only,
                }
                for metric in self.metrics
            ],
            "folder": "" if self.media.inside else f"./{quote(self.media.folder.name)}/",
            "rows": [self._row(key) for key in progress(self.keys, "prompts", len(self.keys))],
        }

    def listed(self) -> list[dict[str, Any]]:
        """Failures as the page lists them, each with the place of its cell where that is shown."""
        places = {key: place for place, key in enumerate(self.keys)}
        rows = []
        for number, one in enumerate(self.failures):
            clip_id, _, protocol = one.key.split("/")
            link = f"#at=cell-{places[one.key]}-{self.settings.systems.index(one.system)}" if one.key in places else ""
            texts = {name: getattr(one, name) for name in ("system", "caption", "reason", "detail", "meaning")}
            rows.append({"id": f"failed-{number}", "link": link, "clip_id": clip_id, "protocol": protocol, **texts})
        return rows

    def _row(self, key: str) -> dict[str, Any]:
        """A prompt: the clip with its own sound, and a cell of every system."""
        prompt = self.prompts.loc[key]
        clip_id = str(prompt["clip_id"])
        own = self._own(clip_id, key)
        return {
            "clip": clip_id,
            "label": str(prompt["own_label"]),
            "caption": str(prompt["caption"]),
            "ownCaption": str(prompt["own_caption"]),
            "protocol": str(prompt["protocol"]),
            "seconds": own.seconds,
            "events": [round(time, 3) for time in self.events.get(clip_id, ()) if time < own.seconds],
            **own.drawn,
            "cells": [self._cell(system, key, own) for system in self.settings.systems],
        }

    def _own(self, clip_id: str, key: str) -> _Own:
        """The clip, as long as the shortest of the prompt's sounds."""
        video, file = clip_files(self.sources, clip_id)
        samples = [one for system in self.settings.systems if (one := self._sample(system, key)) is not None]
        if samples:
            seconds, rate = min(float(one["seconds"]) for one in samples), int(samples[0]["sample_rate"])
        else:
            sound, rate = read_own_rate(file)
            seconds = sound.shape[-1] / rate
        if (clip_id, seconds, rate) not in self.owns:
            picture = still(video, min(1.0, seconds / 2))
            drawn = {
                "still": self.media.add(picture.jpeg, "jpg"),
                "size": [picture.width, picture.height],
                "own": self._drawn(file, rate, video, seconds),
            }
            self.owns[clip_id, seconds, rate] = _Own(video, seconds, drawn)
        return self.owns[clip_id, seconds, rate]

    def _sample(self, system: str, key: str) -> dict[str, Any] | None:
        """A system's row of the index of samples; None if it has no sound."""
        index = self.indices[system]
        return records(index.loc[[key]])[0] if key in index.index else None

    def _cell(self, system: str, key: str, own: _Own) -> dict[str, Any]:
        """A system's sound with its scores, or why there is none."""
        failed = self.of_cell.get((system, key), [])
        why = next((self.failures[number] for number in failed if self.failures[number].kind != "worst"), None)
        cell: dict[str, Any] = {"failures": failed} if failed else {}
        sample = self._sample(system, key)
        if sample is None:
            return cell | {"lost": _why(why)}
        cell |= self._drawn(sample["path"], int(sample["sample_rate"]), own.video, own.seconds)
        cell["scores"] = self.scores.of(system, key, self.metrics)
        return cell | ({"notJudged": _why(why)} if why is not None else {})

    def _drawn(self, file: Path, rate: int, video: Path, seconds: float) -> dict[str, Any]:
        sound = read_sound(file, sample_rate=rate, seconds=seconds)
        return {
            "video": self.media.add(playable(video, sound, rate, seconds), "mp4"),
            "spectrogram": self.media.add(spectrogram_image(sound), "png"),
            "peaks": peaks(sound),
        }


def _why(failure: Failure | None) -> Mapping[str, str]:
    if failure is None:
        return {"reason": "not in the index of samples", "detail": "", "meaning": "the system was not asked for it"}
    return {"reason": failure.reason, "detail": failure.detail, "meaning": failure.meaning}


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
        HTML file that asks for no other; with ``media="beside"`` for those in ``<its name>_media/``.

    Returns
    -------
    int
        Videos on the page.

    Raises
    ------
    InputError
        If no system is named, an index or scores are missing or the page would be too large.
    MissingClipError
        If there are not enough clips with enough prompts, or a clip is not there.
    """
    if not settings.systems:
        raise InputError("name at least one system to show")
    output = Path(output)
    media = PageMedia(output, settings.media, settings.max_megabytes)
    made = _Page(prompts, sources, settings, media)
    data = as_script_data(made.data())
    page = render(
        "metrics.examples",
        TEMPLATE,
        {
            "settings": settings,
            "data": data,
            "media": list(media.inline()),
            "included": INCLUDED,
            "failures": made.listed(),
            "protocols": list(dict.fromkeys(made.prompts.loc[made.keys, "protocol"])),
            "categories": sorted(set(made.prompts.loc[made.keys, "own_label"])),
            "metrics": made.metrics,
            "events": bool(made.events),
            "scored": sources.scores is not None,
        },
    )
    media.require_room(len(page.encode()) - sum(len(text) for _, text in media.inline()))
    with atomic_write(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    media.remove_others()
    return media.count("mp4")
