"""A sound on its way into a video: encoded beside the picture's packets, with the levels that players then get."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Any

import av
import av.error
import numpy as np

from cafa.common.errors import InputError
from cafa.media.loudness import ABSOLUTE_GATE, SHORTEST, Levels, limit_peaks, measure_levels, set_loudness
from cafa.media.sound import at_rate

#: Samples per frame where an encoder takes any number (FLAC, PCM).
FRAME = 1024
#: LU by which a codec may change the loudness before that is made good, the most that is made good, and how often.
NEAR_LU, MOST_LU, ROUNDS = 0.1, 1.0, 5
#: dB that true peaks stay below the limit after a codec: meters differ by so much (EBU Tech 3341: +0.2, -0.4 dB).
BELOW = 0.3


@dataclass(frozen=True)
class SoundCodec:
    """How a sound is encoded.

    Attributes
    ----------
    name : str
        FFmpeg's name of the encoder.
    bit_rate : int
        Bits per second.
    rates : tuple of int
        Sample rates that it takes; empty: any usual one.
    """

    name: str
    bit_rate: int
    rates: tuple[int, ...] = ()


AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
OPUS_RATES = (48000, 24000, 16000, 12000, 8000)


class EncodedSound:
    """A sound track of a file, encoded as far as the file has come.

    Parameters
    ----------
    target : av.container.OutputContainer
        Gets the track.
    codec : SoundCodec
    waveform : ndarray, float32 (1 or 2 channels, samples)
        Full scale 1.
    sample_rate : int
        Samples per second. Where the codec does not take it, the sound is resampled to 48 kHz.

    Raises
    ------
    InputError
        If the encoder refuses it.
    """

    def __init__(self, target: Any, codec: SoundCodec, waveform: np.ndarray, sample_rate: int) -> None:
        self._rate = sample_rate if sample_rate in codec.rates or not codec.rates else 48_000
        self._waveform, self._position = at_rate(waveform, sample_rate, self._rate), 0
        self.stream = target.add_stream(codec.name, rate=self._rate)
        self.stream.codec_context.bit_rate = codec.bit_rate
        self.stream.codec_context.layout = "mono" if len(waveform) == 1 else "stereo"
        self._format = "flt" if codec.name == "libopus" else "fltp"
        self.stream.codec_context.format = self._format
        try:
            self.stream.codec_context.open()
        except av.error.FFmpegError as error:
            raise InputError(f"{codec.name} cannot hold {sample_rate} Hz: resample first ({error})") from error

    def until(self, time: Fraction, *, last: bool = False) -> Iterator[Any]:
        """Packets of the sound up to a time, in seconds; with `last`, to the end."""
        end = min(round(time * self._rate), self._waveform.shape[1])
        size = self.stream.codec_context.frame_size or FRAME
        while self._position < end and (last or self._position + size <= end):
            data = self._waveform[:, self._position : min(self._position + size, end)]
            yield from self.stream.encode(self._frame(np.ascontiguousarray(data)))
            self._position += data.shape[1]
        if last:
            yield from self.stream.encode(None)

    def _frame(self, data: np.ndarray) -> av.AudioFrame:
        if self._format == "flt":
            data = np.ascontiguousarray(data.T.reshape(1, -1))
        layout = self.stream.codec_context.layout.name
        frame = av.AudioFrame.from_ndarray(data, format=self._format, layout=layout)
        frame.sample_rate = self._rate
        frame.pts, frame.time_base = self._position, Fraction(1, self._rate)
        return frame


def after_codec(waveform: np.ndarray, sample_rate: int, codec: SoundCodec) -> tuple[np.ndarray, int]:
    """What a player decodes of a sound.

    Parameters
    ----------
    waveform : ndarray, float32 (1 or 2 channels, samples)
    sample_rate : int
    codec : SoundCodec

    Returns
    -------
    ndarray, float32 (channels, samples)
        Not cut to full scale; with the codec's delay.
    int
        Samples per second.
    """
    file = BytesIO()
    with av.open(file, "w", format="matroska") as target:
        sound = EncodedSound(target, codec, waveform, sample_rate)
        for packet in sound.until(Fraction(waveform.shape[1], sample_rate) + 1, last=True):
            target.mux(packet)
    file.seek(0)
    with av.open(file, "r") as source:
        rate = int(source.streams.audio[0].rate)
        return np.concatenate([frame.to_ndarray() for frame in source.decode(audio=0)], axis=1), rate


def level_for_codec(
    waveform: np.ndarray, sample_rate: int, codec: SoundCodec, lufs: float, true_peak: float
) -> tuple[np.ndarray, Levels | None]:
    """Set the levels of a finished sound so that they hold after a codec, which moves peaks and may lose loudness.

    Parameters
    ----------
    waveform : ndarray, float32 (1 or 2 channels, samples)
        Of these levels before the codec.
    sample_rate : int
    codec : SoundCodec
    lufs : float
        Integrated loudness wanted; where the sound is below it already, for its peaks, it stays below it.
    true_peak : float
        Largest true peak, in dBTP.

    Returns
    -------
    ndarray, float32
        Of the same shape.
    Levels or None
        What is measured after the codec; None where no loudness is defined.
    """
    if waveform.shape[1] < SHORTEST * sample_rate:
        return waveform, None
    own = measure_levels(waveform, sample_rate).lufs
    if own < ABSOLUTE_GATE:
        return waveform, None
    # A sound that is below its loudness for its peaks would only be limited more by a larger gain.
    reached = own > lufs - 2 * NEAR_LU
    limit, more, less, best = true_peak - BELOW, 0.0, 0.0, waveform
    found = measure_levels(*after_codec(best, sample_rate, codec))
    for _ in range(ROUNDS):
        over, missing = found.true_peak - limit, lufs - found.lufs if reached else 0.0
        if over <= 0 and abs(missing) <= NEAR_LU:
            break
        more, less = min(more + missing, MOST_LU), less + max(over, 0.0)
        if reached and less > 0:  # what the limiter takes away is made good
            best = set_loudness(waveform, sample_rate, lufs + more, true_peak - less)
        else:
            best = limit_peaks(waveform * np.float32(10 ** (more / 20)), sample_rate, true_peak - less)
        found = measure_levels(*after_codec(best, sample_rate, codec))
    while found.true_peak > limit:  # a codec that answers a lower limit with new peaks: the whole sound is turned down
        best = best * np.float32(10 ** ((limit - found.true_peak - NEAR_LU) / 20))
        found = measure_levels(*after_codec(best, sample_rate, codec))
    return best, found
