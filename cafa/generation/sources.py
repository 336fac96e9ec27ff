"""What makes the sounds of a system, as all kinds of systems have it: what it is given, and what it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from cafa.common.errors import ClipError
from cafa.data.manifest import check_clip_id


class PromptRow(NamedTuple):
    """One row of a prompt set."""

    clip_id: str
    caption_id: str
    caption: str
    label: str
    protocol: str
    own_caption: str = ""
    own_label: str = ""

    @property
    def file_name(self) -> str:
        """Name of the sample's file; its parts are checked to be plain names."""
        for part in (self.clip_id, self.caption_id, self.protocol):
            check_clip_id(part)
        return f"{self.clip_id}--{self.caption_id}--{self.protocol}.flac"


@dataclass(frozen=True)
class ReadSound:
    """A sound as a file holds it: each judge mixes and resamples it by its own rules.

    Attributes
    ----------
    samples
        float32, shape (channels, samples), full scale 1; what follows the seconds that are judged is there as well.
    sample_rate
        Samples per second.
    seconds
        Of it that are judged.
    exact
        Whether it is written without rounding (as 24 bits where 16 do not hold it), or with 16 bits like the sounds
        of models.
    """

    samples: np.ndarray
    sample_rate: int
    seconds: float
    exact: bool


#: a waveform (samples,) or (channels, samples), a sound as a file holds it, or why there is none
Sound = np.ndarray | ReadSound | ClipError


@dataclass(frozen=True)
class SampleFiles:
    """Where the files of a data set are that samples are made from.

    Attributes
    ----------
    models
        Folder of model folders.
    clips
        Folder of normalised clips, in folders by shard.
    clip_shards
        Shards of the clips, and of their features.
    features
        Folder of features: ``<text>/<shard>.arrow``, ``av_clip/<shard>.arrow``...
    text
        Folder in there of the text states of the system's backbone.
    text_shards
        Shards of the text states.
    event_times
        Event times of a rendered data set.
    """

    models: Path
    clips: Path
    features: Path
    clip_shards: int = 1
    text: str = "text"
    text_shards: int = 1
    event_times: Path | None = None


@dataclass(frozen=True)
class SampleContext:
    """What a kind of systems is given to open the source of its sounds.

    Attributes
    ----------
    rows
        The whole prompt set, in its order.
    files
        Where everything is.
    seed
        Base seed; a sample's own is hash(base seed, clip_id, caption_id).
    seconds, sample_rate
        Window and rate of sounds that are read or rendered; models have their own.
    device
        Torch device.
    threads
        Threads of torch; results are equal bit for bit only at equal counts.
    """

    rows: Sequence[PromptRow]
    files: SampleFiles
    seed: int
    seconds: float
    sample_rate: int
    device: str = "cpu"
    threads: int = 1


class SoundSource(Protocol):
    """What gives the sounds of a system.

    Attributes
    ----------
    sample_rate : int
    depends : mapping
        What the sounds depend on beside the system's settings, prompts, seed, seconds and rate, as JSON has it: digests
        of files and of models. Unfinished work is gone on with only if it is the same.
    """

    sample_rate: int
    depends: Mapping[str, Any]

    def sounds(self, rows: Sequence[PromptRow]) -> Sequence[Sound]:
        """Waveform of each row, (samples,) or (channels, samples), or why there is none."""
