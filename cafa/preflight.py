"""What a run needs of a machine, looked at before its first job, with all findings at once."""

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from cafa.devices import check_device
from cafa.errors import InputError
from cafa.fetch.settings import FetchSettings, FolderSource, MirrorSource, YouTubeSource


class Finding(NamedTuple):
    """Something that will stop a run (``error``), or may (``warning``), and what to do."""

    kind: Literal["error", "warning"]
    text: str


class PreflightSettings(BaseModel):
    """What a run is going to need."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = Field("cpu", description="device of the jobs")
    results: Path = Field(Path("results"), description="folder of the results")
    disk_bytes: int = Field(0, ge=0, description="what the run will write there, at most")
    paths: dict[str, str] = Field(
        default_factory=dict, description="file or folder that must be there -> what it is for"
    )
    fetch: dict[str, FetchSettings] = Field(default_factory=dict, description="data set -> where its clips come from")
    packages: dict[str, str] = Field(default_factory=dict, description="module that must be importable -> what for")


def findings(settings: PreflightSettings, check: Callable[[str], str] = check_device) -> Iterator[Finding]:
    """Everything that is wrong.

    Parameters
    ----------
    settings : PreflightSettings
    check : callable
        Refuses a device by an ``InputError``.

    Yields
    ------
    Finding
    """
    try:
        check(settings.device)
    except InputError as error:
        yield Finding("error", str(error))
    for path, purpose in settings.paths.items():
        if not Path(path).exists():
            yield Finding("error", f"{path} is not there ({purpose})")
    for module, purpose in settings.packages.items():
        if importlib.util.find_spec(module) is None:
            yield Finding("error", f"the package {module} is not installed ({purpose}): pip install 'cafa[full]'")
    yield from _disk(settings)
    for dataset, fetch in settings.fetch.items():
        yield from _sources(dataset, fetch)


def _disk(settings: PreflightSettings) -> Iterator[Finding]:
    place = settings.results.absolute()
    while not place.exists():
        place = place.parent
    if (free := shutil.disk_usage(place).free) < settings.disk_bytes:
        yield Finding(
            "warning",
            f"{settings.results}: {free / 1e9:.0f} GB are free, and all that the run may write is about "
            f"{settings.disk_bytes / 1e9:.0f} GB: name another folder (`results`), or free some",
        )


def _sources(dataset: str, fetch: FetchSettings) -> Iterator[Finding]:
    for source in fetch.sources:
        if isinstance(source, FolderSource) and not source.root.is_dir():
            yield Finding("error", f"{dataset}: no folder {source.root}: name yours in `sources`, or make it")
        if isinstance(source, MirrorSource) and source.checksums is not None and not source.checksums.is_file():
            yield Finding("error", f"{dataset}: no list of checksums at {source.checksums}")
        if isinstance(source, YouTubeSource):
            for name, there in (
                ("ffmpeg", shutil.which("ffmpeg") is not None),
                ("yt-dlp", importlib.util.find_spec("yt_dlp") is not None),
            ):
                if not there:
                    yield Finding("warning", f"{dataset}: {name} is not installed; clips that no folder has need it")
