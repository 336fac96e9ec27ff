"""One playable video of the page of examples, with what is seen of its sound."""

import base64
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cafa.media.spectrogram import RANGE, spectrogram

#: Columns of a waveform's picture and of a spectrogram, and rows of the latter.
BINS, ROWS = 160, 64


@dataclass(frozen=True)
class Card:
    """A video and its sound.

    Attributes
    ----------
    name : str
        System.
    video : str
        base64 of an mp4.
    wave, own_wave : str
        Outlines of its sound and of the clip's own; see :func:`outline`.
    picture : str
        base64 of a PNG; see :func:`spectrogram_image`.
    marks : tuple of float
        Events, in columns of the pictures.
    scores : tuple of (str, str)
        Metric and value.
    seconds : float
    """

    name: str
    video: str
    wave: str
    own_wave: str
    picture: str
    marks: tuple[float, ...]
    scores: tuple[tuple[str, str], ...]
    seconds: float


def outline(sound: np.ndarray, bins: int = BINS) -> str:
    """SVG path of a waveform's envelope, `bins` wide and 2 high; the loudest point fills the height.

    Parameters
    ----------
    sound : numpy.ndarray, shape (samples,)
    """
    peaks = np.array([np.abs(part).max(initial=0.0) for part in np.array_split(sound, bins)])
    heights = 0.96 * peaks / max(float(peaks.max()), 1e-9)
    upper = [f"{place + 0.5:g} {1 - height:.3f}" for place, height in enumerate(heights)]
    lower = [f"{place + 0.5:g} {1 + height:.3f}" for place, height in reversed(list(enumerate(heights)))]
    return "M" + "L".join(upper + lower) + "Z"


def spectrogram_image(sound: np.ndarray) -> str:
    """base64 of a PNG of the spectrogram: low frequencies below, the loudest value in each of its fields.

    Parameters
    ----------
    sound : numpy.ndarray, shape (samples,)
    """
    from matplotlib.image import imsave

    levels = spectrogram(sound)[:-1]  # without the highest frequency the others are divided evenly
    rows = levels.reshape(ROWS, -1, levels.shape[1]).max(axis=1)
    parts = np.array_split(rows, min(BINS, rows.shape[1]), axis=1)
    picture = np.stack([part.max(axis=1) for part in parts], axis=1)
    loudest = float(picture.max())
    file = io.BytesIO()
    imsave(file, picture, vmin=loudest - RANGE, vmax=loudest, cmap="magma", origin="lower", format="png", metadata={})
    return base64.b64encode(file.getvalue()).decode("ascii")


def playable(video: Path, sound: np.ndarray, sample_rate: int, seconds: float) -> str:
    """base64 of an mp4 with the pictures of `video` and `sound`."""
    from cafa.media.mux import put_sound_under_video

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "example.mp4"
        put_sound_under_video(video, sound, sample_rate, path, seconds)
        return base64.b64encode(path.read_bytes()).decode("ascii")
