"""Sounds of somebody else's code: a driver in its environment is asked batch by batch.

What a driver does to one clip is kept from the others: where a batch ends its process, or hangs, the rows of the batch
are asked for one by one, and the row that does it again is lost with its reason.
"""

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cafa.baselines.checkout import require_commit
from cafa.baselines.driver_process import DriverCommand, DriverEnded, DriverHung, DriverProcess
from cafa.baselines.peers import DRIVERS
from cafa.common.errors import CafaError, ClipError
from cafa.common.files import sha256_file
from cafa.common.seeds import seed_for
from cafa.common.shards import shard_of
from cafa.generation.external import ExternalSystem
from cafa.generation.sound_sources import read_sound_file
from cafa.generation.sources import PromptRow, ReadSound, SampleContext, SampleFiles
from cafa.media.sound import ENOUGH

#: clips in a row without a sound, after which the fault is not the clips'
CLIPS_IN_A_ROW = 5


@dataclass
class ExternalSounds:
    """Sounds of an external system.

    Parameters
    ----------
    system : ExternalSystem
    process : DriverProcess
    files : SampleFiles
        Where the normalised clips are.
    seed : int
        Base seed.
    depends : mapping
        See :class:`~cafa.generation.sources.SoundSource`.
    """

    system: ExternalSystem
    process: DriverProcess
    files: SampleFiles
    seed: int
    depends: Mapping[str, Any] = field(default_factory=dict)
    _failed: list[str] = field(default_factory=list)

    @property
    def sample_rate(self) -> int:
        """Of the peer."""
        return self.system.of_peer().sample_rate

    def sounds(self, rows: Sequence[PromptRow]) -> list[ReadSound | ClipError]:
        """See :class:`~cafa.generation.sources.SoundSource`."""
        with tempfile.TemporaryDirectory(prefix="cafa-external-") as work:
            clips = {row.clip_id: self._clip(row.clip_id) for row in rows}
            # A folder for each row: peers name a sound after the clip, whatever the caption.
            asked = {
                str(number): self._request(row, Path(work, str(number)), clips[row.clip_id])
                for number, row in enumerate(rows)
                if clips[row.clip_id].is_file()
            }
            answers = self._answers(list(asked.values())) if asked else {}
            found: list[ReadSound | ClipError] = []
            for number, row in enumerate(rows):
                if str(number) in asked:
                    found.append(self._read(answers[str(number)], Path(work, str(number))))
                else:
                    found.append(ClipError("missing_file", f"no normalised clip at {clips[row.clip_id]}"))
            self._require_progress(rows, found)
            return found

    def _clip(self, clip_id: str) -> Path:
        shard = shard_of(clip_id, self.files.clip_shards)
        return (self.files.clips / str(shard) / f"{clip_id}.mp4").resolve()

    def _request(self, row: PromptRow, folder: Path, clip: Path) -> dict[str, Any]:
        folder.mkdir()
        return {
            "id": folder.name,
            "video": str(clip),
            "prompt": self.system.prompt_of(row),
            "negative": self.system.negative_of(row),
            "seed": seed_for(self.seed, row.clip_id, row.caption_id),
            "seconds": self.system.length(),
            "folder": str(folder),
        }

    def _answers(self, requests: list[dict[str, Any]]) -> dict[str, dict[str, Any] | ClipError]:
        try:
            return {**self.process.ask(requests)}
        except (DriverEnded, DriverHung) as error:
            if len(requests) == 1:
                reason = "peer_crashed" if isinstance(error, DriverEnded) else "peer_hung"
                return {requests[0]["id"]: ClipError(reason, str(error))}
            print(f"{self.system.of_peer().title}: {error}: its {len(requests)} rows are asked for one by one")
        one_by_one = (self._answers([request]) for request in requests)
        return dict(itertools.chain.from_iterable(answers.items() for answers in one_by_one))

    def _read(self, answer: dict[str, Any] | ClipError, folder: Path) -> ReadSound | ClipError:
        if isinstance(answer, ClipError):
            return answer
        if "failed" in answer:
            return ClipError("peer_failed", answer["failed"])
        path = Path(answer["file"])
        if not path.resolve().is_relative_to(folder.resolve()):
            return ClipError("missing_sample", f"the driver named {path}, which is not in the folder of the row")
        if answer["sample_rate"] is None:
            return read_sound_file(path, self.system.length(), exact=True)
        return read_array(path, answer["sample_rate"], self.system.length())

    def _require_progress(self, rows: Sequence[PromptRow], found: Sequence[ReadSound | ClipError]) -> None:
        """Refuse to go on where one clip after the other has no sound: then it is not the clips.

        Raises
        ------
        CafaError
            What was said of the last clip. What is finished stays.
        """
        for row, sound in zip(rows, found, strict=True):
            if not isinstance(sound, ClipError):
                self._failed = []
            elif row.clip_id not in self._failed:
                self._failed.append(row.clip_id)
                if len(self._failed) >= CLIPS_IN_A_ROW:
                    raise CafaError(
                        f"{self.system.of_peer().title} made no sound of {len(self._failed)} clips one after the other "
                        f"({', '.join(self._failed)}): {sound}. Look into its log above, then run the same command"
                    )


def read_array(path: Path, sample_rate: int, seconds: float) -> ReadSound | ClipError:
    """A sound that a driver wrote as a NumPy array, or why it cannot be had; as :func:`read_sound_file`."""
    if not path.is_file():
        return ClipError("missing_sample", f"{path.name} is not there")
    try:
        sound = np.atleast_2d(np.load(path, allow_pickle=False)).astype(np.float32)
    except (ValueError, EOFError) as error:
        return ClipError("corrupt", f"{path.name}: {error}")
    wanted, have = round(seconds * sample_rate), sound.shape[1]
    if have < ENOUGH * wanted:
        return ClipError("short", f"{path.name} holds {have / sample_rate:.2f} s of {seconds} s")
    return ReadSound(np.pad(sound, ((0, 0), (0, max(0, wanted - have)))), sample_rate, seconds, exact=False)


def open_external(system: ExternalSystem, context: SampleContext) -> ExternalSounds:
    """A driver that is started by the first batch; see :meth:`cafa.generation.systems.SystemKind.open_source`."""
    peer = system.of_peer()
    commit = system.commit or peer.commit
    checkout = require_commit(system.checkout, commit, peer.repository)
    command = DriverCommand(
        system.interpreter(),
        peer.driver,
        checkout,
        peer.parse(system.settings),
        context.device,
        context.threads,
        system.start_seconds,
        system.seconds_per_clip,
    )
    depends = {
        "commit": commit,
        "driver": sha256_file(peer.driver),
        "serve": sha256_file(DRIVERS / "serve.py"),
        "device": context.device,
        "threads": context.threads,
    }
    return ExternalSounds(system, DriverProcess(command), context.files, context.seed, depends)
