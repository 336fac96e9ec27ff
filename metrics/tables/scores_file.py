"""`cafa score`: the scores of a system, from files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cafa.common.files import atomic_write
from cafa.data.prompts import read_prompts
from metrics.tables.scores import read_generated, read_reference, read_sample_index, score_system


@dataclass(frozen=True)
class ScoreInputs:
    """What a system's scores are computed from.

    Parameters
    ----------
    prompts : path
        Prompt set.
    embeddings : sequence of path
        Folders of the judges' embeddings of the system's samples, one per shard.
    clips : sequence of path
        Folders of the judges' embeddings of the clips.
    text : path
        Embeddings of captions.
    index : sequence of path
        Indices of the samples' shards: those that they do not call ok are excused; empty: every prompt has a sample.
    """

    prompts: Path
    embeddings: Sequence[str | Path]
    clips: Sequence[str | Path]
    text: Path
    index: Sequence[str | Path] = ()


def write_scores(system: str, inputs: ScoreInputs, output: Path) -> None:
    """Write one value per clip, caption and metric; see :func:`metrics.tables.scores.score_system`.

    Parameters
    ----------
    system : str
        Its name.
    inputs : ScoreInputs
    output : path
        Table (parquet) to write.
    """
    scores = score_system(
        system,
        read_prompts(inputs.prompts),
        read_generated(inputs.embeddings),
        read_reference(inputs.clips, inputs.text),
        read_sample_index(inputs.index) if inputs.index else None,
    )
    with atomic_write(output) as temporary:
        scores.to_parquet(temporary, index=False)
