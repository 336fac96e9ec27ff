"""The control systems of the rendered world as sources of sound."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cafa.common.errors import ClipError, InputError
from cafa.common.files import sha256_file
from cafa.generation.sources import PromptRow, SampleContext
from cafa.generation.systems import OracleSystem, OracleWrongTimesSystem
from cafa.world.controls import oracle_sound, shuffled_sound
from cafa.world.scene import SECONDS
from cafa.world.sounds import SAMPLE_RATE


class RenderedSounds:
    """The wanted category's sound at a clip's event times, or at times of another draw.

    Parameters
    ----------
    event_times : path
        Event times of the data set.
    seed : int
        Base seed.
    seconds, sample_rate
        What the caller expects; must be the world's.
    at_event_times : bool
        Whether the times are the clip's own.

    Raises
    ------
    InputError
        If another length or rate is expected.
    """

    def __init__(
        self, event_times: str | Path, seed: int, seconds: float, sample_rate: int, *, at_event_times: bool
    ) -> None:
        if (seconds, sample_rate) != (SECONDS, SAMPLE_RATE):
            raise InputError(
                f"rendered clips last {SECONDS} s at {SAMPLE_RATE} Hz; {seconds} s at {sample_rate} Hz were asked for"
            )
        self.seed, self.sample_rate, self.at_event_times = seed, sample_rate, at_event_times
        # Under the name that unfinished work of earlier versions knows it by.
        self.depends: dict[str, Any] = {"truth": sha256_file(event_times)}
        self._events = pd.read_parquet(event_times).set_index("clip_id")

    def sounds(self, rows: Sequence[PromptRow]) -> list[np.ndarray | ClipError]:
        """See :class:`cafa.generation.sources.SoundSource`."""
        return [self._sound(row) for row in rows]

    def _sound(self, row: PromptRow) -> np.ndarray:
        if not self.at_event_times:
            return shuffled_sound(row.clip_id, row.caption_id, row.label, self.seed)
        times, levels = (self._events[name].loc[row.clip_id] for name in ("event_times", "event_levels"))
        return oracle_sound(row.clip_id, row.caption_id, row.label, times, levels, self.seed)


def open_rendered(system: OracleSystem | OracleWrongTimesSystem, context: SampleContext) -> RenderedSounds:
    """Rendered sounds; see :meth:`cafa.generation.systems.SystemKind.open_source`.

    Raises
    ------
    InputError
        If there are no event times, or another length or rate is expected.
    """
    if context.files.event_times is None:
        raise InputError(f"a system of kind {system.kind} needs event times: it exists for rendered clips only")
    return RenderedSounds(
        context.files.event_times,
        context.seed,
        context.seconds,
        context.sample_rate,
        at_event_times=system.at_event_times,
    )
