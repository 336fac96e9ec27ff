"""What a run needs of a machine, checked before its first job, with all findings at once."""

import importlib.util
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cafa.common.devices import check_device
from cafa.common.errors import InputError
from cafa.common.files import sha256_file
from cafa.common.weight_files import no_download
from cafa.common.writing_errors import check_writable, nearest_folder
from cafa.data.fetch.settings import FetchSettings, FolderSource, MirrorSource, Source, YouTubeSource
from cafa.models.kinds import PretrainedModel
from cafa.preflight.finding import Finding
from cafa.preflight.jobs import JobNeeds, findings_of_jobs


class PreflightSettings(BaseModel):
    """What a run is going to need."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = Field("cpu", description="device of the jobs")
    results: Path = Field(Path("results"), description="folder of the results")
    disk: dict[str, int] = Field(
        default_factory=dict, description="what the run will write below the results -> bytes, at most"
    )
    paths: dict[str, str] = Field(
        default_factory=dict, description="file or folder that must be there -> what it is for"
    )
    lists: dict[Path, str | None] = Field(
        default_factory=dict, description="list that lies on this machine -> the SHA-256 that the configuration gives"
    )
    models: dict[str, PretrainedModel] = Field(default_factory=dict, description="pretrained models, by name")
    judges: tuple[str, ...] = Field((), description="pretrained judges")
    judge_settings: dict[str, Any] = Field(default_factory=dict, description="where their weights are")
    weights_table: Path | None = Field(None, description="table of weights that the models' files are compared with")
    fetch: dict[str, FetchSettings] = Field(default_factory=dict, description="data set -> where its clips come from")
    packages: dict[str, str] = Field(default_factory=dict, description="module that must be importable -> what for")
    jobs: tuple[JobNeeds, ...] = Field((), description="what the jobs ask of the machine, or of SLURM")


def findings(settings: PreflightSettings, check: Callable[[str], str] = check_device) -> Iterator[Finding]:
    """Everything that is wrong with the machine; files of weights are checked by :mod:`cafa.preflight.weights`.

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
    yield from _lists(settings.lists)
    for module, purpose in settings.packages.items():
        if importlib.util.find_spec(module) is None:
            yield Finding("error", f"the package {module} is not installed ({purpose}): pip install 'cafa[full]'")
    yield from _disk(settings)
    yield from _sources(settings.fetch)
    yield from findings_of_jobs(settings.jobs)


def _lists(lists: Mapping[Path, str | None]) -> Iterator[Finding]:
    for path in (path for path in lists if path.is_file()):
        if instead := no_download(path):
            yield Finding("error", f"{path}: {instead}")
        elif (wanted := lists[path]) and (digest := sha256_file(path)) != wanted:
            yield Finding(
                "error",
                f"{path} has SHA-256 {digest}, expected {wanted}: it is another version of the list, or damaged",
            )


def _disk(settings: PreflightSettings) -> Iterator[Finding]:
    try:
        check_writable(settings.results / "a")
    except InputError as error:
        yield Finding("error", f"results: {error}")
        return
    wanted = sum(settings.disk.values())
    if (free := shutil.disk_usage(nearest_folder(settings.results)).free) < wanted:
        parts = ", ".join(f"{part} {_size(size)}" for part, size in settings.disk.items() if size)
        yield Finding(
            "warning",
            f"{settings.results}: {_size(free)} are free, and all that the run may write is about {_size(wanted)} "
            f"({parts}): name another folder (`results`), or free some",
        )


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size < 10e9 else f"{size / 1e9:.0f} GB"


def _sources(fetch: Mapping[str, FetchSettings]) -> Iterator[Finding]:
    """What is wrong with the places that clips come from; a place that several data sets share is named once."""
    found: dict[Finding, list[str]] = {}
    for dataset, settings in fetch.items():
        for source in settings.sources:
            for finding in _source(source):
                found.setdefault(finding, []).append(dataset)
    for finding, datasets in found.items():
        yield finding._replace(text=f"{', '.join(datasets)}: {finding.text}")


def _source(source: Source) -> Iterator[Finding]:
    place = getattr(source, "root", None)
    if place is not None and not place.is_dir():
        if isinstance(source, FolderSource):
            yield Finding("error", f"no folder at {place}: name yours in `sources`, or make it")
        else:
            yield Finding("error", f"no folder of archives at {place}: name yours in `sources`")
    if isinstance(source, MirrorSource) and source.checksums is not None and not source.checksums.is_file():
        yield Finding("error", f"no list of checksums at {source.checksums}")
    if isinstance(source, YouTubeSource):
        for name, there in (
            ("ffmpeg", shutil.which("ffmpeg") is not None),
            ("yt-dlp", importlib.util.find_spec("yt_dlp") is not None),
        ):
            if not there:
                yield Finding("warning", f"{name} is not installed; clips that no folder has need it")
