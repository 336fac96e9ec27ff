"""Levels of a sound that hold after a lossy codec, as players get it."""

from io import BytesIO

import av
import numpy as np

from cafa.media.encoded_sound import EncodedSound, SoundCodec
from cafa.media.loudness import (
    ABSOLUTE_GATE,
    SHORTEST,
    Levels,
    integrated_loudness,
    limit_peaks,
    measure_levels,
    set_loudness,
)

#: LU by which a codec may change the loudness before that is made good, the most that is made good, and how often.
NEAR_LU, MOST_LU, ROUNDS = 0.1, 1.0, 5
#: dB that true peaks stay below the limit after a codec: meters differ by so much (EBU Tech 3341: +0.2, -0.4 dB).
BELOW = 0.3


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
        for packet in sound.whole():
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
    own = integrated_loudness(waveform, sample_rate)
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
