"""Video features by the miniature's AV-CLIP."""

from pathlib import Path

from cafa.features.from_frames import encode_frames
from cafa.models.encoders.miniature_av_clip import AVClipEncoder


def encode_av_clip(frames: str | Path, model: str | Path, output: str | Path) -> int:
    """Write the AV-CLIP features of every clip of a feature file of frames; see :func:`encode_frames`.

    Parameters
    ----------
    frames : path
        Feature file of frames.
    model : path
        Model folder of the frozen AV-CLIP.
    output : path
        Feature file to write.

    Returns
    -------
    int
        How many clips it holds.
    """
    return encode_frames(frames, AVClipEncoder(model), output)
