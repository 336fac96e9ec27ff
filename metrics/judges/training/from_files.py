"""`cafa judges train`: a judge of the miniature, trained from feature files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cafa.common.folder_lock import only_writer_in
from cafa.data.manifest import read_manifest
from metrics.judges.training.clips import Clips, read_clips
from metrics.judges.training.settings import judge_settings
from metrics.judges.training.train import train_judge


@dataclass(frozen=True)
class ClipFiles:
    """Feature files of clips, as the miniature's judges learn from them and are checked with them.

    Parameters
    ----------
    frames, mel : sequence of path
        Feature files of frames and of log-mels.
    manifest : path
        Of the data set.
    split : str, optional
        Split of the manifest; None: all.
    """

    frames: Sequence[str | Path]
    mel: Sequence[str | Path]
    manifest: str | Path
    split: str | None = None

    def read(self) -> Clips:
        """The clips that have features."""
        frames, mel = ([Path(path) for path in paths] for paths in (self.frames, self.mel))
        return read_clips(frames, mel, read_manifest(self.manifest), self.split)


def train_judge_from_files(
    name: str, files: ClipFiles, given: Mapping[str, Any], *, seed: int, output: Path, device: str = "cpu"
) -> None:
    """Train a judge; an interrupted run continues exactly.

    Parameters
    ----------
    name : str
        Of the judge.
    files : ClipFiles
    given : mapping
        Fields of :class:`~metrics.judges.training.settings.JudgeSettings`; what is not given has the judge's default.
    seed : int
    output : path
        Model folder to write.
    device : str

    Raises
    ------
    InputError
        If there is no such judge, or settings are not valid.
    """
    settings = judge_settings(name, dict(given))
    clips = files.read()
    if clips.absent:
        print(f"{len(clips.absent)} clips have no features (their ledger says why)")
    with only_writer_in(output):
        train_judge(name, clips, settings, seed=seed, output=output, device=device)
