"""Which sounds are wanted: of one video, of every video in a folder, or of the rows of a table."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from cafa.common.errors import InputError
from cafa.data.reading_lists import read_rows
from cafa.generation.generate_options import GenerateRequest
from cafa.media.encoded_part import parse_time

TABLES = frozenset({".csv", ".tsv", ".parquet"})
VIDEOS = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".flv", ".gif"})
COLUMNS = ("prompt", "negative_prompt", "seed", "start", "end")


@dataclass(frozen=True)
class Wanted:
    """Sounds that are wanted for one video.

    Attributes
    ----------
    name
        Of the video, as it was given.
    request
        Of this video alone, or of a row of a table.
    fault
        Why the row cannot be used; empty if it can.
    line
        Of the table.
    """

    name: str
    request: GenerateRequest
    fault: str = ""
    line: int | None = None


def several_are_wanted(request: GenerateRequest) -> bool:
    """Whether a request names a folder or a table, not a video."""
    return request.video.is_dir() or request.video.suffix.lower() in TABLES


def wanted_sounds(request: GenerateRequest) -> list[Wanted]:
    """What is wanted, video by video.

    Raises
    ------
    InputError
        If there is no prompt, the folder holds no video, or the table cannot be read.
    """
    if request.video.is_dir():
        found = list(_of_folder(request))
    elif request.video.suffix.lower() in TABLES:
        found = list(_of_table(request))
    else:
        found = [Wanted(request.video.name, request)]
    if not found:
        kinds = " ".join(sorted(VIDEOS)) if request.video.is_dir() else "a row"
        raise InputError(f"{request.video} holds no video: looked for {kinds}")
    if request.video.suffix.lower() not in TABLES and not request.prompts:
        raise InputError("say what it should sound like: --prompt TEXT")
    return found


def _of_folder(request: GenerateRequest) -> Iterator[Wanted]:
    for path in sorted(request.video.iterdir()):
        if path.suffix.lower() in VIDEOS and not path.name.startswith(".") and path.is_file():
            yield Wanted(path.name, replace(request, video=path))


def _of_table(request: GenerateRequest) -> Iterator[Wanted]:
    for line, row in read_rows(request.video, required=("video",), known=COLUMNS):
        name, fault = row.get("video", ""), row.get("", "")
        try:
            wanted = request if fault else _of_row(request, row)
        except InputError as error:
            wanted, fault = request, str(error)
        yield Wanted(name, wanted, fault, line)


def _of_row(request: GenerateRequest, row: Mapping[str, str]) -> GenerateRequest:
    if not row.get("video"):
        raise InputError("the row names no video")
    prompts = (row["prompt"],) if row.get("prompt") else request.prompts
    if not prompts:
        raise InputError("the row has no prompt, and none is given with --prompt")
    seeds = (_parsed(int, "seed", row["seed"]),) if row.get("seed") else request.seeds
    options = request.options
    if row.get("negative_prompt"):
        options = replace(options, negative_prompt=row["negative_prompt"])
    start = parse_time(row["start"]) if row.get("start") else request.start
    end = parse_time(row["end"]) if row.get("end") else request.end
    video = request.video.parent / row["video"]  # an absolute path stays as it is
    return replace(request, video=video, prompts=prompts, seeds=seeds, options=options, start=start, end=end)


def _parsed(kind: Callable[[str], int], column: str, text: str) -> int:
    try:
        return kind(text)
    except ValueError as error:
        raise InputError(f"{column} is a whole number, got {text!r}") from error
