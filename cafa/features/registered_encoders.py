"""Which registered model makes which kind of feature, and how."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cafa.common.errors import InputError
from cafa.features.encode import EncodeSettings, Encoding
from cafa.models.interface import AudioAutoencoder
from cafa.models.video_encoders import video_kinds


def feature_kinds() -> list[str]:
    """Kinds of features that registered models make of normalised clips."""
    return ["latents", *video_kinds()]


@dataclass(frozen=True)
class PretrainedJob:
    """How registered models encode normalised clips.

    Parameters
    ----------
    encodings : list of Encoding
    alike : dict of str to list of dict
        Kind -> identities of encoders of the job that give the same arrays.
    notes : list of str
        What was found out about them, for a person.
    """

    encodings: list[Encoding]
    alike: dict[str, list[dict[str, Any]]]
    notes: list[str]


def names_of_kinds(
    kinds: Sequence[str], models: Sequence[str | Path], outputs: Sequence[str | Path] | None = None
) -> list[str]:
    """Names of what a job makes: the kinds, and where two models make latents ``latents``, ``latents_MODEL``.

    Raises
    ------
    InputError
        If something is unknown, asked for twice, or has no model or output.
    """
    known = feature_kinds()
    if strange := [kind for kind in kinds if kind not in known]:
        raise InputError(f"kind must be one of {', '.join(known)}, got {strange[0]!r}")
    for what, given in (("model", models), ("output", kinds if outputs is None else outputs)):
        if len(given) != len(kinds):
            raise InputError(f"give one {what} for each kind, in their order: got {len(given)} for {', '.join(kinds)}")
    names = [
        kind if kind not in kinds[:place] or kind != "latents" else f"{kind}_{Path(models[place]).name}"
        for place, kind in enumerate(kinds)
    ]
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise InputError(f"{twice[0]} is asked for twice")
    return names


def pretrained_job(
    kinds: Sequence[str],
    models: Sequence[str | Path],
    clips: str | Path,
    settings: EncodeSettings,
    device: str = "cpu",
) -> PretrainedJob:
    """How registered models encode normalised clips; loads them.

    Latents of two backbones whose autoencoders are the same are computed once.

    Parameters
    ----------
    kinds : sequence of str
        Of :func:`feature_kinds`.
    models : sequence of path
        For each kind the folder of its model's card: a backbone for latents, else an encoder of video.
    clips : path
        Folder of normalised clips of the shard.
    settings : EncodeSettings
    device : str

    Raises
    ------
    InputError
        If a model makes another kind, a kind is asked for twice, or models are missing.
    """
    from cafa.features.from_video import video_encoding
    from cafa.models.registry import open_audio, open_video_encoder

    names = names_of_kinds(kinds, models)
    identities = [_identity(kind, model) for kind, model in zip(kinds, models, strict=True)]
    job = PretrainedJob([], {}, [])
    sounds: list[_Sound] = []
    for name, kind, model, identity in zip(names, kinds, models, identities, strict=True):
        if kind == "latents":
            _add(_Sound(str(model), open_audio(model, device), {name: identity}), sounds, job.notes)
        else:
            job.encodings.append(video_encoding(open_video_encoder(model, device), clips, settings))
    for sound in sounds:
        job.encodings.append(_latents(sound, clips, settings))
        job.alike.update({name: list(sound.identities.values()) for name in sound.identities})
    return job


@dataclass(frozen=True)
class _Sound:
    """An autoencoder, and the names and identities of the latents that are made with it."""

    model: str
    audio: AudioAutoencoder
    identities: dict[str, dict[str, Any]]


def _identity(kind: str, model: str | Path) -> dict[str, Any]:
    """What the features of a registered model are stamped with."""
    from cafa.models.registry import read_card

    encoders = read_card(model).get("encoders", {})
    if kind not in encoders:
        raise InputError(f"the model in {model} makes {', '.join(encoders) or 'no features'}, not {kind}")
    return encoders[kind]


def _add(sound: _Sound, before: list[_Sound], notes: list[str]) -> None:
    """Add an autoencoder to those before, or what it makes to the one that is the same."""
    for other in before:
        same = _same_autoencoders(sound.audio, other.audio)
        notes.append(verdict(sound.model, other.model, same, "latents are computed for each"))
        if same:
            other.identities.update(sound.identities)
            return
    before.append(sound)


def verdict(model: object, other: object, same: bool, otherwise: str) -> str:
    """What was found out about two autoencoders, and what follows if they differ."""
    return f"the autoencoders of {model} and {other} are {'the same' if same else f'not the same: {otherwise}'}"


def _latents(sound: _Sound, clips: str | Path, settings: EncodeSettings) -> Encoding:
    """Latents of an autoencoder, written under each of its names."""
    from cafa.features.from_sound import KIND, latents_encoding

    first = latents_encoding(sound.audio, next(iter(sound.identities.values())), clips, settings)
    formats = {name: replace(first.formats[KIND], encoder=identity) for name, identity in sound.identities.items()}
    return replace(
        first,
        formats=formats,
        sources=dict.fromkeys(formats, first.sources[KIND]),
        encode=lambda mine, given: [dict.fromkeys(formats, found[KIND]) for found in first.encode(mine, given)],
    )


def same_latents(model: str | Path, other: str | Path) -> bool:
    """Whether the autoencoders of two registered backbones hold the same weights, whatever files they came in.

    Every tensor is compared; both are loaded for it. Fine-tuned decoders would count as another autoencoder too.
    """
    from cafa.models.registry import open_audio

    return _same_autoencoders(open_audio(model), open_audio(other))


def _same_autoencoders(mine: AudioAutoencoder, theirs: AudioAutoencoder) -> bool:
    import torch

    about = ("sample_rate", "samples_per_latent", "latent_channels", "channels")
    if any(getattr(mine, name) != getattr(theirs, name) for name in about):
        return False
    left, right = mine.autoencoder.state_dict(), theirs.autoencoder.state_dict()
    if left.keys() != right.keys():
        return False
    return all(left[name].dtype == right[name].dtype and torch.equal(left[name], right[name]) for name in left)
