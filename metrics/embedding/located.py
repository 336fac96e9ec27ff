"""Where a file of an evaluation lies."""

from dataclasses import dataclass
from pathlib import Path

from cafa.common.errors import ClipError
from cafa.common.files import sha256_file


@dataclass(frozen=True)
class Located:
    """A file that was asked for.

    Attributes
    ----------
    path
        Where it is, or should be; None where nothing of the name was found.
    detail
        What was looked for.
    """

    path: Path | None
    detail: str

    @property
    def found(self) -> bool:
        """Whether there is such a file."""
        return self.path is not None and self.path.is_file()

    def checked(self) -> Path:
        """The path of a file that is there.

        Raises
        ------
        ClipError
            ``missing_file``.
        """
        if self.path is None or not self.path.is_file():
            raise ClipError("missing_file", self.detail)
        return self.path

    def digest(self) -> str:
        """SHA-256 of the file; empty if it is not there or cannot be read."""
        try:
            return sha256_file(self.path) if self.path is not None else ""
        except OSError:
            return ""
