"""Where the results of `cafa generate` go: a name for each request, and an index that says what each file is."""

import fcntl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cafa.common.errors import InputError
from cafa.common.file_names import holds_name, plain_part, readable_part
from cafa.common.files import digest_of, read_json, sha256_file, write_json
from cafa.generation.finish import Finish, Finished
from cafa.generation.foley import FoleyResult
from cafa.generation.generate_options import Written
from cafa.generation.new_video import NewVideo
from cafa.media.sound import write_sound

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

    def there(self, prompt: str, seed: int, write: Sequence[Written]) -> list[Path] | None:
        """Files of a result that was made before, those of `write` in its order; None where one is not there.

        Raises
        ------
        InputError
            As :meth:`check`; or if a file was changed since it was written, which nobody may overwrite.
        """
        self.check(prompt, seed)
        entry = self._index().get(self.name(prompt, seed))
        if entry is None:
            return None
        found = {_kind(file): self.folder / file for file in entry["files"]}
        for path in found.values():
            if path.is_file() and path.stat().st_size != entry["bytes"][path.name]:
                raise InputError(f"{path} was changed since it was made: move it away, or choose another folder")
        paths = [found[kind] for kind in write if kind in found and found[kind].is_file()]
        return paths if len(paths) == len(write) else None

    def save(
        self,
        result: FoleyResult,
        sound: Finished,
        video: NewVideo,
        finish: Finish,
        write: Sequence[Written],
        facts: Mapping[str, Any] | None = None,
    ) -> list[Path]:
        """Write a result, and its entry in the index.

        Parameters
        ----------
        result : FoleyResult
        sound : Finished
            The sound as it is written.
        video : NewVideo
            What it goes under.
        finish : Finish
        write : sequence of str
            ``wav``, ``flac``, ``video``.
        facts : mapping, optional
            More for the index, as JSON has it.

        Returns
        -------
        list of Path
            In the order of `write`.
        """
        self.check(result.prompt, result.seed)
        name, request = self.name(result.prompt, result.seed), self.request(result.prompt, result.seed)
        paths, tracks = [], {}
        for kind in write:
            if kind == "video":
                path, found = video.write(result, sound, finish, self.folder / name)
                tracks = dict(found)
            else:
                path = self.folder / f"{name}.{kind}"
                write_sound(path, sound.waveform, sound.sample_rate)
            paths.append(path)
        entry: dict[str, Any] = request | {"request_sha256": digest_of(request), **(facts or {})}
        entry["sound"] = {
            "sample_rate": sound.sample_rate,
            "channels": len(sound.waveform),
            "seconds": round(sound.waveform.shape[1] / sound.sample_rate, 6),
            **sound.facts,
        }
        if tracks:
            entry["video_tracks"] = tracks
        if sound.notes:
            entry["notes"] = list(sound.notes)
        if result.damage:
            entry["damage"] = result.damage
        with (self.folder / f".{INDEX}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # several runs may write into one folder
            index = self._index()
            before = index.get(name, {"files": [], "bytes": {}})
            sizes = before["bytes"] | {path.name: path.stat().st_size for path in paths}
            entry |= {"files": sorted({*before["files"], *sizes}), "bytes": dict(sorted(sizes.items()))}
            write_json(self.folder / INDEX, index | {name: before | entry})
        return paths

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


def _kind(file: str) -> str:
    """What a file of a result is: ``wav``, ``flac`` or ``video``."""
    suffix = Path(file).suffix.lower().removeprefix(".")
    return suffix if suffix in ("wav", "flac") else "video"
