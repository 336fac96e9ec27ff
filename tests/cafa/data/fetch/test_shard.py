"""A shard is fetched: every clip ends somewhere, nothing is downloaded twice, a retry asks for what was asked."""

import json
import signal
import subprocess
import sys
import time as real_time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from cafa.cli import cli
from cafa.common.errors import InputError
from cafa.common.ledger import class_of, ledger_row, read_ledgers, write_ledger
from cafa.data.fetch.fetch_journal import ask_again, journal_of, request_of
from cafa.data.fetch.fetched_table import read_fetched
from cafa.data.fetch.rate_limit import FetchStoppedError
from cafa.data.fetch.settings import FetchSettings
from cafa.data.fetch.shard import fetch_shard
from tests.cafa.data.fetch.conftest import Mirror, StandIn, Time, manifest_of

PATIENCE = {"attempts": 2, "first_wait_seconds": 0.0}


class Job:
    """One shard with a folder, a mirror and YouTube."""

    def __init__(self, tmp_path: Path, mirror: Mirror, stand_in: StandIn, time: Time) -> None:
        self.path, self.mirror, self.stand_in, self.time = tmp_path, mirror, stand_in, time
        self.ledger = tmp_path / "fetched" / "0.ledger.parquet"
        (tmp_path / "lab").mkdir()
        self.sources: list[dict[str, Any]] = [
            {"kind": "folder", "root": str(tmp_path / "lab")},
            {"kind": "mirror", "url": f"{mirror.url}/{{clip_id}}.mp4", "http": PATIENCE},
            {"kind": "youtube"},
        ]
        self.politeness = {"interval_seconds": 0.0, "bot_checks": 3}
        self.concurrency = 1

    def run(self, manifest: pd.DataFrame) -> dict[str, str]:
        """Statuses by video, of a run."""
        settings = {"sources": self.sources, "politeness": self.politeness, "concurrency": self.concurrency}
        fetch_shard(
            manifest,
            FetchSettings.model_validate(settings),
            shard=0,
            shards=1,
            folder=self.path / "raw",
            output=self.path / "fetched" / "0.parquet",
            ledger=self.ledger,
            downloader=(self.stand_in.open, "yt-dlp 0"),
            sleep=self.time.sleep,
            clock=self.time.clock,
        )
        rows = self.rows()
        assert list(rows["clip_id"]) == list(manifest["clip_id"])
        fetched = self.fetched()
        assert list(fetched["clip_id"]) == list(rows.loc[rows["status"] == "ok", "clip_id"])
        assert all(Path(path).is_absolute() and Path(path).is_file() for path in fetched["path"])
        return {clip_id[:11]: status for clip_id, status in zip(rows["clip_id"], rows["status"], strict=True)}

    def rows(self) -> pd.DataFrame:
        return read_ledgers([self.ledger])

    def fetched(self) -> pd.DataFrame:
        return read_fetched(self.path / "fetched" / "0.parquet")

    def asked(self) -> tuple[int, int]:
        return len(self.mirror.answers), len(self.stand_in.asked)


@pytest.fixture
def job(tmp_path: Path, mirror: Mirror, stand_in: StandIn, time: Time) -> Job:
    return Job(tmp_path, mirror, stand_in, time)


def name(word: str) -> str:
    return f"{word:_<11}"[:11]


def test_sources_in_order(job: Job) -> None:
    words = [name(word) for word in ("lab", "mirror", "youtube")]
    (job.path / "lab" / f"{words[0]}_000030.mp4").write_bytes(b"lab")
    for word in words[:2]:
        job.mirror.files[f"/{word}_000030.mp4"] = b"mirror"
    assert set(job.run(manifest_of(*words)).values()) == {"ok"}
    fetched = job.fetched()
    assert list(fetched["source"]) == ["folder", "mirror", "youtube"]
    assert [Path(path).read_bytes() for path in fetched["path"]] == [b"lab", b"mirror", b"media of youtube____"]
    assert list(fetched["start"]) == [0.0, 0.0, 0.0]
    assert list(fetched["sha256"].isna()) == [True, False, False]
    assert Path(fetched["path"][2]).parent.parent == job.path / "raw"
    assert not list((job.path / "raw" / ".work").iterdir())
    assert json.loads(job.rows()["detail"][1])["bytes"] == 6
    assert job.asked() == (2, 1)  # the folder's clip was asked of nobody, the mirror's not of YouTube


OUTCOMES = [
    # the mirror's mood, YouTube's answer, what the clip ends as, its class
    ("", b"media", "ok", "ok"),
    ("", "Private video", "private", "gone"),
    ("", "Video unavailable", "unavailable", "gone"),
    ("", "This video has been removed by the uploader", "removed", "gone"),
    ("", "no longer available due to a copyright claim", "copyright", "gone"),
    ("", "not made this video available in your country", "geo_blocked", "not_for_us"),
    ("", "Join this channel to get access to members-only content", "members_only", "not_for_us"),
    ("", "Sign in to confirm your age", "age_restricted", "not_for_us"),
    ("", "HTTP Error 503: Service Unavailable", "network", "retry"),
    ("", "Requested format is not available", "no_formats", "retry"),
    ("", "rate-limited by YouTube for up to an hour", "rate_limited", "retry"),
    ("", "Sign in to confirm you're not a bot", "bot_check", "retry"),
    ("", "never seen before", "unknown", "unknown"),
    ("status 403", "Video unavailable", "forbidden", "not_for_us"),
    ("status 500", "Video unavailable", "network", "retry"),
    ("status 429", "Video unavailable", "rate_limited", "retry"),
    ("cut 3", b"media", "ok", "ok"),
    ("page", "Video unavailable", "unknown", "unknown"),
]


def test_every_outcome_has_its_class(job: Job) -> None:
    words = [name(f"v{k}") for k in range(len(OUTCOMES))]
    for word, (mood, answer, _, _) in zip(words, OUTCOMES, strict=True):
        if mood:
            job.mirror.files[f"/{word}_000030.mp4"] = b"from the mirror"
            job.mirror.moods[f"/{word}_000030.mp4"] = [mood] * 2 if "status" in mood or mood == "page" else [mood]
        job.stand_in.acts[word] = [RuntimeError(answer) if isinstance(answer, str) else answer]
    found = job.run(manifest_of(*words))
    assert found == {word: status for word, (_, _, status, _) in zip(words, OUTCOMES, strict=True)}
    rows = job.rows().set_index("clip_id")
    for word, (_, answer, status, kind) in zip(words, OUTCOMES, strict=True):
        assert class_of(status) == kind
        row = rows.loc[f"{word}_000030"]
        assert row["retriable"] == (kind in ("retry", "unknown"))
        if isinstance(answer, str):
            assert answer in row["detail"]  # the raw text is kept
            assert "folder: missing_file" in row["detail"]


def test_a_restart_asks_for_nothing_twice(job: Job) -> None:
    words = [name(f"v{k}") for k in range(6)]
    manifest = manifest_of(*words)
    job.mirror.files[f"/{words[0]}_000030.mp4"] = b"mirror"
    job.stand_in.acts[words[1]] = [RuntimeError("Private video")]
    job.stand_in.acts[words[2]] = [RuntimeError("HTTP Error 503"), b"late"]
    job.stand_in.acts[words[3]] = [RuntimeError("rate-limited by YouTube"), RuntimeError("Video unavailable")]
    job.concurrency = 4
    first = job.run(manifest)
    assert [first[word] for word in words] == ["ok", "private", "network", "rate_limited", "ok", "ok"]
    before = job.asked()
    job.ledger.unlink()  # as the workflow does before it runs a job again
    second = job.run(manifest)
    assert [second[word] for word in words] == ["ok", "private", "ok", "unavailable", "ok", "ok"]
    assert sorted(job.stand_in.asked[before[1] :]) == sorted([words[2], words[3]])
    assert len(job.mirror.answers) == before[0] + 2
    before = job.asked()
    assert job.run(manifest) == second
    assert job.asked() == before
    # other manifest, other seconds, a file that is gone or changed: these are asked for
    assert job.run(manifest_of(*words, start=31.0))[words[4]] == "ok"
    assert len(job.stand_in.asked) > before[1]
    before = job.asked()
    job.run(manifest)
    asked = len(job.stand_in.asked)
    Path(job.fetched().set_index("clip_id")["path"][f"{words[4]}_000030"]).write_bytes(b"damaged")
    job.run(manifest)
    assert job.stand_in.asked[asked:] == [words[4]]
    assert Path(job.fetched().set_index("clip_id")["path"][f"{words[4]}_000030"]).read_bytes() != b"damaged"


def test_data_sets_share_downloads(job: Job) -> None:
    """VisualSound's clips are VGGSound's: another ledger, the same folder, nobody is asked."""
    words = [name("a"), name("b")]
    job.mirror.files[f"/{words[0]}_000030.mp4"] = b"mirror"
    job.sources[1]["whole"] = True
    job.run(manifest_of(*words))
    first, before = job.fetched(), job.asked()
    assert list(first["start"]) == [30.0, 0.0]
    job.ledger = job.path / "other" / "0.ledger.parquet"
    assert job.run(manifest_of(*words)) == dict.fromkeys(words, "ok")
    assert job.fetched().equals(first)
    assert job.asked() == before
    journal_of(job.ledger).unlink()
    del job.sources[1]  # what came from a source that is no longer wanted is not taken
    job.run(manifest_of(*words))
    assert list(job.fetched()["source"]) == ["youtube", "youtube"]
    assert job.asked() == (before[0], before[1] + 1)


def test_new_files_in_a_folder_are_found_though_the_web_said_gone(job: Job) -> None:
    word = name("gone")
    job.stand_in.acts[word] = [RuntimeError("Private video")]
    assert job.run(manifest_of(word)) == {word: "private"}
    (job.path / "lab" / f"{word}_000030.mp4").write_bytes(b"the lab had it")
    before = job.asked()
    assert job.run(manifest_of(word)) == {word: "ok"}
    assert job.asked() == before


def test_another_source_or_cookies_reopen_what_was_gone(job: Job) -> None:
    word = name("adults")
    job.stand_in.acts[word] = [RuntimeError("confirm your age")]
    job.run(manifest_of(word))
    job.politeness["interval_seconds"] = 1.0  # a new pace is no reason
    job.run(manifest_of(word))
    assert len(job.stand_in.asked) == 1
    (job.path / "cookies.txt").write_text("")
    job.sources[2]["cookies"] = str(job.path / "cookies.txt")
    job.stand_in.acts[word] = [b"media"]
    assert job.run(manifest_of(word)) == {word: "ok"}


def test_unknown_answers_are_given_up_after_days(job: Job) -> None:
    word = name("odd")
    job.stand_in.acts[word] = [RuntimeError("never seen before")]
    for _ in range(3):
        assert job.run(manifest_of(word)) == {word: "unknown"}  # thrice on one day is one day
    job.time.now += 86400.0
    assert job.run(manifest_of(word)) == {word: "unknown"}
    job.time.now += 86400.0
    assert job.run(manifest_of(word)) == {word: "gone_unverified"}
    assert job.rows()["detail"][0].startswith("asked on 2027-01-15, 2027-01-16, 2027-01-17; ")
    assert "never seen before" in job.rows()["detail"][0]
    asked = len(job.stand_in.asked)
    job.run(manifest_of(word))
    assert len(job.stand_in.asked) == asked


def test_bot_checks_stop_the_run_and_what_came_is_kept(job: Job) -> None:
    words = [name(f"v{k}") for k in range(12)]
    for word in words[4:]:
        job.stand_in.acts[word] = [RuntimeError("Sign in to confirm you're not a bot")]
    with pytest.raises(FetchStoppedError, match="3 bot checks or rate limits in a row"):
        job.run(manifest_of(*words))
    assert job.stand_in.asked == words[:7]
    assert not job.ledger.exists()
    with pytest.raises(FetchStoppedError, match="stopped until"):  # at once, and by any other job
        job.run(manifest_of(*words))
    assert len(job.stand_in.asked) == 7
    job.time.now += 3601.0
    for word in words[4:]:
        del job.stand_in.acts[word]
    assert set(job.run(manifest_of(*words)).values()) == {"ok"}
    assert job.stand_in.asked[7:] == words[4:]


def test_an_error_of_ours_is_not_swallowed(job: Job) -> None:
    words = [name(f"v{k}") for k in range(4)]
    job.concurrency = 2
    job.stand_in.acts[words[1]] = [OSError(28, "No space left on device")]
    with pytest.raises(OSError, match="No space left"):
        job.run(manifest_of(*words))
    del job.stand_in.acts[words[1]]
    job.run(manifest_of(*words))
    assert job.stand_in.asked.count(words[0]) == 1


def test_a_class_is_asked_for_again_on_request(job: Job) -> None:
    words = [name(word) for word in ("ok", "private", "blocked", "odd", "late")]
    answers = ["Private video", "in your country", "never seen before", "HTTP Error 503"]
    for word, answer in zip(words[1:], answers, strict=True):
        job.stand_in.acts[word] = [RuntimeError(answer)]
    job.run(manifest_of(*words))
    result = CliRunner().invoke(cli, ["ledger", "retry", "--class", "gone", str(job.ledger)], catch_exceptions=False)
    assert result.output.splitlines()[0] == f"{job.ledger}: 1 clips"
    assert json.loads(request_of(job.ledger).read_text())["clips"] == 1
    assert len(job.rows()) == 5  # the ledger stays until the clips are asked for again
    before = len(job.stand_in.asked)
    job.run(manifest_of(*words))
    assert job.stand_in.asked[before:] == [words[1], words[3], words[4]]  # unknown and retry always are
    assert ask_again([job.ledger], ["gone", "not_for_us"]) == {str(job.ledger): 2}
    before = len(job.stand_in.asked)
    job.stand_in.acts[words[1]] = [b"back"]
    assert job.run(manifest_of(*words))[words[1]] == "ok"
    assert job.stand_in.asked[before:] == words[1:]


def test_other_ledgers_are_not_retried(tmp_path: Path) -> None:
    write_ledger(tmp_path / "l.parquet", [ledger_row("a", "ingest", "corrupt")])
    with pytest.raises(InputError, match="is a ledger of ingest"):
        ask_again([tmp_path / "l.parquet"], ["gone"])
    with pytest.raises(InputError, match="a class must be one of gone"):
        ask_again([tmp_path / "l.parquet"], ["lost"])
    assert not journal_of(tmp_path / "l.parquet").exists()


def test_other_tables_are_no_fetched_clips(tmp_path: Path) -> None:
    write_ledger(tmp_path / "l.parquet", [])
    with pytest.raises(InputError, match="is not a table of fetched clips: columns"):
        read_fetched(tmp_path / "l.parquet")
    with pytest.raises(InputError, match="is not a table of fetched clips"):
        read_fetched(tmp_path / "none.parquet")


def test_a_killed_run_goes_on(tmp_path: Path, mirror: Mirror) -> None:
    """The real command, killed while a file comes: what came is not asked for again, the rest of the file is."""
    words = [name(f"v{k}") for k in range(4)]
    body = bytes(range(256)) * 8
    for word in words:
        mirror.files[f"/{word}_000030.mp4"] = body
    mirror.moods[f"/{words[2]}_000030.mp4"] = ["hold 700"]
    manifest_of(*words)[
        ["clip_id", "uri", "start", "duration", "label", "caption", "split", "licence", "line"]
    ].to_parquet(tmp_path / "m.parquet", index=False)
    settings = {"sources": [{"kind": "mirror", "url": f"{mirror.url}/{{clip_id}}.mp4"}], "concurrency": 1}
    command = [
        sys.executable,
        "-c",
        "from cafa.cli import main; main()",
        "fetch",
        "--manifest",
        str(tmp_path / "m.parquet"),
        "--settings",
        json.dumps(settings),
        "--folder",
        str(tmp_path / "raw"),
        "--output",
        str(tmp_path / "f.parquet"),
        "--ledger",
        str(tmp_path / "l.parquet"),
    ]
    process = subprocess.Popen(command)
    while not [part for part in (tmp_path / "raw").rglob(".*.mp4.part") if part.stat().st_size == 700]:
        assert process.poll() is None
        real_time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    mirror.release.set()
    assert not (tmp_path / "f.parquet").exists()
    before = len(mirror.answers)
    subprocess.run(command, check=True)
    assert len(read_fetched(tmp_path / "f.parquet")) == 4
    assert [(status, sent) for _, status, sent in mirror.answers[before:]] == [
        (206, len(body) - 700),
        (200, len(body)),
    ]
    assert all(Path(path).read_bytes() == body for path in read_fetched(tmp_path / "f.parquet")["path"])
