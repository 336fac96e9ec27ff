"""Video features by the miniature's encoders, from frames that are stored."""

from pathlib import Path

from cafa.features.store import FeatureStore, write_features
from cafa.models.encoders.miniature_video import FrameTower


def encode_frames(frames: str | Path, tower: FrameTower, output: str | Path) -> int:
    """Write the features of every clip of a feature file of frames, float16 (frames, dim).

    Parameters
    ----------
    frames : path
        Feature file of frames.
    tower : FrameTower
    output : path
        Feature file to write.

    Returns
    -------
    int
        How many clips it holds.
    """
    store = FeatureStore([frames])
    arrays = ((clip_id, tower.encode(array)) for clip_id, array in store)
    return write_features(
        output,
        arrays,
        kind=tower.kind,
        shape=(store.shape[0], tower.dim),
        dtype="float16",
        encoder=tower.encoder,
        sources=store.sources(),
    )
