"""Video features by the miniature's AV-CLIP."""

from pathlib import Path

from cafa.features.store import FeatureStore, write_features
from cafa.models.encoders.miniature_av_clip import AVClipEncoder


def encode_av_clip(frames: str | Path, model: str | Path, output: str | Path) -> int:
    """Write the video features of every clip of a feature file of frames, float16 (frames, dim).

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
    encoder, store = AVClipEncoder(Path(model)), FeatureStore([frames])
    shape = (store.shape[0], encoder.settings.dim)
    arrays = ((clip_id, encoder.encode(array)) for clip_id, array in store)
    return write_features(
        output, arrays, kind="av_clip", shape=shape, dtype="float16", encoder=encoder.encoder, sources=store.sources()
    )
