"""Encoding a shard: every clip is accounted for, nothing is encoded twice, and the files are the same bytes."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cafa.common.errors import ClipError, FolderInUseError, InputError
from cafa.common.files import sha256_file
from cafa.common.ledger import ledger_row, read_ledgers, write_ledger
from cafa.common.resume import VARIABLE, ChangedError
from cafa.features.encode import EncodeSettings, Encoding, Encodings, encode_shard
from cafa.features.partial_output import ResumableWriter
from cafa.features.store import FeatureFormat, FeatureStore
from cafa.features.verify import verify_features
from cafa.media.clip_reading import IngestedClip
from tests.two_runs import another_writer

SHAPES = {"left": (3, 4), "right": (2,)}


def values(clip: IngestedClip) -> np.ndarray:
    return np.random.default_rng(sum(map(ord, clip.video_sha256))).normal(size=12).reshape(3, 4)


def read(clip: IngestedClip) -> np.ndarray:
    if clip.clip_id.startswith("bad"):
        raise ClipError("truncated", "cut")
    if clip.clip_id.startswith("away"):
        raise ClipError("missing_file", "not yet there")
    if clip.clip_id.startswith("kills"):
        os.kill(os.getpid(), signal.SIGKILL)
    return values(clip)


class Counting:
    """Encoder that says which clips it was given, and may stop."""

    def __init__(self, stop_after: int | None = None, weights: str = "w", **settings: object) -> None:
        self.seen: list[str] = []
        self.stop_after = stop_after
        forms = {
            kind: FeatureFormat(kind, shape, "float16", {"weights": weights}, settings)
            for kind, shape in SHAPES.items()
        }
        self.encodings = [
            Encoding("features test", forms, {"left": "video_sha256", "right": "sound_sha256"}, read, self.encode)
        ]

    def encode(self, clips: list[IngestedClip], given: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
        if self.stop_after is not None and len(self.seen) >= self.stop_after:
            raise KeyboardInterrupt
        self.seen += [clip.clip_id for clip in clips]
        return [
            {"left": array * (np.inf if clip.clip_id.startswith("odd") else 1), "right": array[0, :2]}
            for clip, array in zip(clips, given, strict=True)
        ]


@pytest.fixture
def shard(tmp_path: Path) -> Callable[..., dict[str, int]]:
    """Function that encodes clips of the given names, whose files have the given digests."""

    def run(names: dict[str, str], encoder: "Counting | Apart", where: str = "a", **options: object) -> dict[str, int]:
        rows = [
            ledger_row(name, "ingest", "corrupt", "no")
            if name.startswith("refused")
            else ledger_row(
                name, "ingest", detail=json.dumps({"seconds": 1, "video_sha256": digest, "sound_sha256": f"s{digest}"})
            )
            for name, digest in names.items()
        ]
        write_ledger(tmp_path / "ingest.parquet", rows)
        others = {name: options.pop(name) for name in ("reuse", "alike", "keep_rows") if name in options}
        return encode_shard(
            encoder.encodings,
            pd.DataFrame({"clip_id": list(names)}),
            tmp_path / "ingest.parquet",
            (0, 1),
            {kind: tmp_path / where / f"{kind}.arrow" for kind in SHAPES},
            tmp_path / where / "ledger.parquet",
            settings=EncodeSettings(**{"workers": 0, "batch_size": 2, **options}),
            **others,
        )

    return run


NAMES = {name: name for name in ("c1", "bad", "c3", "refused", "c2", "c5", "c4", "away", "odd")}


def contents(folder: Path) -> list[bytes]:
    return [(folder / f"{kind}.arrow").read_bytes() for kind in SHAPES]


def test_every_clip_is_accounted_for(shard: Callable, tmp_path: Path) -> None:
    counts = shard(NAMES, encoder := Counting())
    assert counts == {"missing_feature": 1, "missing_file": 1, "not_finite": 1, "ok": 5, "truncated": 1, "reused": 0}
    ledger = read_ledgers([tmp_path / "a" / "ledger.parquet"]).set_index("clip_id")
    assert ledger["status"].to_dict() == {
        **dict.fromkeys(("c1", "c2", "c3", "c4", "c5"), "ok"),
        "bad": "truncated",
        "refused": "missing_feature",
        "away": "missing_file",
        "odd": "not_finite",
    }
    assert ledger.at["refused", "detail"] == "ingest: corrupt"
    assert "not finite in float16" in ledger.at["odd", "detail"]
    left, right = (FeatureStore([tmp_path / "a" / f"{kind}.arrow"]) for kind in SHAPES)
    assert left.clip_ids == right.clip_ids == ["c1", "c2", "c3", "c4", "c5"]
    assert np.array_equal(left["c4"], values(IngestedClip("c4", 1, "c4", "")).astype(np.float16))
    assert np.array_equal(right["c4"], left["c4"][0, :2])
    assert (left.source_of("c1"), right.source_of("c1")) == ("c1", "sc1")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["ledger.parquet", "left.arrow", "right.arrow"]
    assert sorted(encoder.seen) == ["c1", "c2", "c3", "c4", "c5", "odd"]


def test_workers_and_batches_change_nothing(shard: Callable, tmp_path: Path) -> None:
    counts = shard(NAMES, Counting(), "a")
    assert shard(NAMES, Counting(), "b", workers=2, batch_size=3) == counts
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_clip_that_kills_its_worker_costs_only_itself(shard: Callable, tmp_path: Path) -> None:
    counts = shard({**NAMES, "kills": "kills"}, Counting(), workers=2)
    assert (counts["ok"], counts["unreadable"]) == (5, 1)
    ledger = read_ledgers([tmp_path / "a" / "ledger.parquet"]).set_index("clip_id")
    assert ledger.at["kills", "detail"] == "the process that read it died (exit code -9)"
    assert ledger.at["kills", "retriable"]


@pytest.mark.parametrize("stop_after", [0, 1, 2, 4])
def test_an_interrupted_job_continues(shard: Callable, tmp_path: Path, stop_after: int) -> None:
    shard(NAMES, Counting(), "whole")
    with pytest.raises(KeyboardInterrupt):
        shard(NAMES, first := Counting(stop_after), batch_size=1)
    assert not list((tmp_path / "a").glob("*.arrow"))
    rows = next((tmp_path / "a").glob(".left.unfinished")) / "left.rows"
    rows.write_bytes(rows.read_bytes() + b"half a row that was never noted")
    shard(NAMES, second := Counting())
    assert sorted(first.seen + second.seen) == ["c1", "c2", "c3", "c4", "c5", "odd"]
    assert contents(tmp_path / "a") == contents(tmp_path / "whole")
    shard(NAMES, third := Counting())  # killed before its success was noted: what stands is taken over
    assert third.seen == ["odd"]
    assert contents(tmp_path / "a") == contents(tmp_path / "whole")


def test_rows_lost_by_the_disk_are_made_again(shard: Callable, tmp_path: Path) -> None:
    shard(NAMES, Counting(), "whole")
    with pytest.raises(KeyboardInterrupt):
        shard(NAMES, Counting(3), batch_size=1)
    rows = tmp_path / "a" / ".left.unfinished" / "left.rows"
    rows.write_bytes(rows.read_bytes()[:-1])
    shard(NAMES, second := Counting())
    assert len(second.seen) == 4
    assert contents(tmp_path / "a") == contents(tmp_path / "whole")


def test_changes_begin_anew_where_they_matter(shard: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name: name for name in ("c1", "c2", "c3")}
    shard(names, Counting())
    shard({**names, "c2": "other bytes"}, encoder := Counting())
    assert encoder.seen == ["c2"]
    assert FeatureStore([tmp_path / "a" / "left.arrow"]).source_of("c2") == "other bytes"
    for changed in (Counting(weights="others"), Counting(seconds=8)):
        finished = (tmp_path / "a" / "left.arrow").read_bytes()
        monkeypatch.setenv(VARIABLE, "stop")
        with pytest.raises(ChangedError, match="3 clips, finished"):
            shard(names, changed)
        assert (tmp_path / "a" / "left.arrow").read_bytes() == finished
        assert changed.seen == []
        monkeypatch.setenv(VARIABLE, "restart")
        shard(names, changed)
        assert sorted(changed.seen) == ["c1", "c2", "c3"]


def test_rows_are_reused_between_runs(shard: Callable, tmp_path: Path) -> None:
    names = {name: name for name in ("c1", "c2", "c3")}
    shard(names, Counting(), "old")
    counts = shard({**names, "c3": "changed", "c4": "c4"}, encoder := Counting(), "new", reuse=[tmp_path / "old"])
    assert sorted(encoder.seen) == ["c3", "c4"]
    assert counts == {"ok": 4, "reused": 2}
    shard({**names, "c3": "changed", "c4": "c4"}, Counting(), "alone")
    assert contents(tmp_path / "new") == contents(tmp_path / "alone")
    shard(names, others := Counting(weights="others"), "others", reuse=[tmp_path / "old"])
    assert len(others.seen) == 3
    with pytest.raises(InputError, match="nothing to reuse at"):
        shard(names, Counting(), "x", reuse=[tmp_path / "none"])


def test_a_killed_process_leaves_what_it_has_encoded(tmp_path: Path) -> None:
    script = tmp_path / "job.py"
    script.write_text(
        "import os, signal\n"
        "from pathlib import Path\n"
        "from cafa.features.partial_output import EncodedClip, ResumableWriter\n"
        "from cafa.features.store import FeatureFormat\n"
        "form = FeatureFormat('left', (4,), 'float16', {})\n"
        "with ResumableWriter(Path('left.arrow'), {'left': form}) as job:\n"
        "    for number in range(3):\n"
        "        rows = {'left': form.pack('c', [number] * 4)}\n"
        "        job.add([EncodedClip(f'c{number}', {'left': 'x'}, rows=rows)])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, str(script)], cwd=tmp_path).returncode == -signal.SIGKILL
    with ResumableWriter(tmp_path / "left.arrow", {"left": FeatureFormat("left", (4,), "float16", {})}) as job:
        job.write({"left": tmp_path / "left.arrow"}, ["c0", "c1", "c2"])
    assert FeatureStore([tmp_path / "left.arrow"])["c2"].tolist() == [2, 2, 2, 2]


@pytest.fixture
def verified(shard: Callable, tmp_path: Path) -> Callable[..., list[str]]:
    """Function that verifies the files of one kind and returns the faults."""
    shard(NAMES, Counting())

    def faults(**options: object) -> list[str]:
        given = {"ledgers": [tmp_path / "a" / "ledger.parquet"], "asked": list(NAMES), **options}
        return verify_features([tmp_path / "a" / "left.arrow"], **given).faults

    return faults


def test_verify_finds_what_is_wrong(verified: Callable, shard: Callable, tmp_path: Path) -> None:
    path = tmp_path / "a" / "left.arrow"
    assert verified() == []
    assert verified(asked=[*NAMES, "new"]) == ["clip new of the manifest has no row in the ledgers"]
    assert verified(asked=["c1"], ledgers=[]) == []
    assert verified(asked=["c9"], ledgers=[]) == ["clip c9 of the manifest is in no file"]
    twice = [tmp_path / "a" / "ledger.parquet"] * 2
    assert "clip c1 has 2 rows in the ledgers" in verified(ledgers=twice)
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[good.index(values(IngestedClip("", 1, "c3", "")).astype(np.float16).tobytes()) + 5] ^= 1
    path.write_bytes(flipped)
    assert verified() == [f"{path}: clip c3: its array is not the one that was written"]
    path.write_bytes(good[: len(good) // 2])
    assert "not a feature file" in verified()[0]
    shard({"c1": "c1"}, Counting(weights="others"), "b")
    path.write_bytes(good)
    report = verify_features([path, tmp_path / "b" / "left.arrow"])
    assert len(report.lines) == 2
    assert report.faults == [
        f"{tmp_path / 'b' / 'left.arrow'} was made by another encoder than {path}",
        "clip c1 is in the files 2 times",
    ]


def test_verify_compares_the_clips(shard: Callable, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("c1", "c2"):
        (tmp_path / "clips" / f"{name}.mp4").write_bytes(name.encode())
    digests = {name: sha256_file(tmp_path / "clips" / f"{name}.mp4") for name in ("c1", "c2")}
    shard(digests, Counting())
    path = tmp_path / "a" / "left.arrow"
    assert verify_features([path], clips=tmp_path / "clips").faults == []
    (tmp_path / "clips" / "c1.mp4").write_bytes(b"changed")
    (tmp_path / "clips" / "c2.mp4").unlink()
    assert verify_features([path], clips=tmp_path / "clips").faults == [
        f"{path}: clip c1: it was made from another file than the clip's",
        f"{path}: clip c2: the normalised clip is not there",
    ]


def test_features_that_another_run_writes_are_refused(shard: Callable, tmp_path: Path) -> None:
    for name in ("left.arrow", "ledger.parquet"):
        with another_writer(file=tmp_path / "a" / name), pytest.raises(FolderInUseError, match="another run writes to"):
            shard(NAMES, Counting())
    assert shard(NAMES, Counting())["ok"] > 0


def test_rows_of_an_encoder_that_is_the_same_are_copied(shard: Callable, tmp_path: Path) -> None:
    shard(NAMES, Counting(weights="first"), "a")
    assert shard(NAMES, Counting(weights="second"), "b", reuse=[tmp_path / "a"])["reused"] == 0
    alike = {kind: [{"weights": "first"}] for kind in SHAPES}
    counts = shard(NAMES, encoder := Counting(weights="second"), "c", reuse=[tmp_path / "a"], alike=alike)
    assert (counts["reused"], encoder.seen) == (5, ["odd"])
    assert contents(tmp_path / "c") == contents(tmp_path / "b")  # stamped with its own encoder
    other = Counting(weights="second", seconds=3)
    assert shard(NAMES, other, "d", reuse=[tmp_path / "a"], alike=alike)["reused"] == 0  # other settings


class Apart:
    """Two encoders in one job, one of `left` and one of `right`, that say which clips they were given."""

    def __init__(self, stop_after: int | None = None, right: str = "w") -> None:
        self.seen: dict[str, list[str]] = {kind: [] for kind in SHAPES}
        self.both = Counting(stop_after)
        self.encodings = []
        for kind, source in (("left", "video_sha256"), ("right", "sound_sha256")):
            form = FeatureFormat(kind, SHAPES[kind], "float16", {"weights": right if kind == "right" else "w"})
            self.encodings.append(
                Encoding(f"features {kind}", {kind: form}, {kind: source}, read, partial(self.encode, kind))
            )

    def encode(self, kind: str, clips: list[IngestedClip], given: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
        encoded = [{kind: arrays[kind]} for arrays in self.both.encode(clips, given)]
        self.seen[kind] += [clip.clip_id for clip in clips]
        return encoded


def test_kinds_with_an_encoder_each_are_one_job(shard: Callable, tmp_path: Path) -> None:
    counts = shard(NAMES, Counting(), "whole")
    with pytest.raises(KeyboardInterrupt):
        shard(NAMES, first := Apart(stop_after=4), batch_size=1)
    assert shard(NAMES, second := Apart(), batch_size=1) == counts
    for kind in SHAPES:  # no clip twice; what was kept is whole clips
        assert sorted(first.seen[kind] + second.seen[kind]) == ["c1", "c2", "c3", "c4", "c5", "odd"]
    assert contents(tmp_path / "a") == contents(tmp_path / "whole")
    ledger = read_ledgers([tmp_path / "a" / "ledger.parquet"]).set_index("clip_id")
    assert set(ledger["stage"]) == {"features left, right"}
    # The encoder of `right` gave numbers: the clip is refused all the same, for the kind that is named.
    assert ledger.at["odd", "status"] == "not_finite"
    assert ledger.at["odd", "detail"].startswith("left: 12 of 12 values")
    assert "odd" not in FeatureStore([tmp_path / "a" / "right.arrow"])


def test_rows_of_one_kind_are_copied(shard: Callable, tmp_path: Path) -> None:
    shard(NAMES, Apart(), "a")
    counts = shard(NAMES, third := Apart(right="others"), "b", reuse=[tmp_path / "a"])
    assert (counts["reused"], counts["reused left"]) == (0, 5)
    assert third.seen == {"left": ["odd"], "right": ["c1", "c2", "c3", "c4", "c5", "odd"]}
    assert (tmp_path / "b" / "left.arrow").read_bytes() == (tmp_path / "a" / "left.arrow").read_bytes()
    # Other bytes of a clip: both kinds anew.
    shard({**NAMES, "c2": "other"}, fourth := Apart(right="others"), "c", reuse=[tmp_path / "b"])
    assert fourth.seen == {"left": ["c2", "odd"], "right": ["c2", "odd"]}
    with pytest.raises(InputError, match="a job makes every kind once, and at least one; asked for left, left"):
        Encodings(third.encodings[:1] * 2)


def test_kept_rows_outlive_the_files(shard: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard(NAMES, Apart(), keep_rows=True)
    before = contents(tmp_path / "a")
    for kind in SHAPES:
        assert (tmp_path / "a" / f".{kind}.kept").samefile(tmp_path / "a" / f"{kind}.arrow")  # no byte more on disk
        (tmp_path / "a" / f"{kind}.arrow").unlink()
    counts = shard(NAMES, Apart(), keep_rows=True)
    assert (counts["reused"], contents(tmp_path / "a")) == (5, before)
    (tmp_path / "a" / "right.arrow").unlink()
    monkeypatch.setenv(VARIABLE, "stop")
    assert shard(NAMES, Apart(right="others"), keep_rows=True)["reused left"] == 5  # nobody is asked
    monkeypatch.setattr(os, "link", no_links)
    shard(NAMES, Apart(right="others"), "b", keep_rows=True)
    assert not list((tmp_path / "b").glob("*.kept"))


def no_links(*_: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")
