"""The control systems of the rendered world as sources of sound."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from cafa.common.errors import ClipError, InputError
from cafa.generation.sound_sources import PromptRow
from cafa.world.controls import oracle_sound, shuffled_sound
from cafa.world.scene import SECONDS
from cafa.world.sounds import SAMPLE_RATE


class ControlSounds:
    """Sounds of ``oracle`` (true times) or ``shuffled`` (times of another draw).

    Parameters
    ----------
    kind : {"oracle", "shuffled"}
    truth : path
        Event times of the data set.
    seed : int
        Base seed.
    seconds, sample_rate
        What the caller expects; must be the world's.
    """

    def __init__(
        self, kind: Literal["oracle", "shuffled"], truth: str | Path, seed: int, seconds: float, sample_rate: int
    ) -> None:
        if (seconds, sample_rate) != (SECONDS, SAMPLE_RATE):
            raise InputError(
                f"rendered clips last {SECONDS} s at {SAMPLE_RATE} Hz; {seconds} s at {sample_rate} Hz were asked for"
            )
        self.kind, self.seed, self.sample_rate = kind, seed, sample_rate
        self._truth = pd.read_parquet(truth).set_index("clip_id")

    def sounds(self, rows: Sequence[PromptRow]) -> list[np.ndarray | ClipError]:
        """See :class:`cafa.generation.sound_sources.SoundSource`."""
        return [self._sound(row) for row in rows]

    def _sound(self, row: PromptRow) -> np.ndarray:
        if self.kind == "shuffled":
            return shuffled_sound(row.clip_id, row.caption_id, row.label, self.seed)
        truth = self._truth.loc[row.clip_id]
        return oracle_sound(
            row.clip_id, row.caption_id, row.label, truth["event_times"], truth["event_levels"], self.seed
        )
