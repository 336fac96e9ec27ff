"""What is seen and heard of one sound on the page of examples."""

import base64
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cafa.media.frames import read_frames
from cafa.media.mux import put_sound_under_video
from cafa.media.spectrogram import HOP, RANGE, spectrogram

#: Columns of a waveform's picture and of a spectrogram, and rows of the latter.
BINS, ROWS = 160, 64
#: Colours of a spectrogram's picture: more cannot be told apart in it, and cost bytes.
COLOURS = 32
#: Widest still picture, in pixels, and its quality as a JPEG.
STILL, QUALITY = 320, 80


@dataclass(frozen=True)
class Still:
    """A picture of a video, for before it plays.

    Attributes
    ----------
    jpeg : bytes
    width, height : int
        Of the video.
    """

    jpeg: bytes
    width: int
    height: int


def still(video: Path, at: float) -> Still:
    """The frame of a normalised clip that is shown at a time, in seconds."""
    import cv2

    frame = read_frames(video, seconds=at + 1 / 25)[-1]
    height, width = frame.shape[:2]
    scale = min(1.0, STILL / width)
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else frame
    jpeg = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return Still(jpeg.tobytes(), width, height)


def peaks(sound: np.ndarray, bins: int = BINS) -> str:
    """Envelope of a waveform: base64 of one byte for each of its `bins` parts, 255 the loudest.

    Parameters
    ----------
    sound : numpy.ndarray, shape (samples,)
    """
    highest = np.array([np.abs(part).max(initial=0.0) for part in np.array_split(sound, bins)])
    heights = np.round(255 * highest / max(float(highest.max()), 1e-9)).astype(np.uint8)
    return base64.b64encode(heights.tobytes()).decode("ascii")


def spectrogram_image(sound: np.ndarray) -> bytes:
    """PNG of the spectrogram: low frequencies below, the loudest value in each of its fields.

    Parameters
    ----------
    sound : numpy.ndarray, shape (samples,)
    """
    from matplotlib.image import imsave

    levels = spectrogram(sound)[:-1]  # without the highest frequency the others are divided evenly
    rows = levels.reshape(ROWS, -1, levels.shape[1]).max(axis=1)
    columns = max(1, min(BINS, len(sound) // HOP))
    # The first window whose middle is in a column: columns are of equal time, since events are marked over them.
    starts = -(-np.arange(columns) * len(sound) // (columns * HOP))
    picture = np.maximum.reduceat(rows, starts, axis=1)
    steps = np.round((picture - picture.max()) / RANGE * (COLOURS - 1))
    file = io.BytesIO()
    imsave(file, steps, vmin=1 - COLOURS, vmax=0, cmap="magma", origin="lower", format="png", metadata={})
    return file.getvalue()


def playable(video: Path, sound: np.ndarray, sample_rate: int, seconds: float) -> bytes:
    """An mp4 with the pictures of `video` and `sound`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "example.mp4"
        put_sound_under_video(video, sound, sample_rate, path, seconds)
        return path.read_bytes()
