"""Spectrograms of one clip under two captions, by several systems, on one time axis (Figure 3 of the paper)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from cafa.common.seeds import seed_for
from cafa.common.tables import row_tuples
from cafa.data.event_times import read_event_times
from cafa.data.prompts import read_prompts
from cafa.data.sample_index import keyed, read_sounds
from cafa.media.sound import read_sound
from cafa.media.spectrogram import HOP, RANGE, spectrogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class SpectrogramSettings(BaseModel):
    """What the figure shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    systems: Annotated[dict[str, str], Field(min_length=1, description="system -> its label; one row each, in order")]
    clip: Annotated[str | None, Field(description="clip to show; null: chosen by the seed")] = None
    captions: Annotated[int, Field(ge=1, description="captions, one column each; the clip's own comes first")] = 2
    sample_rate: Annotated[int, Field(ge=8000, description="Hz; the highest frequency shown is half of it")] = 16_000
    seed: Annotated[int, Field(ge=0, description="of the choice of the clip and of other captions")] = 0


@dataclass(frozen=True)
class Panel:
    """One spectrogram."""

    system: str
    caption: str
    path: Path


def choose_panels(prompts: pd.DataFrame, samples: Path, settings: SpectrogramSettings) -> tuple[str, list[list[Panel]]]:
    """The clip, and its panels: a list for each system, with one panel for each caption.

    Parameters
    ----------
    prompts : pandas.DataFrame
        The prompt set: ``clip_id``, ``caption_id``, ``caption``, ``label``, ``own_label``, ``protocol``.
    samples : path
        Folder of ``<system>/<shard>.parquet`` and of the sounds in ``<system>/<shard>/``.
    settings : SpectrogramSettings

    Raises
    ------
    InputError
        If no clip has samples of every system under as many captions.
    """
    places = {system: read_sounds(samples / system)["path"] for system in settings.systems}
    common = set.intersection(*(set(found.index) for found in places.values()))
    rows = keyed(prompts.assign(own=prompts["label"] == prompts["own_label"]))
    rows = rows[rows.index.isin(list(common))].drop_duplicates(["clip_id", "caption"])
    rows = rows if settings.clip is None else rows[rows["clip_id"] == settings.clip]
    order = [seed_for(settings.seed, str(row.clip_id), str(row.caption_id)) for row in rows.itertuples()]
    rows = rows.assign(order=order).sort_values(["own", "order"], ascending=[False, True])
    enough = rows.groupby("clip_id")["caption"].transform("size") >= settings.captions
    with_own = rows.groupby("clip_id")["own"].transform("any")
    # A prompt set of captions of other categories alone has no clip with its own one.
    own_are_asked = (prompts["label"] == prompts["own_label"]).any()
    rows = rows[enough & with_own] if own_are_asked else rows[enough]
    if rows.empty:
        of = "no clip has" if settings.clip is None else f"clip {settings.clip} does not have"
        raise InputError(f"{of} samples of {', '.join(settings.systems)} under {settings.captions} captions")
    clip = str(rows["clip_id"].iloc[0])
    shown = rows[rows["clip_id"] == clip].head(settings.captions)
    panels = [
        [Panel(label, row.caption, Path(places[system][row.Index])) for row in row_tuples(shown)]
        for system, label in settings.systems.items()
    ]
    return clip, panels


def draw_spectrograms(
    prompts: pd.DataFrame,
    samples: Path,
    settings: SpectrogramSettings,
    output: str | Path,
    event_times: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """Draw the figure.

    Parameters
    ----------
    prompts, samples, settings
        As :func:`choose_panels`.
    output : path
        SVG, PNG, or any other format that matplotlib knows. Equal samples give equal bytes of an SVG.
    event_times : mapping of str to sequence of float, optional
        clip_id -> seconds at which something that sounds is seen; marked in every panel.

    Returns
    -------
    str
        The clip.

    Raises
    ------
    InputError
        As :func:`choose_panels`.
    """
    import matplotlib
    from matplotlib.figure import Figure

    clip, panels = choose_panels(prompts, samples, settings)
    pictures = [
        [spectrogram(read_sound(panel.path, sample_rate=settings.sample_rate)) for panel in row] for row in panels
    ]
    loudest = max(float(picture.max()) for row in pictures for picture in row)
    seconds = max(picture.shape[1] for row in pictures for picture in row) * HOP / settings.sample_rate
    times = list((event_times or {}).get(clip, ()))
    style: dict[Any, Any] = {"svg.hashsalt": "cafa", "svg.fonttype": "none", "font.size": 9}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(4.2 * settings.captions, 1.5 * len(panels) + 0.6), layout="constrained")
        axes = figure.subplots(len(panels), settings.captions, squeeze=False, sharex=True, sharey=True)
        for place, (row, drawn) in enumerate(zip(panels, pictures, strict=True)):
            for column, (panel, picture) in enumerate(zip(row, drawn, strict=True)):
                _draw(axes[place][column], picture, settings.sample_rate, loudest, times)
                if place == 0:
                    axes[place][column].set_title(f"“{panel.caption}”", fontsize=9)
            axes[place][0].set_ylabel(f"{row[0].system}\nkHz")
        for axis in axes[-1]:
            axis.set_xlabel("seconds")
            axis.set_xlim(0, seconds)
        with atomic_write(output) as temporary:
            metadata = {"Date": None} if Path(output).suffix == ".svg" else None
            figure.savefig(temporary, metadata=metadata, dpi=150)
    return clip


def draw_spectrograms_of_files(
    prompts: Path, samples: Path, settings: SpectrogramSettings, output: Path, event_times: Path | None = None
) -> str:
    """Draw the figure from files; returns what was drawn, in words.

    Parameters
    ----------
    prompts : path
        Prompt set.
    samples, settings, output
        As :func:`draw_spectrograms`.
    event_times : path, optional
        See :func:`cafa.data.event_times.read_event_times`.
    """
    clip = draw_spectrograms(read_prompts(prompts), samples, settings, output, read_event_times(event_times))
    return f"{output}: clip {clip}, {len(settings.systems)} systems, {settings.captions} captions"


def _draw(axis: "Axes", picture: np.ndarray, sample_rate: int, loudest: float, times: Sequence[float]) -> None:
    half = HOP / sample_rate / 2
    extent = (-half, picture.shape[1] * HOP / sample_rate - half, 0, sample_rate / 2000)
    axis.imshow(picture, origin="lower", aspect="auto", extent=extent, vmin=loudest - RANGE, vmax=loudest, cmap="magma")
    for time in times:
        axis.axvline(time, color="white", linewidth=0.8, linestyle=(0, (2, 2)))
