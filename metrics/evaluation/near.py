"""What lies near a name that was not found: said to a person, never used."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = 3


@dataclass(frozen=True)
class Near:
    """Files that a missing id may have meant: what sets their names apart, and one of them."""

    difference: str
    file: str


class Neighbours:
    """Files in and one folder below a folder, by names that nearly fit.

    Parameters
    ----------
    folder : path
    suffixes : collection of str
        Of sounds and pictures, in small letters.
    """

    def __init__(self, folder: Path, suffixes: Collection[str]) -> None:
        self._suffixes = suffixes
        self._here = self._files(folder)
        self._below: dict[str, list[str]] = {}
        for below in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
            for stem, name in self._files(below).items():
                self._below.setdefault(stem, []).append(f"{below.name}/{name}")
        self._folded = {stem.casefold(): name for stem, name in self._here.items()}
        self._two = {Path(stem).stem: name for stem, name in self._here.items() if self._is_media(Path(stem))}

    def _is_media(self, path: Path) -> bool:
        return path.suffix.lower() in self._suffixes

    def _files(self, folder: Path) -> dict[str, str]:
        files = (file for file in sorted(folder.iterdir()) if not file.name.startswith("."))
        return {file.stem: file.name for file in files if self._is_media(file)}

    def of(self, clip_id: str) -> Near | None:
        """A file that an id without one may have meant."""
        bare = Path(clip_id).stem if self._is_media(Path(clip_id)) else ""
        if bare and (name := self._here.get(bare)):
            return Near(f"the id ends in {Path(clip_id).suffix}, which belongs to a file's name, not to an id", name)
        if name := self._two.get(clip_id):
            return Near("the file has two suffixes", name)
        if name := self._folded.get(clip_id.casefold()):
            return Near("small and capital letters differ", name)
        for stem in (clip_id, bare):
            if stem in self._below:
                name = self._below[stem][0]
                also = f", and the id ends in {Path(clip_id).suffix}" if stem == bare else ""
                return Near(f"the file lies in {Path(name).parent}/ below the folder{also}", name)
        return None


def what_is_there(folder: Path, missing: Iterable[str], near: Mapping[str, Near | None], found: int) -> str:
    """One sentence on a folder in which none of the wanted files is."""
    missing = list(missing)
    groups: dict[str, list[str]] = {}
    for clip_id in missing:
        if (one := near.get(clip_id)) is not None:
            groups.setdefault(one.difference, []).append(f"{clip_id} -> {one.file}")
    said = [
        f"for {len(names)} of them: {difference} ({', '.join(names[:EXAMPLES])}{', ...' * (len(names) > EXAMPLES)})"
        for difference, names in groups.items()
    ]
    rest = f"it holds {found} sounds and pictures"
    return (
        f"none of the {len(missing)} clips has a file in {folder}, e.g. {missing[0]}.*; "
        + "; ".join(said or [f"{rest}, none with a similar name"])
        + ". Nothing is guessed: correct the ids or names, name the right folder, or name the files in a column"
    )
