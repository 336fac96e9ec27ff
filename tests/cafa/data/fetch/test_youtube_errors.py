"""What yt-dlp's errors mean, raised by its own classes with its own and YouTube's words."""

import errno
import io

import pytest

from cafa.common.ledger import REASONS
from cafa.data.fetch.youtube_errors import classify

utils = pytest.importorskip("yt_dlp.utils")
networking = pytest.importorskip("yt_dlp.networking")
exceptions = pytest.importorskip("yt_dlp.networking.exceptions")

LOGIN = "Use --cookies-from-browser or --cookies for the authentication."
RATE = (
    "Video unavailable. This content isn't available, try again later. The current session has been rate-limited by "
    "YouTube for up to an hour. It is recommended to use `-t sleep` to add a delay between video requests"
)


def http_error(status: int) -> Exception:
    return exceptions.HTTPError(networking.Response(io.BytesIO(), "https://www.youtube.com", {}, status=status))


def as_raised(error: Exception) -> Exception:
    """As `YoutubeDL.extract_info` raises it: wrapped, the original kept in `exc_info`."""
    return utils.DownloadError(f"ERROR: {error}", (type(error), error, None))


def extractor(text: str, expected: bool = True, cause: Exception | None = None) -> Exception:
    return utils.ExtractorError(text, expected=expected, cause=cause, video_id="abcdefghijk", ie="youtube")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"Private video. Sign in if you've been granted access to this video. {LOGIN}", "private"),
        ("Video unavailable. This video is private", "private"),
        ("Video unavailable", "unavailable"),
        ("Video unavailable. This video is not available", "unavailable"),
        ("This video is unavailable", "unavailable"),
        ("Video unavailable. This video has been removed by the uploader", "removed"),
        ("This video has been removed for violating YouTube's Terms of Service", "removed"),
        ("This video has been removed for violating YouTube's policy on nudity or sexual content", "removed"),
        (
            "Video unavailable. This video is no longer available because the YouTube account associated with this "
            "video has been terminated.",
            "account_terminated",
        ),
        (
            "Video unavailable. This video is no longer available because the uploader has closed their YouTube "
            "account.",
            "account_terminated",
        ),
        (
            "Video unavailable. This video is no longer available due to a copyright claim by Somebody",
            "copyright",
        ),
        ("Video unavailable. This video contains content from X, who has blocked it in your country", "geo_blocked"),
        ("Join this channel to get access to members-only content like this video", "members_only"),
        ("This video is available to this channel's members on level: A (or any higher level)", "members_only"),
        (f"Sign in to confirm your age. This video may be inappropriate for some users. {LOGIN}", "age_restricted"),
        (f"Sign in to confirm you’re not a bot. {LOGIN}", "bot_check"),
        (f"Please sign in. {LOGIN}", "bot_check"),
        ("Watch on. YouTube is requiring a captcha challenge before playback", "bot_check"),
        ("All player responses are invalid. Your IP is likely being blocked by Youtube", "bot_check"),
        (RATE, "rate_limited"),
        ("Requested format is not available. Use --list-formats for a list of available formats", "no_formats"),
        ("No video formats found!", "no_formats"),
        ("ffmpeg exited with code 1", "no_formats"),
        ("Something that nobody has seen before", "unknown"),
    ],
)
def test_sentences(text: str, reason: str) -> None:
    assert classify(as_raised(extractor(text))) == reason
    assert classify(extractor(text, expected=False)) == reason  # with yt-dlp's request to report a bug


def test_classes() -> None:
    country = "The uploader has not made this video available in your country"
    assert classify(as_raised(utils.GeoRestrictedError(country, countries=["DE"]))) == "geo_blocked"
    assert classify(as_raised(utils.GeoRestrictedError("Not for you"))) == "geo_blocked"
    unresolved = exceptions.TransportError("Failed to resolve 'www.youtube.com'")
    page = extractor("Unable to download API page", cause=unresolved)
    assert classify(as_raised(page)) == "network"
    assert classify(exceptions.TransportError("odd")) == "network"
    assert classify(exceptions.IncompleteRead(partial=10, expected=20)) == "network"
    assert classify(utils.ContentTooShortError(10, 20)) == "network"
    assert classify(as_raised(extractor("odd", cause=TimeoutError()))) == "network"
    assert classify(utils.UnsupportedError("https://example.org")) == "no_source"
    assert classify(utils.UnavailableVideoError("odd")) == "network"  # "Unable to download video"
    assert classify(utils.PostProcessingError("Conversion failed!")) == "unknown"
    assert classify(utils.DownloadCancelled()) == "unknown"
    assert classify(KeyError("videoDetails")) == "unknown"


@pytest.mark.parametrize(
    ("status", "reason"),
    [(429, "rate_limited"), (403, "network"), (500, "network"), (503, "network"), (404, "unknown")],
)
def test_http(status: int, reason: str) -> None:
    error = http_error(status)
    assert classify(as_raised(extractor("Unable to download", cause=error))) == reason
    assert classify(as_raised(error)) == reason


def test_a_full_disk_is_nobodys_fault() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="No space left"):
        classify(as_raised(full))
    assert classify(as_raised(OSError(errno.ECONNRESET, "reset"))) in REASONS
