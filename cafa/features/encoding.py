"""Which registered model makes which kind of feature, and how."""

from pathlib import Path
from typing import Literal, get_args

from cafa.errors import InputError
from cafa.features.encode import EncodeSettings, Encoding

#: Kinds that are made from normalised clips by registered models
Kind = Literal["latents", "av_clip", "clip"]
KINDS: tuple[str, ...] = get_args(Kind)


def pretrained_encoding(
    kind: str, model: str | Path, clips: str | Path, settings: EncodeSettings, device: str = "cpu"
) -> Encoding:
    """How a registered model encodes normalised clips; loads it.

    Parameters
    ----------
    kind : {"latents", "av_clip", "clip"}
    model : path
        Folder of the model's card: a backbone for latents, else an encoder of video.
    clips : path
        Folder of normalised clips of the shard.
    settings : EncodeSettings
    device : str

    Raises
    ------
    InputError
        If the model makes another kind.
    """
    from cafa.features.from_sound import latents_encoding
    from cafa.features.from_video import video_encoding
    from cafa.pretrained import open_audio, open_features, read_card

    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    encoders = read_card(model).get("encoders", {})
    if kind not in encoders:
        raise InputError(f"the model in {model} makes {', '.join(encoders) or 'no features'}, not {kind}")
    if kind == "latents":
        return latents_encoding(open_audio(model, device), encoders[kind], clips, settings)
    return video_encoding(open_features(model, device), clips, settings)


def same_latents(model: str | Path, other: str | Path) -> bool:
    """Whether the autoencoders of two registered backbones hold the same weights, whatever files they came in.

    Every tensor is compared; both are loaded for it. Fine-tuned decoders would count as another autoencoder too.
    """
    import torch

    from cafa.pretrained import open_audio

    mine, theirs = open_audio(model), open_audio(other)
    about = ("sample_rate", "samples_per_latent", "latent_channels", "channels")
    if any(getattr(mine, name) != getattr(theirs, name) for name in about):
        return False
    left, right = mine.autoencoder.state_dict(), theirs.autoencoder.state_dict()
    if left.keys() != right.keys():
        return False
    return all(left[name].dtype == right[name].dtype and torch.equal(left[name], right[name]) for name in left)
