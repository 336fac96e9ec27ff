"""What an error of yt-dlp means for a clip.

YouTube's own sentences pass through yt-dlp, and its classes do not tell gone from try again (network errors are
"expected" as well), so sentences decide; classes decide where they say more.
"""

import errno
import re
from collections.abc import Iterator

#: reason -> sentences, in order: the first that is found decides. YouTube puts "Video unavailable" before most others.
SENTENCES: tuple[tuple[str, str], ...] = (
    ("rate_limited", r"rate-limited by YouTube|isn['’]t available, try again later|HTTP Error 429|Too Many Requests"),
    ("age_restricted", r"confirm your age|age[- ]restricted|inappropriate for some users"),
    ("bot_check", r"not a bot|captcha|IP is likely being blocked|Sign in to confirm"),
    ("private", r"Private video|video is private"),
    ("members_only", r"members[- ]only|channel's members|Join this channel|Premium members|requires payment"),
    ("geo_blocked", r"in your country|from your location|geo[- ]?restrict"),
    ("account_terminated", r"account (associated with this video )?(has been|was|is) (terminated|closed|suspended)"),
    ("account_terminated", r"uploader has closed their YouTube account"),
    ("copyright", r"copyright"),
    ("removed", r"removed by the (uploader|user)|(video|content) has been removed|violat(es|ing|ion)"),
    ("unavailable", r"Video unavailable|video is (not available|unavailable|no longer available)"),
    ("unavailable", r"isn['’]t available any ?more|does not exist"),
    ("bot_check", r"Sign in|Use --cookies"),
    ("no_formats", r"Requested format is not available|No video formats|Only images are available"),
    ("no_formats", r"nsig|signature|challenge"),
    # The page was read, the media were not to be had: mostly a refused or broken connection of ffmpeg's own.
    ("no_formats", r"ffmpeg exited with code"),
    (
        "network",
        r"HTTP Error (403|408|5\d\d)|timed out|Connection|Temporary failure|resolve|bytes read|"
        r"Unable to download (API page|webpage|video|JSON)|Downloaded \d+ bytes, expected|Remote end closed",
    ),
)
#: reason -> names of yt-dlp's classes, asked in this order before any sentence
CLASSES: tuple[tuple[str, tuple[str, ...]], ...] = (("geo_blocked", ("GeoRestrictedError",)),)
#: the same, asked when no sentence is known
LATE_CLASSES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("network", ("TransportError", "IncompleteRead", "ContentTooShortError", "ThrottledDownload")),
    ("no_source", ("UnsupportedError",)),
)
#: a full disk is nothing that a clip can help
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised for: by ``raise from``, or kept in yt-dlp's `exc_info` and `cause`."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        kept = getattr(one, "exc_info", None)
        inner = [kept[1] if kept else None, getattr(one, "cause", None), one.__cause__, one.__context__]
        waiting += [other for other in inner if isinstance(other, BaseException)]


def classify(error: BaseException) -> str:
    """Reason of :data:`cafa.common.ledger.REASONS` for an error that yt-dlp raised.

    Raises
    ------
    OSError
        If the disk is full or cannot be written.
    """
    errors = list(chain(error))
    for one in errors:
        if isinstance(one, OSError) and one.errno in _DISK:
            raise one
    return (
        _by_class(errors, CLASSES)
        or _by_sentence(" | ".join(map(str, errors)))
        or _by_class(errors, LATE_CLASSES)
        or ("network" if any(isinstance(one, (TimeoutError, ConnectionError)) for one in errors) else "unknown")
    )


def _by_class(errors: list[BaseException], rules: tuple[tuple[str, tuple[str, ...]], ...]) -> str | None:
    names = {base.__name__ for one in errors for base in type(one).__mro__}
    return next((reason for reason, known in rules if names & set(known)), None)


def _by_sentence(text: str) -> str | None:
    return next((reason for reason, pattern in SENTENCES if re.search(pattern, text, re.IGNORECASE)), None)
