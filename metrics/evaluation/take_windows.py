"""Sounds that are longer than what judges take: windows over their whole length, and one value of all.

Windows follow one another from the beginning; the last one ends with the sound, so it may share seconds with the one
before. In the mean every second counts alike: of shared seconds each of the two windows gets half.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from cafa.media import FRAME_RATE


@dataclass(frozen=True)
class Window:
    """A part of a sound that is judged by itself.

    Attributes
    ----------
    start : float
        Seconds from the beginning.
    weight : float
        Share in the mean; those of all windows add up to 1.
    """

    start: float
    weight: float


def windows_over(seconds: float, length: float) -> list[Window]:
    """Windows of a length over the whole of a sound.

    Parameters
    ----------
    seconds : float
        Length of the sound.
    length : float
        Of a window, in seconds. A sound that is longer by less than a frame of the picture (0.04 s) has one window, as
        a shorter one has.

    Returns
    -------
    list of Window

    Examples
    --------
    >>> windows_over(6.0, 8.0)
    [Window(start=0.0, weight=1.0)]
    >>> windows_over(16.0, 8.0)
    [Window(start=0.0, weight=0.5), Window(start=8.0, weight=0.5)]
    >>> windows_over(20.0, 8.0)
    [Window(start=0.0, weight=0.4), Window(start=8.0, weight=0.3), Window(start=12.0, weight=0.3)]
    """
    frame = 1 / FRAME_RATE
    if seconds - length < frame:
        return [Window(0.0, 1.0)]
    count = math.ceil((seconds - frame) / length)
    starts = [length * number for number in range(count - 1)] + [seconds - length]
    own = [length] * count
    shared = starts[-2] + length - starts[-1]
    own[-2], own[-1] = own[-2] - shared / 2, own[-1] - shared / 2
    return [Window(start, part / seconds) for start, part in zip(starts, own, strict=True)]


def cut_sounds(sounds: Sequence[Path], start: float, length: float, folder: Path) -> list[Path]:
    """Write a window of each sound, its samples as they are.

    Parameters
    ----------
    sounds : sequence of Path
        wav files.
    start, length : float
        Seconds.
    folder : Path
        Gets a file of the same name for each.

    Returns
    -------
    list of Path
    """
    cut = []
    for sound in sounds:
        with soundfile.SoundFile(sound) as file:
            count = min(math.ceil(length * file.samplerate), file.frames)
            file.seek(min(round(start * file.samplerate), file.frames - count))
            data, rate, subtype = file.read(count, dtype="int16"), file.samplerate, file.subtype
        cut.append(folder / sound.name)
        soundfile.write(cut[-1], data, rate, subtype=subtype)
    return cut


def mean_of_windows(values: Sequence[Mapping[str, float]], windows: Sequence[Window]) -> dict[str, float]:
    """Values of a sound from those of its windows, one mapping for each.

    Examples
    --------
    >>> mean_of_windows([{"CLAP": 0.5}, {"CLAP": 0.1}], windows_over(16.0, 8.0))
    {'CLAP': 0.3}
    """
    if len(windows) == 1:
        return dict(values[0])
    return {
        name: math.fsum(window.weight * found[name] for found, window in zip(values, windows, strict=True))
        for name in values[0]
    }
