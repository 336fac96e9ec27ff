"""A sound on its way into a video: encoded beside the picture's packets."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.error
import numpy as np

from cafa.common.errors import InputError
from cafa.media.sound import at_rate

#: Samples per frame where an encoder takes any number (FLAC, PCM).
FRAME = 1024


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

    def whole(self) -> Iterator[Any]:
        """Packets of the whole sound."""
        yield from self.until(Fraction(self._waveform.shape[1], self._rate), last=True)

    def _frame(self, data: np.ndarray) -> av.AudioFrame:
        if self._format == "flt":
            data = np.ascontiguousarray(data.T.reshape(1, -1))
        layout = self.stream.codec_context.layout.name
        frame = av.AudioFrame.from_ndarray(data, format=self._format, layout=layout)
        frame.sample_rate = self._rate
        frame.pts, frame.time_base = self._position, Fraction(1, self._rate)
        return frame
