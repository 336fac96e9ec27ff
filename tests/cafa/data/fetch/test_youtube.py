"""YouTube: what yt-dlp is told, what is kept of its answers, and that it is told nothing twice."""

import shutil
import threading
from pathlib import Path

import av
import pytest

from cafa.common.errors import ClipError, InputError
from cafa.data.fetch.rate_limit import FetchStoppedError, RateLimiter
from cafa.data.fetch.settings import Politeness, YouTubeSource
from cafa.data.fetch.youtube import YouTube, yt_dlp_downloader
from tests.cafa.data.fetch.conftest import Mirror, StandIn, Time, clip


def source(tmp_path: Path, stand_in: StandIn, time: Time, maximum_bytes: int = 1000, **settings: object) -> YouTube:
    limiter = RateLimiter(tmp_path / "p.json", Politeness(interval_seconds=0.0, bot_checks=2), time.clock, time.sleep)
    folder = tmp_path / "50%" / "work"
    return YouTube(YouTubeSource(**settings), folder, limiter, maximum_bytes, (stand_in.open, "yt-dlp 0"))


def test_the_seconds_alone(tmp_path: Path, stand_in: StandIn, time: Time) -> None:
    youtube = source(tmp_path, stand_in, time)
    target = youtube.folder / "-bcdefghijk_000030.mp4"
    found = youtube.fetch(clip("-bcdefghijk"), target)
    assert (found.path, found.source, found.start) == (target, "youtube", 0.0)
    assert target.read_bytes() == b"media of -bcdefghijk"
    assert found.sha256
    (options,) = stand_in.options
    assert options["download_ranges"](None, None) == [{"start_time": 30.0, "end_time": 40.0}]
    assert options["force_keyframes_at_cuts"] is True
    assert options["format"] == "bv*[height<=360]+ba/b[height<=360]"
    assert "cookiefile" not in options
    assert "-bcdefghijk" not in options["outtmpl"]["default"]
    assert "50%%" in options["outtmpl"]["default"]
    assert [path.name for path in youtube.folder.iterdir()] == [target.name]


def test_a_clip_to_the_end_is_the_whole_video(tmp_path: Path, stand_in: StandIn, time: Time) -> None:
    youtube = source(tmp_path, stand_in, time, rate_bytes_per_second=None)
    assert youtube.fetch(clip(duration=None), youtube.folder / "x.mp4").start == 30.0
    assert "download_ranges" not in stand_in.options[0]
    assert "ratelimit" not in stand_in.options[0]


def test_yt_dlp_takes_the_options(tmp_path: Path, stand_in: StandIn, time: Time) -> None:
    yt_dlp = pytest.importorskip("yt_dlp")
    youtube = source(tmp_path, stand_in, time)
    youtube.fetch(clip(), youtube.folder / "x.mp4")
    with yt_dlp.YoutubeDL(stand_in.options[0]) as downloader:
        assert downloader.build_format_selector(downloader.params["format"])
        name = downloader.prepare_filename({"id": "abcdefghijk", "title": "../x", "ext": "mp4"})
    assert name.endswith("/clip.mp4")
    assert "/50%/" in name


def test_each_worker_has_cookies_of_its_own(tmp_path: Path, stand_in: StandIn, time: Time) -> None:
    (tmp_path / "cookies.txt").write_text("# Netscape\n")
    seen: list[Path] = []

    def use(options: dict) -> None:
        path = Path(options["cookiefile"])
        assert path.read_text() == "# Netscape\n" * (seen.count(path) + 1)
        path.write_text("# Netscape\n" * (seen.count(path) + 2))  # yt-dlp writes what the site sets
        seen.append(path)

    stand_in.during = use
    youtube = source(tmp_path, stand_in, time, cookies=tmp_path / "cookies.txt")
    for k in range(2):
        youtube.fetch(clip(), youtube.folder / f"{k}.mp4")
    thread = threading.Thread(target=youtube.fetch, args=(clip(), youtube.folder / "2.mp4"))
    thread.start()
    thread.join()
    assert seen[0] == seen[1] != seen[2]
    assert all(path.stat().st_mode & 0o077 == 0 for path in seen)
    assert (tmp_path / "cookies.txt").read_text() == "# Netscape\n"
    youtube.close()
    assert not any(path.exists() for path in seen)
    with pytest.raises(InputError, match="no cookies at"):
        source(tmp_path, stand_in, time, cookies=tmp_path / "none")


def test_answers_are_kept_word_for_word(tmp_path: Path, stand_in: StandIn, time: Time) -> None:
    stand_in.acts["abcdefghijk"] = [RuntimeError("Private video. Sign in")]
    stand_in.during = lambda options: options["logger"].warning("nsig extraction failed")
    youtube = source(tmp_path, stand_in, time)
    with pytest.raises(ClipError) as caught:
        youtube.fetch(clip(), youtube.folder / "x.mp4")
    assert caught.value.reason == "private"
    text = "RuntimeError: Private video. Sign in | WARNING: nsig extraction failed (yt-dlp 0)"
    assert caught.value.detail == text
    assert not list(youtube.folder.iterdir())


def test_nothing_left_empty_and_too_large(tmp_path: Path, stand_in: StandIn, time: Time) -> None:
    youtube = source(tmp_path, stand_in, time, maximum_bytes=10)
    with pytest.raises(ClipError, match="too_large: 20 bytes, at most 10"):
        youtube.fetch(clip(), youtube.folder / "x.mp4")
    stand_in.acts["abcdefghijk"] = [b""]
    with pytest.raises(ClipError, match=r"unknown: no error, but it left clip\.mp4"):
        youtube.fetch(clip(), youtube.folder / "x.mp4")


def test_bot_checks_in_a_row_stop(tmp_path: Path, stand_in: StandIn, time: Time) -> None:
    check = RuntimeError("Sign in to confirm you’re not a bot")
    stand_in.acts["abcdefghijk"] = [check, b"media", check]
    youtube = source(tmp_path, stand_in, time)
    for _ in range(2):
        with pytest.raises(ClipError, match="bot_check"):
            youtube.fetch(clip(), youtube.folder / "x.mp4")
        if stand_in.acts["abcdefghijk"][0] == b"media":
            youtube.fetch(clip(), youtube.folder / "x.mp4")
    with pytest.raises(FetchStoppedError, match="2 bot checks or rate limits in a row, the last: 'RuntimeError: Sign"):
        youtube.fetch(clip(), youtube.folder / "x.mp4")
    asked = len(stand_in.asked)
    with pytest.raises(FetchStoppedError):
        youtube.fetch(clip(), youtube.folder / "x.mp4")
    assert len(stand_in.asked) == asked  # nobody was asked


def test_other_sites(tmp_path: Path, stand_in: StandIn, time: Time) -> None:
    youtube = source(tmp_path, stand_in, time)
    with pytest.raises(ClipError, match="no_source"):
        youtube.fetch(clip(video_id=None, clip_id="x"), youtube.folder / "x.mp4")
    assert stand_in.asked == []


@pytest.mark.shared
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the program ffmpeg is not installed")
def test_the_real_yt_dlp_cuts_where_it_is_told(
    shared: Path, mirror: Mirror, tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our options, yt-dlp's own code, a video of the mirror instead of YouTube's."""
    yt_dlp = pytest.importorskip("yt_dlp")
    mirror.files["/v.mp4"] = (shared / "clips" / "groundtruth" / "ZYc410CE4Rg_000000.mp4").read_bytes()
    monkeypatch.setattr("cafa.data.fetch.youtube.video_url", lambda video_id: f"{mirror.url}/v.mp4")
    limiter = RateLimiter(tmp_path / "p.json", Politeness(interval_seconds=0.0), time.clock, time.sleep)
    settings = YouTubeSource(format="b", rate_bytes_per_second=None, sleep_requests_seconds=0.0)
    youtube = YouTube(settings, tmp_path / "50%", limiter, 10**9, (yt_dlp.YoutubeDL, "yt-dlp"))
    found = youtube.fetch(clip(start=2.0, duration=1.5), tmp_path / "x.mp4")
    with av.open(str(found.path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
        rate = float(container.streams.video[0].average_rate)
    assert found.start == 0.0
    assert times[0] == pytest.approx(0.0, abs=1 / rate)
    assert times[-1] == pytest.approx(1.5 - 1 / rate, abs=2 / rate)
    assert [path.name for path in youtube.folder.iterdir()] == []


def test_what_must_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, time: Time) -> None:
    pytest.importorskip("yt_dlp")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InputError, match="needs the program ffmpeg"):
        yt_dlp_downloader()
    youtube = YouTube(
        YouTubeSource(), tmp_path, RateLimiter(tmp_path / "p.json", Politeness(), time.clock, time.sleep), 10
    )
    with pytest.raises(InputError, match="needs the program ffmpeg"):  # when a clip is sought there, not before
        youtube.fetch(clip(), tmp_path / "clip.mp4")
    monkeypatch.setitem(__import__("sys").modules, "yt_dlp", None)
    with pytest.raises(InputError, match=r"pip install 'cafa\[full\]'"):
        yt_dlp_downloader()
