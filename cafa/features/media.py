"""Frames and log-mels of a shard of normalised clips: what the miniature's encoders and judges are given."""

from collections.abc import Sequence
from pathlib import Path

from cafa.common.counting import counts_line
from cafa.features.clips_of_shard import ShardClips
from cafa.features.encode import EncodeSettings, encode_shard
from cafa.features.from_media import MediaSettings, media_encoding


def encode_media(
    shard: ShardClips,
    settings: MediaSettings,
    *,
    frames: str | Path,
    mel: str | Path,
    ledger: str | Path,
    workers: int = 0,
    reuse: Sequence[str | Path] = (),
) -> str:
    """Write frames and log-mels; every clip is decoded once, and an interrupted job continues.

    Parameters
    ----------
    shard : ShardClips
    settings : MediaSettings
    frames, mel, ledger : path
        Feature files and ledger to write.
    workers : int
        Processes that decode; 0: this one.
    reuse : sequence of path
        Feature files of other runs, or folders of such, whose equal rows are copied.

    Returns
    -------
    str
        Clips by status, as a line.
    """
    counts = encode_shard(
        [media_encoding(shard.clips, settings)],
        shard.rows(),
        shard.ingest_ledger,
        shard.shard,
        {"frames": frames, "mel": mel},
        ledger,
        settings=EncodeSettings(workers=workers),
        reuse=reuse,
    )
    return counts_line(counts, "no clip in this shard")
