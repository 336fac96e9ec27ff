"""Errors of the project: what was wrong, what was found, what to do."""


class CafaError(Exception):
    """Root of every error raised on purpose."""


class InputError(CafaError, ValueError):
    """Something the user gave (file, setting, identifier) is not usable."""


class ClipError(CafaError):
    """A clip cannot be used; becomes a ledger row.

    Parameters
    ----------
    reason : str
        One of :data:`cafa.common.ledger.REASONS`.
    detail : str
        What was found.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["ClipError"], tuple[str, str]]:
        """Both parts, so that it can come from another process."""
        return type(self), (self.reason, self.detail)


class FolderInUseError(CafaError):
    """Another run writes to the same place."""


class MissingClipError(CafaError):
    """A clip that must be present at this stage is not."""


class WeightsError(CafaError):
    """Weights are missing, or are not what they claim to be."""


class WriteError(CafaError):
    """A file cannot be written: the disk is full, or the place takes no files."""
