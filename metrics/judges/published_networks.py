"""The published networks of the judges: PANNs, LAION-CLAP, ImageBind and Synchformer, from a folder of their files."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from cafa.common.errors import WeightsError
from cafa.models.weights import WeightSource, require_file
from metrics.encoders.clap.encoders import ClapAudioEncoder, ClapNetwork, ClapTextEncoder, clap_config, load_clap
from metrics.encoders.clap.tokenizer import load_tokenizer
from metrics.encoders.imagebind import encoders as imagebind
from metrics.encoders.imagebind.encoders import ImageBindAudioEncoder, ImageBindVisionEncoder
from metrics.encoders.panns import PannsEncoder
from metrics.encoders.synchformer import encoders as synchformer
from metrics.encoders.synchformer.encoders import SynchformerAudioEncoder, SynchformerJudge, SynchformerVideoEncoder

#: judge -> names in the table of weights; the first is that of the network
WEIGHTS_OF: dict[str, tuple[str, ...]] = {
    "classifier": ("panns_cnn14_16k",),
    "clap": ("laion_clap", "roberta_vocab", "roberta_merges"),
    "imagebind": ("imagebind_huge",),
    "synchformer": ("synchformer",),
}
#: What a network can be loaded for.
SIGHT, HEARING, READING = "sight", "hearing", "reading"
EVERYTHING = frozenset({SIGHT, HEARING, READING})


@dataclass(frozen=True)
class RealEncoders:
    """The published networks; None where nobody asks for one."""

    panns: PannsEncoder | None = None
    clap_audio: ClapAudioEncoder | None = None
    clap_text: ClapTextEncoder | None = None
    imagebind_audio: ImageBindAudioEncoder | None = None
    imagebind_vision: ImageBindVisionEncoder | None = None
    synchformer_audio: SynchformerAudioEncoder | None = None
    synchformer_video: SynchformerVideoEncoder | None = None
    synchformer_offset: SynchformerJudge | None = None


def weights_path(folder: Path, source: WeightSource) -> Path:
    """Where a file of the table of weights is expected: its published name, or ``<name>.safetensors``."""
    converted = folder / f"{source.name}.safetensors"
    return converted if converted.is_file() else folder / unquote(PurePosixPath(urlsplit(source.url).path).name)


def rows_of(paths: Mapping[str, Path], sources: Mapping[str, WeightSource]) -> dict[str, WeightSource]:
    """What the files of :func:`find_weights` must be, by name.

    A converted file is another one than that which was published: it has a row of its own, ``<name>.safetensors``,
    or nothing is known of it.
    """
    rows = {}
    for name, path in paths.items():
        if path.name != f"{name}.safetensors":
            rows[name] = sources[name]
        elif path.name in sources:
            rows[name] = replace(sources[path.name], name=name)
        else:
            rows[name] = replace(sources[name], sha256=None, bytes=None)
    return rows


def find_weights(folder: Path, sources: Mapping[str, WeightSource], judges: Collection[str]) -> dict[str, Path]:
    """Paths of all files that judges need, by name.

    Raises
    ------
    WeightsError
        If files are missing: all of them are named, with what to download.
    """
    names = [name for judge in WEIGHTS_OF if judge in judges for name in WEIGHTS_OF[judge]]
    paths = {name: weights_path(folder, sources[name]) for name in names}
    missing = []
    for name in names:
        if not paths[name].is_file():
            try:
                require_file(paths[name], sources[name])
            except WeightsError as error:
                missing.append(str(error))
    if missing:
        raise WeightsError("\n".join([*missing, "`cafa weights get --for evaluate` fetches all that judges need"]))
    return paths


def load_encoders(
    paths: Mapping[str, Path],
    sources: Mapping[str, WeightSource],
    judges: Collection[str],
    *,
    parts: Collection[str] = EVERYTHING,
    device: str = "cpu",
    unverified: bool = False,
    sizes: Mapping[str, Mapping[str, Any]] | None = None,
) -> RealEncoders:
    """Load the networks of judges.

    Parameters
    ----------
    paths : mapping of str to path
        From :func:`find_weights`.
    sources : mapping of str to WeightSource
        What the files must be.
    judges : collection of str
    parts : collection of str
        `SIGHT` for clips' pictures, `HEARING` for sounds, `READING` for captions.
    device : str
    unverified : bool
        Accept files for which `sources` hold no SHA-256.
    sizes : mapping of str to mapping, optional
        judge -> sizes of its networks that are not the published ones.

    Raises
    ------
    WeightsError
        If a file is missing, or is not what its source says.
    """
    found: dict[str, Any] = {}
    how: dict[str, Any] = {"unverified": unverified}

    def given(judge: str) -> dict[str, Any]:
        return {"device": device, **(sizes or {}).get(judge, {})}

    if "classifier" in judges and HEARING in parts:
        name = "panns_cnn14_16k"
        found["panns"] = PannsEncoder.from_file(paths[name], sources[name], **how, **given("classifier"))
    if "clap" in judges and {HEARING, READING} & set(parts):
        checkpoint = load_clap(paths["laion_clap"], sources["laion_clap"], **how)
        own_sizes = (sizes or {}).get("clap")
        config = clap_config(**own_sizes) if own_sizes else None
        network = ClapNetwork.from_tensors(checkpoint.tensors, device=device, config=config)
        if HEARING in parts:
            found["clap_audio"] = ClapAudioEncoder(network, checkpoint.sha256)
        if READING in parts:
            for name in ("roberta_vocab", "roberta_merges"):
                # Without a recorded digest they are known by what they make of known sentences.
                require_file(paths[name], sources[name], unverified=True)
            tokenizer = load_tokenizer(paths["roberta_vocab"], paths["roberta_merges"])
            found["clap_text"] = ClapTextEncoder(network, tokenizer, checkpoint.sha256)
    if "imagebind" in judges and {HEARING, SIGHT} & set(parts):
        checkpoint = imagebind.load_imagebind(paths["imagebind_huge"], sources["imagebind_huge"], **how)
        if HEARING in parts:
            found["imagebind_audio"] = ImageBindAudioEncoder.from_checkpoint(checkpoint, **given("imagebind"))
        if SIGHT in parts:
            found["imagebind_vision"] = ImageBindVisionEncoder.from_checkpoint(checkpoint, **given("imagebind"))
    if "synchformer" in judges and {HEARING, SIGHT} & set(parts):
        checkpoint = synchformer.load_synchformer(paths["synchformer"], sources["synchformer"], **how)
        if HEARING in parts:
            found["synchformer_audio"] = SynchformerAudioEncoder.from_checkpoint(checkpoint, **given("synchformer"))
            found["synchformer_offset"] = SynchformerJudge.from_checkpoint(checkpoint, **given("synchformer"))
        if SIGHT in parts:
            found["synchformer_video"] = SynchformerVideoEncoder.from_checkpoint(checkpoint, **given("synchformer"))
    return RealEncoders(**found)
