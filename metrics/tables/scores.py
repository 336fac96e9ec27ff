"""Scores of one system: one value per clip, caption and metric, from the judges' embeddings.

Metrics of sets (FAD, KAD, IS...) have no value per clip; the tables compute them from the same embeddings.

====================  ===============================================================================
metric                from
====================  ===============================================================================
CLAP                  clap: sound and prompt
Acc, Acc_margin       clap: sound, prompt and the clip's own caption; only where the two captions differ
KL                    classifier: logits of the clip's own sound and of the generated one
IB                    imagebind: the clip's picture and the generated sound
DeSync                synchformer: logits of the first and the last window
DeSync_windows        distinct windows behind DeSync, 1 or 2
Speech, Music         classifier: probability of these classes; only where the classifier has them
====================  ===============================================================================
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cafa.common.errors import InputError, MissingClipError
from metrics.embedding.reading import (
    CLIP_KEY,
    SAMPLE_KEY,
    TEXT_KEY,
    Embeddings,
    listed,
    read_embeddings,
    read_frame,
    text_path,
)
from metrics.judges.kinds import CLASSIFIER, JUDGES
from metrics.tables.catalogue import METRICS
from metrics.tables.sample_metrics import ReferenceEmbeddings, ReferencePart, SampleInputs

COLUMNS = ("system", "protocol", "clip_id", "caption_id", "metric", "value")


def read_reference(folders: Sequence[str | Path], text: str | Path) -> ReferenceEmbeddings:
    """Embeddings of the clips (folders of one parquet per judge), and of the captions.

    Parameters
    ----------
    folders : sequence of path
    text : path
        File of CLAP's embeddings of captions; those of other judges lie beside it
        (:attr:`metrics.judges.kinds.JudgeKind.text_file`).
    """

    def read(judge: str, part: ReferencePart) -> Embeddings:
        if part == "text":
            return read_embeddings([text_path(text, judge)], TEXT_KEY, ("embedding",))
        columns = ("video",) if part == "video" else JUDGES[judge].columns
        return read_embeddings([Path(folder) / f"{judge}.parquet" for folder in folders], CLIP_KEY, columns)

    return ReferenceEmbeddings(read)


def read_generated(folders: Sequence[str | Path], judges: Collection[str] | None = None) -> dict[str, Embeddings]:
    """Read judges' embeddings of a system's sounds from its shards (folders of one parquet per judge).

    Parameters
    ----------
    folders : sequence of path
    judges : collection of str, optional
        None: those that a folder holds a file of, and the classifier; each must be in all folders.
    """
    if judges is None:
        here = [name for name in JUDGES if any((Path(folder) / f"{name}.parquet").is_file() for folder in folders)]
        judges = here if CLASSIFIER in here else [CLASSIFIER, *here]
    return {
        judge: read_embeddings(
            [Path(folder) / f"{judge}.parquet" for folder in folders], SAMPLE_KEY, JUDGES[judge].columns
        )
        for judge in judges
    }


def read_sample_index(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Read a system's index of samples from all shards.

    Returns
    -------
    pandas.DataFrame
        Sorted by protocol, clip_id, caption_id.
    """
    if not paths:
        raise InputError("no index of samples was given")
    columns = (*SAMPLE_KEY, "caption", "status", "detail")
    parts = [read_frame(path, columns, "an index of samples") for path in paths]
    index = pd.concat(parts, ignore_index=True)
    twice = index[index.duplicated(list(SAMPLE_KEY))]
    if len(twice):
        names = list(twice[list(SAMPLE_KEY)].itertuples(index=False, name=None))
        raise InputError(
            f"{len(twice)} samples are in two indices: {listed(names)}; "
            f"delete files left from a run with another number of shards beside {paths[0]}"
        )
    return index.sort_values(["protocol", "clip_id", "caption_id"], ignore_index=True)


def expected_rows(prompts: pd.DataFrame, index: pd.DataFrame | None) -> pd.DataFrame:
    """Rows of the prompt set that a system must have sounds for.

    Parameters
    ----------
    prompts : pandas.DataFrame
        The prompt set.
    index : pandas.DataFrame, optional
        The system's index of samples. With it the system answers for the rows it was asked for, and rows with
        another status than ``ok`` are excused: the table reports them. Without it every prompt is expected.

    Raises
    ------
    InputError
        If the index holds a sample of a prompt that the prompt set does not hold.
    """
    if index is None:
        return prompts
    asked = index[[*SAMPLE_KEY, "status", "caption"]].rename(columns={"caption": "asked_caption"})
    rows = asked.merge(prompts, on=list(SAMPLE_KEY), how="left", validate="1:1")
    strange = rows[rows["caption"] != rows["asked_caption"]]
    if len(strange):
        names = list(strange[list(SAMPLE_KEY)].itertuples(index=False, name=None))
        raise InputError(
            f"{len(strange)} samples were made for other prompts than the prompt set holds: {listed(names)}; "
            "make them again"
        )
    return rows[rows["status"] == "ok"].drop(columns=["status", "asked_caption"])


def score_system(
    system: str,
    prompts: pd.DataFrame,
    generated: dict[str, Embeddings],
    reference: ReferenceEmbeddings,
    index: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Score every sound of a system.

    Parameters
    ----------
    system : str
        Its name.
    prompts : pandas.DataFrame
        clip_id, caption_id, protocol, caption, own_caption.
    generated : dict of str to Embeddings
        By judge, as from :func:`read_generated`. Metrics of judges that are left out are not computed.
    reference : ReferenceEmbeddings
        Of the same judges.
    index : pandas.DataFrame, optional
        See :func:`expected_rows`.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`, sorted by protocol, clip_id, caption_id, metric.

    Raises
    ------
    MissingClipError
        If a sound, a clip or a caption has no embedding, or one that is not finite.
    InputError
        If sounds and clips were embedded by different judges.
    """
    rows = expected_rows(prompts, index).reset_index(drop=True)
    if rows.empty:
        raise MissingClipError(f"system {system} has no sample that could be scored: its index says why")
    inputs = SampleInputs(rows, generated, reference)
    parts = []
    for metric in METRICS.values():
        if (
            metric.of_sample is not None
            and metric.judge in generated
            and (found := metric.of_sample(inputs)) is not None
        ):
            scored = rows if found.rows is None else rows.iloc[found.rows]
            parts.append(_part(system, scored, metric.name, found.values))
            parts += [_part(system, scored, name, values) for name, values in found.companions.items()]
    order = ["protocol", "clip_id", "caption_id", "metric"]
    return pd.concat(parts, ignore_index=True).sort_values(order, ignore_index=True)


def _part(system: str, rows: pd.DataFrame, metric: str, values: np.ndarray) -> pd.DataFrame:
    part = rows[["protocol", "clip_id", "caption_id"]].assign(system=system, metric=metric, value=values)
    return part[list(COLUMNS)]
