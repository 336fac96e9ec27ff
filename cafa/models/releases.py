"""Where pretrained weights are: a local folder or a hub id; and errors that say what to do when they are not there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cafa.common.errors import WeightsError
from cafa.common.files import digest_of, sha256_file
from cafa.common.weight_files import fetching_command, no_download


@dataclass(frozen=True)
class Release:
    """A published model.

    Parameters
    ----------
    name : str
        Hub id.
    licence : str
        Name of the licence.
    page : str
        Where the licence is read and, where the model is gated, accepted.
    gated : bool
        The licence must be accepted while logged in.
    patterns : tuple of str
        Files that are needed.
    """

    name: str
    licence: str
    page: str
    gated: bool
    patterns: tuple[str, ...]


STABLE_AUDIO_OPEN = Release(
    "stabilityai/stable-audio-open-1.0",
    "Stability AI Community License",
    "https://huggingface.co/stabilityai/stable-audio-open-1.0",
    True,
    ("model_index.json", "transformer/*", "vae/*", "projection_model/*", "text_encoder/*", "tokenizer/*"),
)
TANGOFLUX = Release(
    "declare-lab/TangoFlux",
    "UK data copyright exemption and Stability AI Community License (research only)",
    "https://huggingface.co/declare-lab/TangoFlux",
    False,
    ("config.json", "tangoflux.safetensors", "vae.safetensors"),
)
T5_BASE = Release(
    "google-t5/t5-base",
    "Apache-2.0",
    "https://huggingface.co/google-t5/t5-base",
    False,
    ("config.json", "model.safetensors", "tokenizer*", "spiece.model"),
)
FLAN_T5_LARGE = Release(
    "google/flan-t5-large",
    "Apache-2.0",
    "https://huggingface.co/google/flan-t5-large",
    False,
    ("config.json", "model.safetensors", "tokenizer*", "spiece.model", "special_tokens_map.json"),
)
CLIP_LARGE = Release(
    "openai/clip-vit-large-patch14",
    "MIT",
    "https://huggingface.co/openai/clip-vit-large-patch14",
    False,
    ("config.json", "model.safetensors", "preprocessor_config.json"),
)


@dataclass(frozen=True)
class PublishedFile:
    """A published model that is one file.

    Parameters
    ----------
    name : str
    licence : str
    url : str
    """

    name: str
    licence: str
    url: str


SYNCHFORMER = PublishedFile(
    "Synchformer (experiment 24-01-04T16-39-21)",
    "MIT",
    "https://github.com/hkchengrex/MMAudio/releases/download/v0.1/synchformer_state_dict.pth",
)
CAFA_AVCLIP = PublishedFile(
    "CAFA with AV-CLIP",
    "not stated; derived from Stable Audio Open 1.0 (Stability AI Community License)",
    "https://huggingface.co/MichaelFinkelson/CAFA-avclip/resolve/main/CAFA_avclip.safetensors",
)


def require_published(path: str | Path, published: PublishedFile) -> Path:
    """The file, if it is there.

    Raises
    ------
    WeightsError
        If it is missing, with what to do.
    """
    path = Path(path)
    if not path.is_file():
        ours = fetching_command(published.url, path)
        get = f"run `{ours}`" if ours else f"download it from {published.url} and put it there"
        raise WeightsError(
            f"there is no file {path}: {published.name} is published at {published.url} (licence: "
            f"{published.licence}): {get}, or name the file you have"
        )
    return path


HUB_ADDRESS = "https://huggingface.co/{}/"
#: before a hub id, where a model may also be a folder
HUB_PREFIX = "hub:"

#: the file that a tokenizer is read from
TOKENIZER = "tokenizer.json"
#: files that are kept on record with it
TOKENIZER_FILES = (
    "added_tokens.json",
    "special_tokens_map.json",
    "spiece.model",
    TOKENIZER,
    "tokenizer_config.json",
)


def how_to_get(release: Release, where: str | Path) -> str:
    """Where a model is published, where to accept the licence, and the command that fetches it to where it is wanted.

    Parameters
    ----------
    release : Release
    where : str or Path
        Where it was looked for: a folder, or an id of the hub.
    """
    accept = "accept the licence there and log in (`hf auth login`), then " if release.gated else ""
    of_hub = str(where) == release.name or str(where).startswith(HUB_PREFIX)
    command = fetching_command(HUB_ADDRESS.format(release.name), "" if of_hub else where)
    if not command:
        files = " ".join(f"--include '{pattern}'" for pattern in release.patterns)
        command = f"hf download {release.name} {files} --local-dir FOLDER"
    there = f", or name another folder in place of {str(where)!r}"
    if " --to " not in command:
        there = f" and name the folder that it is in, in place of {str(where)!r}"
    return (
        f"{release.name} is published at {release.page} under the {release.licence}: {accept}run `{command}`{there}, "
        "or allow the download (`download: true`)"
    )


class MissingFilesError(WeightsError):
    """Files of a model are not there.

    Parameters
    ----------
    missing : mapping of str to list of str
        What to do, see :func:`how_to_get` -> which files.
    """

    def __init__(self, missing: Mapping[str, list[str]]) -> None:
        super().__init__("\n".join(f"{'; '.join(which)}. {how}" for how, which in missing.items()))
        self.missing = missing


def all_parts(*parts: Callable[[], Mapping[str, Path]]) -> dict[str, Path]:
    """Files of all parts of a model, by name.

    Parameters
    ----------
    parts : callable
        Each gives its part's files.

    Raises
    ------
    WeightsError
        If files of any part are missing: one message about all of them, with what to do once for each folder.
    """
    files: dict[str, Path] = {}
    missing: dict[str, list[str]] = {}
    for part in parts:
        try:
            files |= part()
        except MissingFilesError as error:
            for how, which in error.missing.items():
                missing.setdefault(how, []).extend(which)
    if missing:
        raise MissingFilesError(missing)
    return files


def locate(source: str | Path, release: Release, download: bool = False) -> Path:
    """Folder of a model.

    Parameters
    ----------
    source : str or Path
        A local folder; or a hub id: ``hub:owner/name``, or the published one of `release` (``release.name``). Any other
        text is a folder, so that a folder that is missing is never asked of the hub.
    release : Release
        What the model is called, for the message.
    download : bool
        Ask the hub for a hub id that is not in the local cache; never done otherwise.

    Raises
    ------
    WeightsError
        If it is not there, with what to do.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    hub = str(source).removeprefix(HUB_PREFIX)
    if str(source) != release.name and (not str(source).startswith(HUB_PREFIX) or hub.count("/") != 1):
        what = f"there is no folder {source} (a repository of the hub is named {HUB_PREFIX}owner/name)"
        raise MissingFilesError({how_to_get(release, source): [what]})
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(hub, allow_patterns=list(release.patterns), local_files_only=not download))
    except GatedRepoError as error:
        raise WeightsError(
            f"{source} is gated and this account has no access. {how_to_get(release, source)}"
        ) from error
    except (LocalEntryNotFoundError, RepositoryNotFoundError) as error:
        raise MissingFilesError({how_to_get(release, source): [f"{source} is not in the local cache"]}) from error


def require(folder: Path, names: Sequence[str], release: Release, whole_model: Path | None = None) -> list[Path]:
    """Files that must be in a model's folder; `whole_model` is that of the model if this is one of its parts.

    Raises
    ------
    WeightsError
        Naming all that are missing, and what to do.
    """
    wrong = []
    if missing := [name for name in names if not (folder / name).is_file()]:
        wrong.append(f"{folder} lacks {', '.join(missing)}")
    wrong += [hint for name in missing if (hint := _of_another_form(folder / name))]
    for name in names:
        if name not in missing and (instead := no_download(folder / name)):
            wrong.append(f"{folder / name} is not what it should be: {instead}")
    if wrong:
        raise MissingFilesError({how_to_get(release, whole_model or folder): wrong})
    return [folder / name for name in names]


def _of_another_form(wanted: Path) -> str:
    """What to do where weights lie there as a pickle, under the name that transformers and diffusers give it."""
    pickle = wanted.with_name({"model": "pytorch_model"}.get(wanted.stem, wanted.stem) + ".bin")
    if wanted.suffix != ".safetensors" or not pickle.is_file():
        return ""
    return f"{pickle.name} is there: make one of it with `cafa models convert {pickle} {wanted}`"


def require_text_encoder(encoder: Path, tokenizer: Path, release: Release, prefix: str) -> dict[str, Path]:
    """Files of a text encoder with its tokenizer, by name.

    Parameters
    ----------
    encoder, tokenizer : Path
        Their folders; may be one.
    release : Release
        For the message when something is missing.
    prefix : str
        Put before each name, such as ``text/``; empty to name the files by their folders.

    Raises
    ------
    WeightsError
        Naming all that are missing, and what to do.
    """
    whole_model = encoder if encoder == tokenizer else encoder.parent

    def weights() -> dict[str, Path]:
        paths = require(encoder, ("config.json", "model.safetensors"), release, whole_model)
        return {f"{prefix or f'{encoder.name}/'}{path.name}": path for path in paths}

    def words() -> dict[str, Path]:
        paths = sorted(path for path in tokenizer.glob("*") if path.name in TOKENIZER_FILES)
        if not any(path.name == TOKENIZER for path in paths):
            what = f"{tokenizer} holds no {TOKENIZER}, only {', '.join(path.name for path in paths) or 'nothing'}"
            raise MissingFilesError({how_to_get(release, whole_model): [what]})
        return {f"{prefix or f'{tokenizer.name}/'}{path.name}": path for path in paths}

    return all_parts(weights, words)


def checked_sha256(files: Sequence[Path] | Mapping[str, Path], expected: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 of files by name.

    Parameters
    ----------
    files : sequence of Path, or mapping of str to Path
        A sequence is named by the files' own names.
    expected : mapping of str to str
        Digests that are known, by name; a file that is not listed is recorded, not checked.

    Raises
    ------
    WeightsError
        If a file is not the one expected.
    """
    named = files if isinstance(files, Mapping) else {file.name: file for file in files}
    found = {}
    for name, file in named.items():
        found[name] = sha256_file(file)
        if expected.get(name, found[name]) != found[name]:
            raise WeightsError(
                f"{file} has SHA-256 {found[name]}, expected {expected[name]}: delete it and download it again. If it "
                "was meant to change, register the model again (`cafa models register`), with the new SHA-256 if one "
                "is given there or in the table of weights"
            )
    return found


def part_digest(digests: Mapping[str, str], *prefixes: str) -> str:
    """One digest of the files whose names begin with one of `prefixes`."""
    return digest_of({name: digest for name, digest in digests.items() if name.startswith(prefixes)})
