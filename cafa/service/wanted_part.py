"""Whether the part of a video that is to get sound is there, and within the limits."""

from cafa.service.errors import RefusedError, TooLongError
from cafa.service.jobs import JobRequest
from cafa.service.limits import Limits
from cafa.service.looking import SLACK
from cafa.service.videos import Video


def check_part(video: Video, request: JobRequest, limits: Limits) -> None:
    """Refuse a part that is longer than the limit, or not there.

    Raises
    ------
    RefusedError
        Which says what the limit is, and what to do.
    """
    if request.start >= video.seconds:
        raise RefusedError(f"the part begins at {request.start:g} s, the video ends at {video.seconds:.2f} s")
    end = video.seconds if request.end is None else min(request.end, video.seconds)
    seconds = end - request.start
    if seconds > limits.longest_seconds + SLACK:
        raise TooLongError(
            f"{seconds:.1f} s would get sound, which is longer than {limits.longest_seconds:g} s, which is the limit: "
            "say where the part begins and ends"
        )
