"""What a usable sound is: one rule for the stages that read sounds, generate them and judge them.

A sound is refused if, within the seconds that are used, a value is not finite (``not_finite``) or lies further beyond
full scale than a codec's overshoot can (``out_of_scale``: a file of floating-point values whose scale was forgotten;
files of whole numbers cannot). What comes after these seconds does not matter. A sound that judges cannot hear is used,
and counted: see :func:`finding_of`.
"""

import numpy as np

from cafa.common.errors import ClipError

#: Largest magnitude of a sound, full scale = 1: +12 dB. Lossy codecs and resampling overshoot by less than half of it.
LARGEST = 4.0
#: Magnitude below which nothing is audible: -80 dB of full scale, three steps of 16 bits.
SILENCE = 1e-4
#: Strength of the mean of the channels, relative to that of the channels, below which they cancel: -20 dB.
CANCELLED = 0.1
SILENT, CONSTANT, ANTIPHASE = "silent", "constant", "antiphase"
FINDINGS = {
    SILENT: "no channel passes -80 dB of full scale",
    CONSTANT: "each channel holds one value throughout: nothing can be heard",
    ANTIPHASE: "the channels cancel in their mean, which is all that mono judges hear; the channels are not silent",
}


def check_samples(samples: np.ndarray, sample_rate: int, name: str = "the sound") -> None:
    """Refuse samples that are no sound.

    Parameters
    ----------
    samples : numpy.ndarray
        Shape (samples,) or (channels, samples), of the seconds that are used; floating-point with full scale 1, or
        whole numbers, which are always usable.
    sample_rate : int
        Samples per second, to say where.
    name : str
        For the message.

    Raises
    ------
    ClipError
        ``not_finite`` or ``out_of_scale``, with how many values, the first one's time, and the peak.
    """
    samples = np.atleast_2d(samples)
    if samples.dtype.kind != "f" or samples.size == 0:
        return
    check_finite(samples, sample_rate, name)
    peak = float(np.abs(samples).max())
    if peak > LARGEST:
        beyond = np.abs(samples) > LARGEST
        first = np.flatnonzero(beyond.any(axis=0))[0] / sample_rate
        raise ClipError(
            "out_of_scale",
            f"{name}: the peak is {peak:.6g} of full scale, more than {LARGEST:g}; {np.count_nonzero(beyond)} of "
            f"{samples.size} values, the first at {first:.3f} s: floating-point files hold values from -1 to 1",
        )


def check_finite(samples: np.ndarray, sample_rate: int, name: str = "the sound") -> None:
    """The first half of :func:`check_samples`: for sounds whose scale is still to be set, as a model makes them."""
    finite = np.isfinite(np.atleast_2d(samples))
    if not finite.all():
        first = np.argmin(finite.all(axis=0)) / sample_rate
        raise ClipError(
            "not_finite",
            f"{name}: {finite.size - np.count_nonzero(finite)} of {finite.size} values are not finite, the first at "
            f"{first:.3f} s",
        )


def usable_length(samples: np.ndarray, least: int) -> int:
    """Samples up to the first one after `least` that is not finite, or out of scale; all where there is none."""
    with np.errstate(invalid="ignore"):
        good = (np.abs(np.atleast_2d(samples)[:, least:]) <= LARGEST).all(axis=0)
    return least + (len(good) if good.all() else int(np.argmin(good)))


def over_full_scale(samples: np.ndarray) -> int:
    """How many values pass full scale, by no more than :data:`LARGEST`."""
    return int(np.count_nonzero(np.abs(samples) > 1.0))


def finding_of(samples: np.ndarray) -> str:
    """What makes a usable sound inaudible to judges: a key of :data:`FINDINGS`; empty for others.

    Parameters
    ----------
    samples : numpy.ndarray
        float, shape (samples,) or (channels, samples), full scale 1.
    """
    samples = np.atleast_2d(samples)
    moving = samples - samples.mean(axis=1, dtype=np.float64, keepdims=True)
    if float(np.abs(moving).max(initial=0.0)) < SILENCE:
        return SILENT if float(np.abs(samples).max(initial=0.0)) < SILENCE else CONSTANT
    together = float(np.sqrt(np.mean(moving.mean(axis=0) ** 2)))
    if together < CANCELLED * float(np.sqrt(np.mean(moving**2))):
        return ANTIPHASE
    return ""
