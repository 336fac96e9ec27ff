"""Ingest: every clip ends with a status, and an interrupted or repeated run does only what is left."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cafa.cli import cli
from cafa.common.errors import ClipError, InputError
from cafa.common.files import sha256_file
from cafa.common.ledger import ledger_row, read_ledgers, write_ledger
from cafa.common.shards import shard_of
from cafa.data import ingest
from cafa.data.fetch.fetched_table import write_fetched
from cafa.data.ingest import Fetched, RootFolder, ingest_shard
from cafa.data.manifest import build_manifest, read_manifest
from cafa.media.mux import put_sound_under_video
from cafa.media.normalise import NormaliseSettings

SETTINGS = NormaliseSettings(preset="ultrafast", short_side=32)


@pytest.fixture(scope="module")
def one_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of grey picture and quiet noise."""
    folder = tmp_path_factory.mktemp("clip")
    with av.open(str(folder / "silent.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((48, 48), 5 * index, np.uint8), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16000)
    put_sound_under_video(folder / "silent.mp4", noise, 16000, folder / "clip.mp4")
    return folder / "clip.mp4"


@pytest.fixture
def data_set(tmp_path: Path, one_clip: Path) -> Callable[[dict[str, bytes | None]], pd.DataFrame]:
    """Function that makes a folder of files (None: none) and returns their manifest."""

    def make(files: dict[str, bytes | None]) -> pd.DataFrame:
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        for clip_id, data in files.items():
            if data is not None and not (root / f"{clip_id}.mp4").exists():
                (root / f"{clip_id}.mp4").write_bytes(data)
        rows = "".join(f"{clip_id},{clip_id}.mp4,0.8,dog\n" for clip_id in files)
        (tmp_path / "clips.csv").write_text(f"clip_id,uri,duration,label\n{rows}")
        build_manifest(tmp_path / "clips.csv", root, tmp_path / "m.parquet", tmp_path / "refused.parquet")
        return read_manifest(tmp_path / "m.parquet")

    return make


def run(manifest: pd.DataFrame, tmp_path: Path, shard: int = 0, shards: int = 1, **settings: object) -> pd.DataFrame:
    """Ingest a shard and return its ledger."""
    output = tmp_path / "clips" / str(shard)
    counts = ingest_shard(
        manifest,
        RootFolder(tmp_path / "root"),
        shard=shard,
        shards=shards,
        settings=SETTINGS.model_copy(update=settings),
        output_folder=output,
        ledger=output.with_name(f"{shard}.ledger.parquet"),
    )
    ledger = read_ledgers([output.with_name(f"{shard}.ledger.parquet")])
    assert ledger["status"].value_counts().to_dict() == counts
    return ledger


@pytest.fixture
def normalised(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the source files that were really normalised."""
    names: list[str] = []
    real = ingest.normalise_clip

    def spy(source: Path, **options: object) -> dict:
        names.append(source.stem)
        return real(source, **options)

    monkeypatch.setattr(ingest, "normalise_clip", spy)
    return names


def test_every_clip_has_a_row(data_set: Callable, one_clip: Path, tmp_path: Path) -> None:
    good = one_clip.read_bytes()
    files = {"a": good, "b": b"text\n", "c": None, "d": good[: len(good) // 2], "e": b"", "f": good}
    ledger = run(data_set(files), tmp_path).set_index("clip_id")
    assert ledger["status"].to_dict() == {
        "a": "ok",
        "b": "not_media",
        "c": "missing_file",
        "d": "truncated",
        "e": "empty_file",
        "f": "ok",
    }
    assert ledger["retriable"].to_dict() == {**dict.fromkeys("abdef", False), "c": True}
    assert list(ledger["line"]) == [2, 3, 4, 5, 6, 7]
    facts = json.loads(ledger.at["a", "detail"])
    assert (facts["seconds"], facts["width"], facts["height"], facts["sample_rate"]) == (0.8, 48, 32, 16000)
    assert facts["video_sha256"] == sha256_file(tmp_path / "clips" / "0" / "a.mp4")
    assert facts["sound_sha256"] == sha256_file(tmp_path / "clips" / "0" / "a.flac")
    media = sorted(path.name for path in (tmp_path / "clips" / "0").iterdir() if not path.name.startswith("."))
    assert media == ["a.flac", "a.mp4", "f.flac", "f.mp4"]


def test_shards_share_the_clips(data_set: Callable, one_clip: Path, tmp_path: Path) -> None:
    manifest = data_set({f"clip{k}": one_clip.read_bytes() for k in range(6)})
    alone = run(manifest, tmp_path, shard=0, shards=1)
    digests = dict(zip(alone["clip_id"], alone["detail"], strict=True))
    parts = [run(manifest, tmp_path, shard, 3) for shard in range(3)]
    together = pd.concat(parts)
    assert sorted(together["clip_id"]) == sorted(manifest["clip_id"])
    assert dict(zip(together["clip_id"], together["detail"], strict=True)) == digests  # bits too: sha256 is in it
    for shard, part in enumerate(parts):
        assert {shard_of(clip_id, 3) for clip_id in part["clip_id"]} <= {shard}


def test_interrupted_run_continues(
    data_set: Callable, one_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, normalised: list[str]
) -> None:
    manifest = data_set({name: one_clip.read_bytes() for name in "abcd"})
    spy = ingest.normalise_clip

    def dies(source: Path, **options: object) -> dict:
        if source.stem == "c":
            raise KeyboardInterrupt
        return spy(source, **options)

    monkeypatch.setattr(ingest, "normalise_clip", dies)
    with pytest.raises(KeyboardInterrupt):
        run(manifest, tmp_path)
    assert not (tmp_path / "clips" / "0.ledger.parquet").exists()
    monkeypatch.setattr(ingest, "normalise_clip", spy)
    (tmp_path / "clips" / "0" / ".c.1234.part.mp4").write_bytes(b"half")
    ledger = run(manifest, tmp_path)
    assert list(ledger["status"]) == ["ok"] * 4
    assert normalised == ["a", "b", "c", "d"]
    assert not list((tmp_path / "clips" / "0").glob(".*.part.*"))


def test_only_what_changed_is_done_again(
    data_set: Callable, one_clip: Path, tmp_path: Path, normalised: list[str]
) -> None:
    good = one_clip.read_bytes()
    run(data_set({"a": good, "b": good, "c": None, "d": b"text\n"}), tmp_path)
    assert normalised == ["a", "b", "d"]
    normalised.clear()
    (tmp_path / "clips" / "0" / "a.flac").write_bytes(b"damaged")
    ledger = run(data_set({"a": good, "b": good, "c": good, "d": b"text\n", "e": good}), tmp_path)
    assert normalised == ["a", "c", "e"]  # damaged, arrived, new
    assert list(ledger["status"]) == ["ok", "ok", "ok", "not_media", "ok"]
    normalised.clear()
    (tmp_path / "root" / "d.mp4").write_bytes(good)  # another file now
    manifest = data_set({"a": good, "b": good, "d": good})
    manifest.loc[manifest["clip_id"] == "b", "duration"] = 0.6
    run(manifest, tmp_path)
    assert normalised == ["b", "d"]
    left = {path.stem for path in (tmp_path / "clips" / "0").glob("*.mp4")}
    assert left == {"a", "b", "d"}  # those of c and e are gone
    normalised.clear()
    run(manifest, tmp_path, crf=30)
    assert normalised == ["a", "b", "d"]


def test_a_clip_that_became_bad_loses_its_files(data_set: Callable, one_clip: Path, tmp_path: Path) -> None:
    manifest = data_set({"a": one_clip.read_bytes()})
    assert list(run(manifest, tmp_path)["status"]) == ["ok"]
    (tmp_path / "root" / "a.mp4").unlink()
    assert list(run(manifest, tmp_path)["status"]) == ["missing_file"]
    assert not list((tmp_path / "clips" / "0").glob("a.*"))


def test_paths_are_checked_again(data_set: Callable, one_clip: Path, tmp_path: Path) -> None:
    """A link may have come after the manifest; a URL is not fetched here."""
    manifest = data_set({"a": None, "b": None})
    (tmp_path / "secret.mp4").write_bytes(one_clip.read_bytes())
    (tmp_path / "root" / "a.mp4").symlink_to(tmp_path / "secret.mp4")
    manifest.loc[manifest["clip_id"] == "b", "uri"] = "https://host/b.mp4"
    ledger = run(manifest, tmp_path)
    assert list(ledger["status"]) == ["bad_path", "missing_file"]
    assert "fetch it" in ledger["detail"][1]


def test_a_folder_of_somebodys_media_is_not_touched(data_set: Callable, one_clip: Path, tmp_path: Path) -> None:
    manifest = data_set({"a": one_clip.read_bytes(), "b": one_clip.read_bytes()})
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "0").symlink_to(tmp_path / "root")
    with pytest.raises(InputError, match="holds 2 media files that ingest did not write"):
        run(manifest.iloc[:1], tmp_path)
    assert (tmp_path / "root" / "b.mp4").read_bytes() == one_clip.read_bytes()


def test_errors_that_are_not_the_clips_stop_the_run(
    data_set: Callable, one_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: Path, **options: object) -> dict:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(ingest, "normalise_clip", broken)
    with pytest.raises(ZeroDivisionError, match="of ours"):
        run(data_set({"a": one_clip.read_bytes()}), tmp_path)

    def refuses(source: Path, **options: object) -> dict:
        raise ClipError("corrupt", "as found")

    monkeypatch.setattr(ingest, "normalise_clip", refuses)
    assert list(run(data_set({"a": one_clip.read_bytes()}), tmp_path)["detail"]) == ["as found"]


def test_commands_in_a_row(data_set: Callable, one_clip: Path, tmp_path: Path) -> None:
    data_set({"a": one_clip.read_bytes(), "b": b"text"})
    clips, ledger, prompts = tmp_path / "c" / "0", tmp_path / "c" / "0.ledger.parquet", tmp_path / "p.parquet"
    excluded = tmp_path / "excluded.parquet"
    manifest = ["--manifest", str(tmp_path / "m.parquet")]
    for arguments, expected in (
        (
            [
                "ingest",
                *manifest,
                "--root",
                str(tmp_path / "root"),
                "--shard",
                "0/1",
                "--output-folder",
                str(clips),
                "--settings",
                '{"preset": "ultrafast"}',
                "--ledger",
                str(ledger),
            ],
            "1 not_media, 1 ok",
        ),
        (
            [
                "prompts",
                *manifest,
                "--ledger",
                str(ledger),
                "--settings",
                '{"matched": {}}',
                "--seed",
                "1",
                "--output",
                str(prompts),
                "--excluded",
                str(excluded),
            ],
            "1 matched",
        ),
        (["ledger", str(ledger), str(excluded)], "ingest: b (line 3): not_media: "),
    ):
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        assert expected in result.output
    assert list(pd.read_parquet(prompts)["clip_id"]) == ["a"]


def test_workers_change_no_bit(data_set: Callable, one_clip: Path, tmp_path: Path) -> None:
    good = one_clip.read_bytes()
    manifest = data_set({"a": good, "b": b"text", "c": None, "d": good[: len(good) // 2], "e": good, "f": good})
    contents = []
    for workers in (0, 1, 3):
        folder = tmp_path / f"with{workers}"
        ingest_shard(
            manifest,
            RootFolder(tmp_path / "root"),
            shard=0,
            shards=1,
            settings=SETTINGS,
            output_folder=folder,
            ledger=folder / "ledger.parquet",
            workers=workers,
        )
        ledger = read_ledgers([folder / "ledger.parquet"]).drop(columns="time")
        media = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in ingest.SUFFIXES}
        contents.append((ledger.to_csv(), media))
    assert contents[0] == contents[1] == contents[2]
    assert sorted(contents[0][1]) == [f"{name}.{end}" for name in "aef" for end in ("flac", "mp4")]


def test_files_of_the_fetch_stage(data_set: Callable, one_clip: Path, tmp_path: Path, normalised: list[str]) -> None:
    manifest = data_set(dict.fromkeys("abcde"))
    (tmp_path / "raw").mkdir()
    for name in ("first", "second"):
        (tmp_path / "raw" / f"{name}.mp4").write_bytes(one_clip.read_bytes())
    rows = [("a", "first", 0.0), ("b", "second", 0.2), ("e", "gone", 0.0)]
    write_fetched(
        tmp_path / "fetched.parquet",
        [
            {"clip_id": c, "path": str(tmp_path / "raw" / f"{f}.mp4"), "source": "folder", "start": s}
            for c, f, s in rows
        ],
    )
    write_ledger(
        tmp_path / "fetch.parquet",
        [
            ledger_row("a", "fetch"),
            ledger_row("b", "fetch"),
            ledger_row("c", "fetch", "unreadable", "as the site said"),
        ],
    )

    def ingested(**options: object) -> pd.DataFrame:
        raw = Fetched(tmp_path / "fetched.parquet", **options)
        ingest_shard(
            manifest,
            raw,
            shard=0,
            shards=1,
            settings=SETTINGS,
            output_folder=tmp_path / "out",
            ledger=tmp_path / "ledger.parquet",
        )
        return read_ledgers([tmp_path / "ledger.parquet"]).set_index("clip_id")

    ledger = ingested(ledger=tmp_path / "fetch.parquet")
    assert ledger["status"].to_dict() == {
        "a": "ok",
        "b": "ok",
        "c": "unreadable",
        "d": "missing_file",
        "e": "missing_file",
    }
    assert ledger.at["c", "detail"] == "fetch: as the site said"
    assert normalised == ["first", "second"]
    a, b = (json.loads(ledger.at[name, "detail"]) for name in "ab")
    assert a["video_sha256"] != b["video_sha256"]  # it begins 0.2 s later
    assert ingested()["status"].to_dict()["c"] == "missing_file"
    assert normalised == ["first", "second"]
    with pytest.raises(InputError, match="not a table of fetched clips"):
        Fetched(tmp_path / "none.parquet")
