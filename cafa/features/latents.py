"""Latents of log-mels by the miniature's autoencoder."""

from pathlib import Path

from cafa.common.errors import InputError
from cafa.features.store import FeatureStore, write_features
from cafa.models.encoders.miniature_autoencoder import MelAutoencoder


def encode_latents(mel: str | Path, autoencoder: str | Path, output: str | Path) -> int:
    """Write the latents of every clip of a feature file of log-mels, float16 (frames / fold, channels).

    Parameters
    ----------
    mel : path
        Feature file of log-mels.
    autoencoder : path
        Model folder of the frozen autoencoder.
    output : path
        Feature file to write.

    Returns
    -------
    int
        How many clips it holds.

    Raises
    ------
    InputError
        If the log-mels are of another number of bands than the autoencoder was fitted on.
    """
    model, store = MelAutoencoder.load(autoencoder), FeatureStore([mel])
    settings = model.settings
    if store.encoder.get("bins") != settings.mel.bins:
        raise InputError(f"{mel} was made by {store.encoder}, the autoencoder wants {settings.mel}")
    shape = (store.shape[0] // settings.fold, settings.channels)
    arrays = ((clip_id, model.encode(array)) for clip_id, array in store)
    return write_features(
        output, arrays, kind="latents", shape=shape, dtype="float16", encoder=model.encoder, sources=store.sources()
    )
