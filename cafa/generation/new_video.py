"""The video that a new sound goes under: its picture copied, or encoded where that cannot be."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cafa.common.work import Work, here
from cafa.generation.finish import Finish, Finished
from cafa.generation.foley import FoleyResult
from cafa.media.codec_levels import level_for_codec
from cafa.media.encoded_part import encode_part
from cafa.media.encoded_sound import AAC_RATES, SoundCodec
from cafa.media.mux import AAC
from cafa.media.new_sound import CONTAINERS, suffix_for, write_with_new_sound
from cafa.media.parts import Part

#: How the sound beside a normalised picture is encoded; a rate that AAC does not know is resampled.
OF_NORMALISED = replace(AAC, rates=AAC_RATES)


@dataclass
class NewVideo:
    """A video, or a part of it, under which sounds are put; a context manager, where a part is encoded.

    Parameters
    ----------
    video : Path
    part : Part, optional
        None: the whole.
    video_track : int, optional
        Picture to take, from 1.
    encode : bool
        Write the normalised picture (mp4, 25 frames per second, at most 720 lines) instead of the video's own.
    work : callable
        Runs what reads the video.
    """

    video: Path
    part: Part | None = None
    video_track: int | None = None
    encode: bool = False
    work: Work = here
    _held: ExitStack = field(default_factory=ExitStack, repr=False)

    def __enter__(self) -> "NewVideo":
        """What is encoded is held until the block ends."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Give up what was encoded."""
        self._held.close()

    def write(self, result: FoleyResult, sound: Finished, finish: Finish, stem: Path) -> tuple[Path, Mapping[str, Any]]:
        """Put a sound under the video; its loudness and peaks are those that `finish` wants after the codec, too.

        Parameters
        ----------
        result : FoleyResult
            Holds the normalised picture, and says whether the video is damaged.
        sound : Finished
        finish : Finish
            Its levels, and which track it becomes.
        stem : Path
            Of the file, without suffix.

        Returns
        -------
        (Path, mapping)
            The file, and what became of its tracks and is measured of the sound in it, as JSON has it.
        """
        suffix = None if self.encode or result.damage else self._suffix
        codec = OF_NORMALISED if suffix is None else CONTAINERS[suffix].sound
        waveform, levels = _levelled(sound, codec, finish)
        path = stem.with_name(f"{stem.name}{suffix or '.mp4'}")
        if suffix is None:
            result.save_picture_with(path, waveform, sound.sample_rate)
            return path, {"picture": "normalised", **levels}
        tracks = self.work(
            write_with_new_sound,
            self.video,
            waveform,
            sound.sample_rate,
            path,
            track=finish.track,
            video_track=self.video_track,
            audio_track=finish.sound_track,
            part=self.part,
            picture=self._encoded,
        )
        picture = "copied" if self._encoded is None else "encoded"
        return path, {"picture": picture, "kept": list(tracks.kept), "left_out": list(tracks.left_out), **levels}

    @cached_property
    def _suffix(self) -> str | None:
        codec = "h264" if self._needs_encoding else None
        found: str | None = self.work(suffix_for, self.video, self.video_track, codec)
        return found

    @property
    def _needs_encoding(self) -> bool:
        return self.part is not None and not self.part.copied

    @cached_property
    def _encoded(self) -> Path | None:
        """The part's picture, encoded once for all sounds; None where it is copied."""
        if self.part is None or self.part.copied:
            return None
        path = Path(self._held.enter_context(TemporaryDirectory())) / "picture.mp4"
        self.work(encode_part, self.video, path, start=self.part.start, end=self.part.end, video_track=self.video_track)
        return path


def _levelled(sound: Finished, codec: SoundCodec, finish: Finish) -> tuple[np.ndarray, dict[str, float]]:
    """A sound for a codec, and its levels after that; as it is, where the level is not that of loudness."""
    if finish.level == "peak":
        return sound.waveform, {}
    waveform, found = level_for_codec(sound.waveform, sound.sample_rate, codec, finish.lufs, finish.true_peak)
    return waveform, {} if found is None else {"lufs": round(found.lufs, 2), "true_peak": round(found.true_peak, 2)}
