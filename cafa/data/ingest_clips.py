"""`cafa ingest`: the clips of a shard, from a manifest and raw files to normalised clips and a ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cafa.common.counting import counts_line
from cafa.common.errors import InputError
from cafa.data.ingest import Fetched, RootFolder, ingest_shard
from cafa.data.manifest import read_manifest
from cafa.media.normalise import NormaliseSettings


@dataclass(frozen=True)
class RawClips:
    """Where the raw files of a data set are: below a folder, or where `cafa fetch` says.

    Parameters
    ----------
    root : path, optional
        Folder that the uri of each clip is relative to.
    fetched : path, optional
        Instead of it: table of `cafa fetch` that says where each raw file is.
    fetch_ledger : path, optional
        With `fetched`: its ledger, which says why other clips are not there.
    follow_links : bool
        Trust symbolic links that lead out of `root`.
    """

    root: Path | None = None
    fetched: str | Path | None = None
    fetch_ledger: str | Path | None = None
    follow_links: bool = False

    def open(self) -> RootFolder | Fetched:
        """What finds the raw file of a clip.

        Raises
        ------
        InputError
            If both, or neither, are given.
        """
        if (self.root is None) == (self.fetched is None) or (self.fetch_ledger is not None and self.fetched is None):
            raise InputError("give either --root, or --fetched (and with it --fetch-ledger)")
        if self.root is not None:
            return RootFolder(self.root, follow_links=self.follow_links)
        return Fetched(str(self.fetched), self.fetch_ledger)


def ingest_clips(
    manifest: str | Path,
    raw: RawClips,
    settings: NormaliseSettings,
    *,
    shard: tuple[int, int],
    output_folder: str | Path,
    ledger: str | Path,
    workers: int = 0,
    seconds_per_clip: float = 300.0,
    reuse: Sequence[str | Path] = (),
) -> str:
    """Normalise the clips of a shard; see :func:`cafa.data.ingest.ingest_shard`.

    Parameters
    ----------
    manifest : path
        Of the data set.
    raw : RawClips
    settings : NormaliseSettings
    shard : (int, int)
        Number and count.
    output_folder, ledger : path
        Folder of this shard's clips, and ledger to write.
    workers : int
        Processes; 0: this one, without a limit of time.
    seconds_per_clip : float
        After which a worker gives a clip up.
    reuse : sequence of path
        Folders of normalised clips of other data sets, whose equal ones are taken.

    Returns
    -------
    str
        Clips by status, as a line.

    Raises
    ------
    InputError
        If it is not clear where raw files are.
    """
    counts = ingest_shard(
        read_manifest(manifest),
        raw.open(),
        shard=shard[0],
        shards=shard[1],
        settings=settings,
        output_folder=output_folder,
        ledger=ledger,
        workers=workers,
        seconds_per_clip=seconds_per_clip,
        reuse=reuse,
    )
    return counts_line(counts, "no clip in this shard")
