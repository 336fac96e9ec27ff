"""Embeddings of reference clips that runs and machines share: a folder of small files, named by what they are of.

An entry is named by the SHA-256 of its key: the bytes it was made from, the judge, its weights' SHA-256, the settings
that embeddings depend on and the version of the code. So an entry never becomes wrong, and nothing is ever changed in
one: it is written whole under another name first, and two processes that make the same one write the same. It is
verified whenever it is read. One that is damaged is made again.
"""

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cafa.common.files import digest_of
from cafa.common.stages import stage_version
from cafa.common.writing_errors import explained
from metrics.judges.interface import Columns, Panel
from metrics.judges.kinds import JUDGES

SUFFIX, ABOUT = ".safetensors", "about"
#: settings of a panel that say how well its weights are known, and change no value
NO_VALUE_DEPENDS = ("weights_without_recorded_sha256",)


@dataclass(frozen=True)
class Stored:
    """What an entry holds: arrays by name, and what is to be known of them."""

    arrays: Columns
    facts: Mapping[str, Any]


class EmbeddingStore:
    """Embeddings by what they are of.

    Parameters
    ----------
    folder : path
        Made where it is not there. Several processes and machines may use it at once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: Mapping[str, Any]) -> Stored | None:
        """What is there of a key; None if nothing is, or what is there is damaged."""
        path = self._path(key)
        try:
            found = _read(path)
        except FileNotFoundError:
            return None
        except (SafetensorError, ValueError, KeyError, OSError) as error:
            warnings.warn(f"{path} is damaged and is made again: {error}", stacklevel=2)
            return None
        if found.facts["key"] != json.loads(json.dumps(key)):
            warnings.warn(f"{path} is of another key than its name says, and is made again", stacklevel=2)
            return None
        with suppress(OSError):  # a folder that may only be read serves all the same
            os.utime(path)  # when it was last of use, for `cafa store prune`
        return Stored(found.arrays, found.facts["facts"])

    def put(self, key: Mapping[str, Any], arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Write an entry whole.

        Raises
        ------
        WriteError
            If the disk is full or the folder takes no files.
        """
        path, kept = self._path(key), {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        about = {"key": dict(key), "facts": dict(facts)}
        # One text: the library writes several in any order, and equal entries are to have equal bytes.
        content = save(kept, metadata={ABOUT: json.dumps({**about, "sha256": _digest(about, kept)}, sort_keys=True)})
        with explained(path, len(content)):
            path.parent.mkdir(parents=True, exist_ok=True)
            # A random name: processes of two machines may have the same number.
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
                temporary = Path(file.name)
                try:
                    file.write(content)
                    file.close()
                    os.replace(temporary, path)
                finally:
                    temporary.unlink(missing_ok=True)

    def entries(self) -> Iterator[Path]:
        """Files of all entries."""
        return self.folder.glob(f"*/*/*{SUFFIX}")

    def _path(self, key: Mapping[str, Any]) -> Path:
        name = digest_of(key)
        return self.folder / str(key["kind"]) / name[:2] / f"{name}{SUFFIX}"


def _read(path: Path) -> Stored:
    with path.open("rb"):  # the library's own error names no file
        pass
    with safe_open(path, framework="numpy") as file:
        about = json.loads((file.metadata() or {})[ABOUT])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    if _digest(about, arrays) != about.pop("sha256"):
        raise ValueError("its content has another SHA-256 than was written")
    return Stored(arrays, about)


def _digest(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    written = {name: value for name, value in about.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(written, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


class PanelStore:
    """The store as a panel of judges uses it.

    Parameters
    ----------
    store : EmbeddingStore
    panel : Panel
    batch_size : int
        Sounds that are judged together. Above 1 the last digits depend on which: an entry is of a sound in its batch.
    """

    def __init__(self, store: EmbeddingStore, panel: Panel, batch_size: int) -> None:
        self._store, self._panel, self._batch_size = store, panel, batch_size
        self._version = stage_version("embed_pretrained" if panel.kind == "real" else "embed")
        self._of_weights = {name for kind in JUDGES.values() for name in kind.weights}

    @classmethod
    def in_folder(cls, folder: Path | None, panel: Panel, batch_size: int) -> "PanelStore | None":
        """The store in a folder; None where none is wanted."""
        return None if folder is None else cls(EmbeddingStore(folder), panel, batch_size)

    def _key(self, kind: str, judges: Sequence[str], source: str) -> dict[str, Any]:
        own = {name for judge in judges for name in JUDGES[judge].weights}
        settings = {
            name: value
            for name, value in self._panel.settings.items()
            if name not in NO_VALUE_DEPENDS and (name in own or name not in self._of_weights)
        }
        weights = {judge: self._panel.judges[judge].weights_sha256 for judge in judges}
        return {"kind": kind, "source": source, "weights": weights, "settings": settings, "version": self._version}

    def _of_picture(self, source: str) -> dict[str, Any]:
        looking = [judge for judge in self._panel.judges if "video" in JUDGES[judge].parts]
        return self._key("picture", looking, source)

    def picture(self, source: str) -> Columns | None:
        """What all judges that look keep of the picture of a file with this SHA-256."""
        found = self._store.get(self._of_picture(source))
        return None if found is None else found.arrays

    def put_picture(self, source: str, columns: Columns) -> None:
        """Store it."""
        self._store.put(self._of_picture(source), columns, {})

    def _of_sound(self, judge: str, sources: Sequence[str], place: int) -> dict[str, Any]:
        # A source is the SHA-256 of the sound, followed by that of the clip's picture.
        length = None if JUDGES[judge].picture_with_sound else 64
        cut = [source[:length] for source in sources]
        alone = self._batch_size == 1
        return self._key("sound", [judge], cut[place] if alone else f"{place} of {digest_of(cut)}")

    def sound(self, judge: str, sources: Sequence[str], place: int) -> Stored | None:
        """Columns of a judge and facts of the sound at `place` of a batch, which is given by digests of its files."""
        return self._store.get(self._of_sound(judge, sources, place))

    def put_sound(
        self, judge: str, sources: Sequence[str], place: int, columns: Columns, facts: Mapping[str, Any]
    ) -> None:
        """Store them."""
        self._store.put(self._of_sound(judge, sources, place), columns, facts)

    def texts(self, judge: str, captions: Sequence[str]) -> np.ndarray:
        """Embeddings of captions that are embedded together; made and stored if they are not there."""
        key = self._key("text", [judge], digest_of(list(captions)))
        if (found := self._store.get(key)) is not None:
            return found.arrays["embedding"]
        embedding = np.asarray(self._panel.embed_text(captions, judge))
        self._store.put(key, {"embedding": embedding}, {})
        return embedding
