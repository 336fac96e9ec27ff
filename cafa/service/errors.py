"""Why a service refuses a request; each is a plain sentence, a word for programs, and a status of HTTP."""

from typing import ClassVar

from cafa.common.errors import CafaError


class RefusedError(CafaError):
    """A request cannot be carried out.

    Attributes
    ----------
    status : int
        Status of HTTP.
    reason : str
        A word for programs.
    """

    status: ClassVar[int] = 422
    reason: ClassVar[str] = "not_usable"


class UnknownError(RefusedError):
    """There is nothing of this id: never was, or was deleted because of its age."""

    status, reason = 404, "unknown"


class TooLargeError(RefusedError):
    """An upload has too many bytes, or a picture too many pixels."""

    status, reason = 413, "too_large"


class TooLongError(RefusedError):
    """A video lasts too long."""

    status, reason = 422, "too_long"


class NotAVideoError(RefusedError):
    """An upload is no video that can be read."""

    status, reason = 422, "not_a_video"


class QueueFullError(RefusedError):
    """So many jobs wait that no further one is taken now."""

    status, reason = 503, "queue_full"


class FolderFullError(RefusedError):
    """Uploads and results fill the room that they have."""

    status, reason = 507, "folder_full"


class NotReadyError(RefusedError):
    """A job has no result, or not yet."""

    status, reason = 409, "not_ready"
