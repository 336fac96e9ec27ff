"""Where the results of `cafa generate` go: a name for each request, and an index that says what each file is."""

import fcntl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cafa.common.errors import InputError
from cafa.common.file_names import holds_name, plain_part, readable_part
from cafa.common.files import digest_of, read_json, sha256_file, write_json
from cafa.generation.foley import FoleyResult
from cafa.media.new_sound import suffix_for, write_with_new_sound

INDEX = "generated.json"


class ResultFiles:
    """The results of one video in one folder.

    Two requests have one name only if they are equal: video (name and content), prompt, seed, settings and models. A
    name is the video's, the prompt, the seed and a digest of the whole request; the index holds the request in full.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    video : path
    settings : mapping
        Everything else that the sound depends on, as JSON has it.

    Raises
    ------
    InputError
        If the video is not there.
    """

    def __init__(self, folder: str | Path, video: str | Path, settings: Mapping[str, Any]) -> None:
        self.folder, self.video = Path(folder), Path(video)
        if not self.video.is_file():
            raise InputError(f"no video at {video}")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._common = {"video": self.video.name, "video_sha256": sha256_file(self.video), "settings": dict(settings)}

    def request(self, prompt: str, seed: int) -> dict[str, Any]:
        """Everything that the result depends on."""
        return self._common | {"prompt": prompt, "seed": seed}

    def name(self, prompt: str, seed: int) -> str:
        """Name of the result without suffix: at most 180 bytes."""
        digest = digest_of(self.request(prompt, seed))[:12]
        readable = f"{readable_part(self.video.stem)}--{readable_part(prompt)}--{seed}"
        return f"{readable if holds_name(self.folder, readable) else plain_part(readable)}--{digest}"

    def check(self, prompt: str, seed: int) -> None:
        """Refuse to write over the result of another request.

        Raises
        ------
        InputError
            If the index says that the files of this name are of another request, or is not an index.
        """
        name, index = self.name(prompt, seed), self._index()
        if name in index and index[name]["request_sha256"] != digest_of(self.request(prompt, seed)):
            raise InputError(
                f"{self.folder / name}.* are the result of another request ({self.folder / INDEX}): move them away, or "
                "choose another --output-folder"
            )

    def save(self, result: FoleyResult, *, video_track: int | None = None, encode: bool = False) -> Path:
        """Write sound and video of a result and its entry in the index; returns the path of the video.

        The picture and all other tracks of the video are copied (:mod:`cafa.media.new_sound`), into the container that
        they come from where it can be written. With `encode`, or where they are damaged or no container holds them, the
        normalised picture is written, as mp4 with 25 frames per second.
        """
        self.check(result.prompt, result.seed)
        name, request = self.name(result.prompt, result.seed), self.request(result.prompt, result.seed)
        suffix = None if encode or result.damage else suffix_for(self.video, video_track)
        sound, video = self.folder / f"{name}.wav", self.folder / f"{name}{suffix or '.mp4'}"
        result.save_sound(sound)
        if suffix is None:
            result.save_video(video)
        else:
            write_with_new_sound(self.video, result.waveform, result.sample_rate, video, video_track=video_track)
        entry = request | {"request_sha256": digest_of(request), "files": [sound.name, video.name]}
        if result.damage:
            entry["damage"] = result.damage
        with (self.folder / f".{INDEX}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # several runs may write into one folder
            write_json(self.folder / INDEX, self._index() | {name: entry})
        return video

    def _index(self) -> dict[str, Any]:
        path = self.folder / INDEX
        if not path.is_file():
            return {}
        try:
            index = read_json(path)
        except ValueError as error:
            raise InputError(f"{path} is not an index of results ({error}): move it away") from error
        if not isinstance(index, dict):
            raise InputError(f"{path} is not an index of results: move it away")
        return index
