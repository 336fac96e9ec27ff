"""Reading archives of other people: damage is not taken for the end, and no name leads outside."""

import tarfile
import zlib
from pathlib import PurePosixPath

#: What reading a damaged archive raises: its header, its compression, its end, and a disk that fails (OSError).
DAMAGE = (tarfile.TarError, zlib.error, EOFError, OSError)


class StrictHeaders(tarfile.TarInfo):
    """Headers of an archive that must end with its mark of the end: else tarfile takes damage for the end."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> "StrictHeaders":
        """The next header.

        Raises
        ------
        tarfile.ReadError
            If there is neither a header nor the mark of the end.
        """
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # not in the stub
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"no member and no end of the archive at byte {tar.offset}: {error}") from error


def stays_inside(name: str) -> bool:
    """Whether a member's name is one below the archive's own root: not absolute, no drive, no ``..``."""
    path = PurePosixPath(name.replace("\\", "/"))
    drive = len(path.parts) > 0 and path.parts[0].endswith(":")
    return bool(path.parts) and not path.is_absolute() and not drive and ".." not in path.parts and "\0" not in name
