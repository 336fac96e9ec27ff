"""Sound: decode a window to the sample, read as mono at any rate, write losslessly."""

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
import soxr
from av.audio.frame import format_dtypes

from cafa.common.errors import ClipError, InputError
from cafa.common.files import atomic_write
from cafa.media.container import Media, open_media
from cafa.media.damage import DAMAGED_SHARE, Damage
from cafa.media.usable_sound import check_samples, usable_length

#: Largest magnitude that a file of 16 bits holds on both sides.
FULL_SCALE = 32767 / 32768


#: Time stamps of coarse containers wander by a millisecond; a larger step is a gap or an overlap.
STEP_SECONDS = 0.010
#: A sound may be this much shorter than asked for (a codec's last frame); what is missing is silence.
ENOUGH = 0.98
#: libsndfile's name of the sample type by suffix
SUBTYPES = {".flac": ("FLAC", "PCM_16"), ".wav": ("WAV", "PCM_16")}


@dataclass(frozen=True)
class Sound:
    """Decoded sound of a window.

    Attributes
    ----------
    samples : np.ndarray
        Shape (channels, n), in the codec's own type: int16 (also for 8 bit), int32, float32 or float64.
        Sample 0 is at the window's start.
    sample_rate : int
        Samples per second.
    delay : int
        Samples of silence before the stream begins.
    gap : int
        Samples of silence where the stream has none.
    codec : str
        Name of the codec.
    lost : int
        Samples that were damaged: silence, mostly part of `gap`.
    """

    samples: np.ndarray
    sample_rate: int
    delay: int
    gap: int
    codec: str
    lost: int = 0

    @property
    def seconds(self) -> float:
        """Duration, silence included."""
        return self.samples.shape[1] / self.sample_rate


def decode_sound(
    media: Media, start: Fraction, seconds: Fraction | None, damaged_share: float = DAMAGED_SHARE
) -> Sound:
    """Decode the sound of a window, each sample at its presentation time.

    Parameters
    ----------
    media : Media
        An open file.
    start : Fraction
        Seconds from the file's earliest stream (of any kind) to the window.
    seconds : Fraction, optional
        Length of the window; the sound may end before it. None: to the end.
    damaged_share : float
        Share of the sound's frames that may be damaged; they are silence, or what is decoded after them closes up
        where they last less than 10 ms.

    Raises
    ------
    ClipError
        ``no_audio``, ``corrupt``, ``unreadable``, or ``short`` if the window holds no sample.
    """
    stream = media.stream("audio")
    pieces: list[list[np.ndarray]] = []
    rate, wanted, position, held, gap, delay, per_tick = 0, 0, 0, 0, 0, 0, 0.0
    damage = Damage()
    for frame, time in media.frames(stream, start, damage):
        data = _channels(frame)
        if not rate:
            rate = frame.sample_rate
            wanted = -1 if seconds is None else round(seconds * rate)
            per_tick = float(stream.time_base * rate)
            position = round(time * per_tick)
            delay = max(position, 0)
            pieces.append([np.zeros(delay, data[0].dtype)] * len(data))
            held = delay
        elif frame.sample_rate != rate or len(data) != len(pieces[0]) or data[0].dtype != pieces[0][0].dtype:
            raise ClipError("corrupt", f"the sound changes to {frame.sample_rate} Hz, {len(data)} channels")
        step = round(time * per_tick) - position
        if abs(step) > STEP_SECONDS * rate:
            position += step
            if position > held:  # a hole inside the window
                gap += position - held
                pieces.append([np.zeros(position - held, data[0].dtype)] * len(data))
                held = position
        data_start, position = position, position + len(data[0])
        already = held - data_start  # what lies before the window, or was there already
        pieces.append([samples[already:] for samples in data] if already > 0 else data)
        held += len(pieces[-1][0])
        if 0 <= wanted <= held:
            break
    damage.check(damaged_share, "audio")
    samples = _joined(pieces)
    samples = samples[:, :wanted] if wanted >= 0 else samples
    if samples.shape[1] == 0 or delay >= samples.shape[1]:
        raise ClipError("short", f"no sound at all from {float(start):.3f} s on")
    return Sound(samples, rate, delay, gap, stream.codec_context.name, round(damage.lost_ticks * per_tick))


def _channels(frame: Any) -> list[np.ndarray]:
    """Samples of each channel, in the codec's own type; 8 bit as 16."""
    # Views: frame.to_ndarray() makes copies of these few samples, which takes as long as decoding them does.
    dtype, count = np.dtype(format_dtypes[frame.format.name]), frame.layout.nb_channels
    if frame.format.is_planar:
        channels = [np.frombuffer(plane, dtype, frame.samples) for plane in frame.planes]
    else:
        channels = list(np.frombuffer(frame.planes[0], dtype, frame.samples * count).reshape(-1, count).T)
    if dtype == np.uint8:
        return [(samples.astype(np.int16) - 128) << 8 for samples in channels]
    return channels


def _joined(pieces: list[list[np.ndarray]]) -> np.ndarray:
    """One array (channels, n) of pieces, each a list of its channels."""
    if not pieces:
        return np.zeros((0, 0))
    samples = np.empty((len(pieces[0]), sum(len(piece[0]) for piece in pieces)), pieces[0][0].dtype)
    for place, channel in zip(zip(*pieces, strict=True), samples, strict=True):
        np.concatenate(place, out=channel)
    return samples


def to_float(samples: np.ndarray) -> np.ndarray:
    """Samples of any type as float32, full scale = 1."""
    found = samples.astype(np.float32, copy=False)
    if samples.dtype.kind == "i":
        found /= np.float32(2 ** (8 * samples.dtype.itemsize - 1))  # a power of 2: nothing is rounded
    return found


def write_lossless(path: Path, samples: np.ndarray, sample_rate: int) -> int:
    """Write decoded samples as FLAC: 16 bit where the codec gave that, else 24 bit.

    Parameters
    ----------
    path : Path
        Written directly: the caller makes it appear whole.
    samples : np.ndarray
        Shape (channels, n), as in :class:`Sound`.
    sample_rate : int
        Samples per second.

    Returns
    -------
    int
        Number of samples beyond full scale, which were cut to it (lossy codecs overshoot).
    """
    if samples.shape[0] > 8:
        raise ClipError("corrupt", f"sound of {samples.shape[0]} channels: FLAC holds at most 8")
    if samples.dtype == np.int16:
        soundfile.write(path, samples.T, sample_rate, format="FLAC", subtype="PCM_16")
        return 0
    if samples.dtype.kind == "i":
        levels = np.rint(samples / 2.0 ** (8 * samples.dtype.itemsize - 24))
    else:
        levels = np.rint(samples.astype(np.float64) * 2**23)
    over = int(np.count_nonzero((levels > 2**23) | (levels < -(2**23))))
    levels = np.clip(levels, -(2**23), 2**23 - 1).astype(np.int32) << 8
    soundfile.write(path, levels.T, sample_rate, format="FLAC", subtype="PCM_24")
    return over


def read_sound(path: str | Path, *, sample_rate: int, seconds: float | None = None) -> np.ndarray:
    """Read a file's sound as mono.

    Parameters
    ----------
    path : str or Path
        FLAC or WAV, or any container that FFmpeg reads (its sound aligned to the file's time 0).
    sample_rate : int
        Wanted rate; resampled with soxr's high quality setting.
    seconds : float, optional
        Read exactly the first ``round(seconds * sample_rate)`` samples. None: all.

    Returns
    -------
    np.ndarray
        float32, shape (samples,), the mean of the channels; full scale is 1.

    Raises
    ------
    ClipError
        ``missing_file``, ``corrupt``, ``not_finite``, ``out_of_scale``... ; ``short`` if less than 0.98 of
        `seconds` is there (up to that, the rest is silence).
    """
    return mono_at_rate(*read_own_rate(path, seconds), sample_rate, seconds, path)


def read_channels(path: str | Path, *, sample_rate: int, seconds: float | None = None) -> np.ndarray:
    """Read a file's sound with its channels; as :func:`read_sound` otherwise.

    Returns
    -------
    np.ndarray
        float32, shape (channels, samples).
    """
    return at_rate(*read_own_rate(path, seconds), sample_rate, seconds, path)


def read_own_rate(
    path: str | Path, seconds: float | None = None, *, used: float | None = None
) -> tuple[np.ndarray, int]:
    """Read a file's sound as it is, up to `seconds`: float32 (channels, samples), and samples per second.

    Where only the first `used` seconds must be a usable sound, it ends at the first value after these that is none.

    Raises
    ------
    ClipError
        As :func:`read_sound`; ``not_finite`` or ``out_of_scale`` within `seconds`
        (:mod:`cafa.media.usable_sound`).
    """
    path = Path(path)
    if path.suffix.lower() in SUBTYPES and path.is_file() and path.stat().st_size > 0:
        try:
            with soundfile.SoundFile(path) as file:
                frames = -1 if seconds is None else int(np.ceil(seconds * file.samplerate))
                data, rate = file.read(frames, dtype="float32", always_2d=True).T, file.samplerate
        except soundfile.LibsndfileError as error:
            raise ClipError("corrupt", f"{path}: {error}") from error
    else:
        with open_media(path) as media:
            window = None if seconds is None else Fraction(seconds).limit_denominator(10**6)
            sound = decode_sound(media, Fraction(0), window)
        data, rate = to_float(sound.samples), sound.sample_rate
    if used is None:
        check_samples(data, rate, str(path))
        return data, rate
    least = math.ceil(used * rate)
    check_samples(data[:, :least], rate, str(path))
    return data[:, : usable_length(data, least)], rate


def at_rate(
    data: np.ndarray, rate: int, sample_rate: int, seconds: float | None = None, path: str | Path = "the sound"
) -> np.ndarray:
    """Resample channels, each by itself; with `seconds`, exactly as many, of which the last 2 % may be silence.

    Raises
    ------
    ClipError
        ``short`` if more is missing; `path` is for the message.
    """
    if rate != sample_rate:  # one channel at a time, as mono sound is
        data = np.stack([soxr.resample(np.ascontiguousarray(c), rate, sample_rate, quality="HQ") for c in data])
    if seconds is None:
        return data
    wanted = round(seconds * sample_rate)
    have = data.shape[1]
    if have < ENOUGH * wanted:
        raise ClipError("short", f"{path}: {have / sample_rate:.3f} s of sound, {seconds:.3f} s wanted")
    return np.pad(data[:, :wanted], ((0, 0), (0, max(wanted - have, 0))))


def mono_at_rate(
    data: np.ndarray, rate: int, sample_rate: int, seconds: float | None = None, path: str | Path = "the sound"
) -> np.ndarray:
    """The mean of channels, as :func:`at_rate` gives it: float32 (samples,)."""
    return at_rate(data.mean(axis=0, dtype=np.float32)[None], rate, sample_rate, seconds, path)[0]


def write_sound(
    path: str | Path, waveform: np.ndarray, sample_rate: int, *, over: Literal["refuse", "clip"] = "refuse"
) -> int:
    """Write a waveform with 16 bits per sample; the file appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        ``.flac`` or ``.wav``.
    waveform : np.ndarray
        Shape (samples,) or (channels, samples), full scale 1.
    sample_rate : int
        Samples per second.
    over : {"refuse", "clip"}
        What to do with samples beyond full scale.

    Returns
    -------
    int
        Number of samples that were clipped (0 with ``"refuse"``).

    Raises
    ------
    InputError
        If the suffix or shape is another, a value is not finite, or samples exceed full scale and
        `over` is ``"refuse"``.
    """
    path, waveform = Path(path), np.asarray(waveform)
    if path.suffix.lower() not in SUBTYPES:
        raise InputError(f"sound is written as {' or '.join(SUBTYPES)}, got {path.name!r}")
    if waveform.ndim not in (1, 2) or waveform.size == 0 or (waveform.ndim == 2 and len(waveform) > 8):
        raise InputError(f"waveform must be (samples,) or (channels <= 8, samples), got {waveform.shape}")
    if not np.isfinite(waveform).all():
        raise InputError(f"waveform for {path.name} holds values that are not finite")
    beyond = int(np.count_nonzero(np.abs(waveform) > 1))
    if beyond and over == "refuse":
        peak = float(np.abs(waveform).max())
        raise InputError(
            f"waveform for {path.name}: {beyond} samples exceed full scale (peak {peak:.3f}): scale it first"
        )
    levels = np.clip(np.rint(waveform.astype(np.float64) * 2**15), -(2**15), 2**15 - 1).astype(np.int16)
    kind, subtype = SUBTYPES[path.suffix.lower()]
    with atomic_write(path, levels.nbytes) as temporary:
        soundfile.write(temporary, levels.T, sample_rate, format=kind, subtype=subtype)
    return beyond
