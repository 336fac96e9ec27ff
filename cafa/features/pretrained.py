"""Features of pretrained encoders, from a shard of normalised clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cafa.common.counting import counts_line
from cafa.common.errors import InputError
from cafa.features.clips_of_shard import ShardClips
from cafa.features.encode import EncodeSettings, encode_shard
from cafa.features.registered_encoders import PretrainedJob, names_of_kinds, pretrained_job, same_latents, verdict
from cafa.models.registry import read_card


@dataclass(frozen=True)
class Encoders:
    """Registered models that encode clips, in one job.

    Parameters
    ----------
    kinds : sequence of str
        ``latents``, or a kind of video features; each clip is read once for all of them.
    models : sequence of path
        For each kind the folder of its model's card: a backbone for latents, else an encoder of video.
    like : path, optional
        Folder of another registered backbone, whose latents may be copied if both autoencoders are the same.
    device : str
    """

    kinds: Sequence[str]
    models: Sequence[str | Path]
    like: Path | None = None
    device: str = "cpu"

    def open(self, clips: Path, settings: EncodeSettings) -> PretrainedJob:
        """Load the models; what was found out about them is among the job's notes.

        Raises
        ------
        InputError
            If `like` is given and the job makes no latents, or those of two backbones.
        """
        if self.like is not None and list(self.kinds).count("latents") != 1:
            raise InputError(f"--like is for latents of one backbone, not for {', '.join(self.kinds)}")
        job = pretrained_job(self.kinds, self.models, clips, settings, self.device)
        if self.like is not None:
            mine = self.models[list(self.kinds).index("latents")]
            if same := same_latents(mine, self.like):
                job.alike["latents"].append(read_card(self.like)["encoders"]["latents"])
            job.notes.append(verdict(mine, self.like, same, "nothing is copied between them"))
        return job


def encode_pretrained(
    encoders: Encoders,
    shard: ShardClips,
    settings: EncodeSettings,
    outputs: Sequence[str | Path],
    ledger: str | Path,
    *,
    reuse: Sequence[str | Path] = (),
    keep_rows: bool = False,
) -> str:
    """Write the features of a shard; an interrupted job continues, see :func:`cafa.features.encode.encode_shard`.

    Parameters
    ----------
    encoders : Encoders
    shard : ShardClips
    settings : EncodeSettings
    outputs : sequence of path
        Feature file to write, for each kind in order.
    ledger : path
        Ledger to write: one row per clip, for all kinds.
    reuse : sequence of path
        Feature files of other runs, or folders of such, whose equal rows are copied.
    keep_rows : bool
        Give the files hidden second names, from which a repeated job copies what is the same.

    Returns
    -------
    str
        What was found out about the models, and clips by status, as lines.
    """
    named = dict(zip(names_of_kinds(encoders.kinds, encoders.models, outputs), outputs, strict=True))
    job = encoders.open(shard.clips, settings)
    for note in job.notes:
        print(note)
    counts = encode_shard(
        job.encodings,
        shard.rows(),
        shard.ingest_ledger,
        shard.shard,
        named,
        ledger,
        settings=settings,
        reuse=reuse,
        alike=job.alike,
        keep_rows=keep_rows,
    )
    return counts_line(counts, "no clip in this shard")
