"""What every judge looks like from outside.

A judge's encoder turns clips into arrays; a metric turns arrays into scores. This file holds the only
thing the two sides agree on.

Conventions
-----------
* A *batch* is a sequence of clips (or an array whose first axis is clips).
* An audio clip is float32 in [-1, 1], shape ``(samples,)`` or ``(channels, samples)``, at ``sample_rate``.
  How channels are reduced is the encoder's business, because the published judges differ.
* A video clip is uint8 RGB, shape ``(frames, height, width, 3)``, at ``frame_rate``.
* A text clip is a ``str``; both rates are None.
* Encoders of sound also have ``prepare(samples, rate, seconds)``: decoded sound at any rate to what `embed`
  takes, by the judge's own rules on channels, DC and length.
* The answer is float32 with the clips on the first axis, in the order given.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Encoder(Protocol):
    """One frozen network of a judge.

    Attributes
    ----------
    name
        Stable name, written beside every embedding.
    weights_sha256
        SHA-256 of the weights file, 64 hexadecimal digits.
    sample_rate
        Hertz of the audio that `embed` takes; None where it takes no audio.
    frame_rate
        Frames per second of the video that `embed` takes; None where it takes no video.
    """

    name: str
    weights_sha256: str
    sample_rate: int | None
    frame_rate: float | None

    def embed(self, batch: Sequence[Any]) -> np.ndarray:
        """Embed every clip of ``batch``; float32, first axis the clips."""
        ...
