"""What the page of examples shows, and where it is read from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from metrics.examples.scores import Direction


class ExamplesSettings(BaseModel):
    """What the page shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    systems: Annotated[tuple[str, ...], Field(description="systems to show, in order")] = ()
    clips: Annotated[int, Field(ge=1, description="clips on the page, of different categories where there are")] = 2
    prompts_per_clip: Annotated[int, Field(ge=1, description="prompts of each clip; its own caption comes first")] = 3
    seed: Annotated[int, Field(ge=0, description="of the choice of clips and prompts")] = 0
    title: Annotated[str, Field(description="heading of the page")] = "One picture, many sounds"
    introduction: Annotated[str, Field(description="paragraph under the heading")] = (
        "Each clip is shown with its own sound, and then with sounds that were made for its picture and a prompt. "
        "Good sound follows the prompt in what is heard and the picture in when it is heard."
    )
    descriptions: Annotated[dict[str, str], Field(description="system -> one line that explains it")] = {}
    controls: Annotated[tuple[str, ...], Field(description="systems that do not compete; they are marked")] = ()
    scores: Annotated[
        tuple[str, ...],
        Field(description="metrics of single sounds whose values are shown; empty: all that the scores have"),
    ] = ()
    failures: Annotated[
        int,
        Field(ge=0, description="worst samples by each metric of systems that are no controls: shown, too"),
    ] = 1
    worst: Annotated[
        dict[str, Direction], Field(description="metric that failures are looked for by -> which values are the worst")
    ] = {"DeSync": "highest", "CLAP": "lowest"}
    lost: Annotated[
        int,
        Field(ge=0, description="samples of each system without a sound or scores whose prompts are shown, too"),
    ] = 5
    media: Annotated[
        Literal["inside", "beside"],
        Field(description="videos inside the page, or as files in a folder beside it (for hundreds of clips)"),
    ] = "inside"
    max_megabytes: Annotated[
        float, Field(gt=0, description="largest page that is written, with the files beside it")
    ] = 60.0


@dataclass(frozen=True)
class ExampleSources:
    """Where clips and samples are.

    Attributes
    ----------
    clips
        Folder of ``<shard>/<clip_id>.mp4`` and ``.flac``.
    samples
        Folder of ``<system>/<shard>.parquet`` and of the sounds in ``<system>/<shard>/``.
    clip_shards, sample_shards
        How many shards there are. By default: wherever a clip is, and all indices of samples.
    scores
        Folder of ``<system>.parquet``; None: no scores are shown, and no failures by scores.
    judged
        Folder of ``<system>/<shard>/index.parquet``, the indices as pretrained judges left them: a sample that they
        could not judge has its reason there. None: whatever has a sound was judged.
    event_times
        See :func:`cafa.data.event_times.read_event_times`; None: no events are marked.
    """

    clips: Path
    samples: Path
    clip_shards: int | None = None
    sample_shards: int | None = None
    scores: Path | None = None
    judged: Path | None = None
    event_times: Path | None = None
