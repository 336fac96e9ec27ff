"""A sound against the pictures that it belongs to: a strip of pictures, the waveform below, seconds below that."""

import base64
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import quoteattr

import cv2
import numpy as np

from cafa.media.container import open_media

WIDTH, PICTURES, STRIP, WAVE, SCALE = 960, 10, 54, 110, 24
HEIGHT = STRIP + WAVE + SCALE
COLUMNS = 480


def peaks(waveform: np.ndarray, columns: int = COLUMNS) -> np.ndarray:
    """Lowest and highest sample of each part of a sound.

    Parameters
    ----------
    waveform : ndarray, (samples,) or (channels, samples)
    columns : int
        Parts of equal length.

    Returns
    -------
    ndarray, (columns, 2)
    """
    sound = np.atleast_2d(waveform)
    edges = np.linspace(0, sound.shape[1], columns + 1).round().astype(int)
    parts = [sound[:, begin : max(end, begin + 1)] for begin, end in pairwise(edges)]
    return np.array([(part.min(initial=0.0), part.max(initial=0.0)) for part in parts])


def strip(video: str | Path, seconds: float, count: int = PICTURES) -> list[bytes]:
    """Pictures of a video at equal distances, as JPEG files of the height of the strip.

    Parameters
    ----------
    video : path
    seconds : float
        Length of the part that they cover.
    count : int
    """
    wanted = [(number + 0.5) * seconds / count for number in range(count)]
    found: list[bytes] = []
    picture = None
    with open_media(video) as media:
        stream = media.stream("video")
        for frame, time in media.frames(stream, start=0):
            while len(found) < count and picture is not None and float(time * stream.time_base) > wanted[len(found)]:
                found.append(_small(picture))
            picture = frame
            if len(found) == count:
                return found
    return [*found, *[_small(picture)] * (count - len(found))] if picture is not None else found


def _small(frame: object) -> bytes:
    image = frame.to_ndarray(format="bgr24")  # type: ignore[attr-defined]
    scale = max(STRIP / image.shape[0], WIDTH / PICTURES / image.shape[1])
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 75])
    assert done
    return data.tobytes()


def timeline_svg(waveform: np.ndarray, seconds: float, pictures: list[bytes], label: str) -> str:
    """The picture: a text of SVG that holds everything itself.

    Parameters
    ----------
    waveform : ndarray, (samples,) or (channels, samples)
    seconds : float
    pictures : list of bytes
        JPEG files.
    label : str
        Said to those who do not see it.
    """
    middle = STRIP + WAVE / 2
    step = WIDTH / max(1, len(pictures))
    images = [
        f'<image x="{number * step:.1f}" y="0" width="{step:.1f}" height="{STRIP}" preserveAspectRatio="xMidYMid slice"'
        f' href="data:image/jpeg;base64,{base64.b64encode(data).decode()}"/>'
        for number, data in enumerate(pictures)
    ]
    found = peaks(waveform)
    full = max(1e-6, float(np.abs(found).max()))
    across = WIDTH / len(found)
    scaled = middle - found / full * (WAVE / 2 - 2)
    top = " ".join(f"{(n + 0.5) * across:.1f},{high:.1f}" for n, (_, high) in enumerate(scaled))
    bottom = " ".join(f"{(n + 0.5) * across:.1f},{low + 0.6:.1f}" for n, (low, _) in reversed([*enumerate(scaled)]))
    tick = next(size for size in (0.5, 1, 2, 5, 10, 30, 60, 300, 3600) if seconds / size <= 12 or size == 3600)
    marks = [
        f'<text x="{number * tick / seconds * WIDTH + 2:.1f}" y="{HEIGHT - 5}">{number * tick:g} s</text>'
        f'<path class="tick" d="M{number * tick / seconds * WIDTH:.1f} {STRIP}V{HEIGHT}"/>'
        for number in range(int(seconds / tick) + 1)
        if number * tick < seconds - tick / 4
    ]
    box, style = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img"', ".cafa-timeline"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cafa-timeline" {box} aria-label={quoteattr(label)}>'
        f"<style>{style} text{{font:18px sans-serif;fill:#667}}{style} .tick{{stroke:#8888}}"
        f"{style} .wave{{fill:#4f5bd5}}</style>"
        f'{"".join(images)}{"".join(marks)}<polygon class="wave" points="{top} {bottom}"/></svg>'
    )
