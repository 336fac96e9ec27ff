"""Clips whose sound fits their picture, chosen by a score of audio-visual correspondence.

The idea is VisualSound's (V-AURA, Viertola et al.), which keeps the clips of VGGSound with a high score of ImageBind.
Here the score is that of the miniature's own AV-CLIP, so whoever judges the results has no part in choosing the data.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import InputError, MissingClipError
from cafa.common.ledger import OK, ledger_row, write_ledger
from cafa.common.progress import progress
from cafa.common.tables import write_table
from cafa.data.correspondence_scores import write_scores
from cafa.data.manifest import SCHEMA as MANIFEST
from cafa.data.manifest import read_manifest
from cafa.features.store import FeatureStore
from cafa.models.encoders.miniature_av_clip import AVClipCorrespondence

STAGE = "correspondence"


class CorrespondenceSettings(BaseModel):
    """Which clips are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_least: float = Field(ge=-1, le=1, description="least correspondence of a clip that is kept, -1 to 1")


def filter_clips(
    manifest: str | Path,
    frames: Sequence[str | Path],
    mel: Sequence[str | Path],
    model: str | Path,
    settings: CorrespondenceSettings,
    *,
    output: str | Path,
    scores: str | Path,
    ledger: str | Path,
) -> str:
    """Score every clip, and write the manifest of those that are kept.

    Parameters
    ----------
    manifest : path
        Of the data set.
    frames, mel : sequence of path
        Feature files of its clips.
    model : path
        Model folder of the AV-CLIP that scores.
    settings : CorrespondenceSettings
    output : path
        Manifest of the kept clips, in their order.
    scores : path
        Parquet to write: clip_id, correspondence, kept; of the clips that have features.
    ledger : path
        One row for every clip of the manifest: ``ok``, ``low_correspondence`` with the score, or ``missing_feature``.

    Returns
    -------
    str
        How many were kept of how many.

    Raises
    ------
    InputError
        If the features are not of the encoders that the model was trained on.
    MissingClipError
        If no clip is kept.
    """
    scorer = AVClipCorrespondence(model)
    pictures, sounds = (FeatureStore(paths, digest) for paths, digest in zip((frames, mel), scorer.inputs, strict=True))
    rows = read_manifest(manifest)
    found: dict[str, float] = {}
    for clip_id in progress(rows["clip_id"].tolist(), "correspondence", len(rows)):
        if clip_id in pictures and clip_id in sounds:
            found[clip_id] = scorer.score(pictures[clip_id], sounds[clip_id])
    if bad := [clip_id for clip_id, score in found.items() if not np.isfinite(score)]:
        raise InputError(f"the correspondence of {len(bad)} clips is not finite, e.g. {bad[0]}: see their features")
    kept = {clip_id for clip_id, score in found.items() if score >= settings.at_least}
    if not kept:
        best = max(found.values(), default=float("nan"))
        raise MissingClipError(
            f"none of {len(rows)} clips has a correspondence of at least {settings.at_least}: "
            f"the highest is {best:.3f}; lower `at_least`"
        )
    write_ledger(ledger, [_row(clip_id, found.get(clip_id), settings.at_least) for clip_id in rows["clip_id"]])
    write_scores(scores, [{"clip_id": c, "correspondence": s, "kept": c in kept} for c, s in found.items()])
    chosen = rows[rows["clip_id"].isin(kept)]
    write_table(output, pa.Table.from_pandas(chosen, schema=MANIFEST, preserve_index=False), MANIFEST)
    return f"{len(kept)} of {len(rows)} clips have a correspondence of at least {settings.at_least}"


def _row(clip_id: str, score: float | None, least: float) -> dict[str, object]:
    if score is None:
        return ledger_row(clip_id, STAGE, "missing_feature", "no frames or no log-mel: see earlier ledgers")
    if score < least:
        return ledger_row(clip_id, STAGE, "low_correspondence", f"correspondence {score:.3f} is below {least}")
    return ledger_row(clip_id, STAGE, OK, f"correspondence {score:.3f}")
