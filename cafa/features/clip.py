"""Picture features by the miniature's CLIP, for CAFA-C."""

from pathlib import Path

from cafa.features.from_frames import encode_frames
from cafa.models.encoders.miniature_clip import CLIPEncoder


def encode_clip(frames: str | Path, model: str | Path, output: str | Path) -> int:
    """Write the CLIP features of every clip of a feature file of frames; see :func:`encode_frames`.

    Parameters
    ----------
    frames : path
        Feature file of frames.
    model : path
        Model folder of the frozen CLIP.
    output : path
        Feature file to write.

    Returns
    -------
    int
        How many clips it holds.
    """
    return encode_frames(frames, CLIPEncoder(model), output)
