"""How many bytes the stages of a full-size run leave on disk for each clip, sound, caption or model."""

#: Fetched: seven clips of 10 s had 0.6 to 3.5 MB, VGGSound's among them 2.0 on average.
FETCHED = 2_000_000
#: Normalised, picture (256 on the short side) and sound (FLAC): six of them have 1.6 to 3.7 MB, 2.6 on average.
NORMALISED = 2_600_000
#: Rows of features, float16 (10 s): 216 tokens of 768 values, 216 latents of 64 channels, as many states of T5
#: (768 or 1024 wide) as a caption has tokens: 40 are a long one.
ENCODED = {"av_clip": 216 * 768 * 2, "clip": 216 * 768 * 2, "latents": 216 * 64 * 2, "text": 40 * 1024 * 2}
#: float32 of a judged sound: embedding and logits of PANNs, CLAP, ImageBind twice, two times 21 classes of Synchformer
JUDGED_SOUND = (2048 + 527 + 512 + 2 * 1024 + 2 * 21) * 4
#: and of a judged picture: 24 segments of 8 s, 8 vectors of 768 values
JUDGED_PICTURE = 24 * 8 * 768 * 4
#: an adapter of Stable Audio Open; and the state of its training, which is written anew beside the old one
ADAPTER, TRAINING_STATE = 4_300_000_000, 2 * 18_000_000_000


def sample_bytes(seconds: float, sample_rate: int, channels: int = 2) -> int:
    """Bytes of a generated sound at most: 16 bits, as if FLAC saved nothing."""
    return round(seconds * sample_rate) * channels * 2


def estimate(items: dict[str, float], seconds: float, sample_rate: int) -> dict[str, int]:
    """Bytes by what is written.

    Parameters
    ----------
    items : dict of str to float
        How many are still to be made: ``fetched`` and ``normalised`` clips, ``av_clip``, ``clip``, ``latents``,
        ``text`` rows, ``samples``, ``judged_sounds``, ``judged_pictures``, ``adapters``.
    seconds : float
        Length of a clip and of a sound.
    sample_rate : int
        Hz, of generated sound.

    Returns
    -------
    dict of str to int
        Bytes of raw clips, normalised clips, features, samples, embeddings and models.
    """
    part = seconds / 10
    sound = sample_bytes(seconds, sample_rate)
    adapters = items.get("adapters", 0)
    found = {
        "raw clips": items.get("fetched", 0) * FETCHED * part,
        "normalised clips": items.get("normalised", 0) * NORMALISED * part,
        "features": sum(items.get(kind, 0) * size for kind, size in ENCODED.items()),
        "samples": items.get("samples", 0) * sound,
        "embeddings": (items.get("judged_sounds", 0) + items.get("samples", 0)) * JUDGED_SOUND
        + items.get("judged_pictures", 0) * JUDGED_PICTURE,
        "adapters": adapters * ADAPTER + (TRAINING_STATE if adapters else 0),
    }
    return {name: round(size) for name, size in found.items()}
