"""What becomes of a generated sound before it is written: sample rate, loudness, and the video's old sound below it."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cafa.common.work import Work, here
from cafa.generation.foley import FoleyResult
from cafa.media.loudness import (
    ABSOLUTE_GATE,
    BROADCAST_LUFS,
    BROADCAST_PEAK,
    SHORTEST,
    limit_peaks,
    measure_levels,
    mix_sounds,
    set_loudness,
)
from cafa.media.old_sound import old_sound
from cafa.media.sound import at_rate

#: LU by which a loudness may miss its target before it is said.
NEAR_LU = 0.5
#: Largest value of a sound whose level is that of its peak.
FULL = 0.99


@dataclass(frozen=True)
class Finish:
    """How a sound is finished, and where it goes.

    Attributes
    ----------
    level
        ``loudness``: to `lufs`, with peaks below `true_peak`; ``peak``: as the generator leaves it, its largest value
        near full scale. None: ``loudness``, but ``peak`` for the preset ``official``, which keeps the published level.
    lufs
        Integrated loudness (BS.1770).
    true_peak
        Largest true peak, in dBTP.
    sample_rate
        Hertz; None: the generator's.
    mix
        Level of the video's own sound below the new one, in dB, 0 as it is; None: without it.
    track
        ``replace``: the new sound takes the place of the video's; ``add``: it is a further track.
    sound_track
        Sound track of the video that is replaced and mixed, from 1; None: the one that players take.
    """

    level: Literal["loudness", "peak"] | None = None
    lufs: float = BROADCAST_LUFS
    true_peak: float = BROADCAST_PEAK
    sample_rate: int | None = None
    mix: float | None = None
    track: Literal["replace", "add"] = "replace"
    sound_track: int | None = None

    def of_preset(self, preset: str) -> "Finish":
        """The same with a level, where none was asked for."""
        chosen: Literal["loudness", "peak"] = "peak" if preset == "official" else "loudness"
        return self if self.level is not None else replace(self, level=chosen)


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished sound.

    Attributes
    ----------
    waveform : ndarray, float32 (channels, samples)
        Within full scale.
    sample_rate : int
    facts : dict
        As JSON: ``lufs`` and ``true_peak``, where they are defined; ``mixed``, the codec of the old sound.
    notes : tuple of str
        What is other than was asked for.
    """

    waveform: np.ndarray
    sample_rate: int
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def finish_sound(result: FoleyResult, video: str | Path, finish: Finish, work: Work = here) -> Finished:
    """Bring a sound to its rate and level, and mix it with the video's own.

    Where both sounds are mixed, the new one first has the loudness that is asked for, the old one is added, and the mix
    is brought to that loudness again.

    Parameters
    ----------
    result : FoleyResult
    video : path
        That the sound was made for.
    finish : Finish
    work : callable
        Runs what reads the video.

    Raises
    ------
    ClipError
        If the video has no sound track of the number that is asked for, or it cannot be decoded.
    """
    rate = finish.sample_rate or result.sample_rate
    sound = at_rate(np.atleast_2d(result.waveform), result.sample_rate, rate)
    notes: list[str] = []
    sound = _levelled(sound, rate, finish)
    facts: dict[str, Any] = {}
    if finish.mix is not None:
        old, codec = work(old_sound, video, result.start, sound.shape[1] / rate, rate, finish.sound_track)
        if old is None:
            notes.append(f"{Path(video).name} has no sound to mix with: {codec}")
        else:
            sound = _levelled(mix_sounds(sound, old, finish.mix), rate, finish)
            facts["mixed"] = codec
    facts |= _levels(sound, rate, finish, notes)
    return Finished(sound, rate, facts, tuple(notes))


def _levelled(sound: np.ndarray, rate: int, finish: Finish) -> np.ndarray:
    if finish.level == "peak":
        largest = float(np.abs(sound).max(initial=0.0))
        return np.asarray(sound if largest <= 1 else sound * (FULL / largest), np.float32)
    if sound.shape[1] < SHORTEST * rate:
        return limit_peaks(sound, rate, finish.true_peak)
    return set_loudness(sound, rate, finish.lufs, finish.true_peak)


def _levels(sound: np.ndarray, rate: int, finish: Finish, notes: list[str]) -> dict[str, Any]:
    """Loudness and true peak as they are; a miss is noted."""
    if sound.shape[1] < SHORTEST * rate:
        if finish.level != "peak":
            notes.append(f"loudness is defined for {SHORTEST} s or more: the sound keeps the generator's level")
        return {}
    found = measure_levels(sound, rate)
    if found.lufs < ABSOLUTE_GATE:
        notes.append("the sound is silent")
        return {}
    if finish.level != "peak" and abs(found.lufs - finish.lufs) > NEAR_LU:
        notes.append(
            f"the sound has {found.lufs:.1f} LUFS, not {finish.lufs:g}: its peaks are at {finish.true_peak:g} dBTP, "
            "and there is too little between them"
        )
    return {"lufs": round(found.lufs, 2), "true_peak": round(found.true_peak, 2)}
