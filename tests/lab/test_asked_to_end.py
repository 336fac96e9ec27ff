"""Commands that get SIGTERM in the middle of their work: the same command goes on, to the same bytes."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from cafa.cli import cli
from cafa.common.ledger import read_ledgers
from cafa.common.signals import EXIT_CODE
from cafa.data.manifest import build_manifest
from metrics.judges.registry import PretrainedSettings, register
from tests.cafa.generation.test_pretrained import RATE, SECONDS, SYSTEMS, features, models, prompts  # noqa: F401
from tests.evaluation_clips import write_video
from tests.tiny_judges import make_weights
from tests.words import words

CLIPS = ("clip0", "clip1", "clip2", "clip3")
LENGTH = 4.8


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some films and their manifest."""
    root = tmp_path_factory.mktemp("films")
    for number, clip in enumerate(CLIPS):
        write_video(root / f"{clip}.mp4", number, LENGTH)
    (root / "clips.csv").write_text("clip_id,uri,label\n" + "".join(f"{clip},{clip}.mp4,dog\n" for clip in CLIPS))
    build_manifest(root / "clips.csv", root, root / "manifest.parquet", root / "refused.parquet")
    return root


def ingest(films: Path, output: Path, workers: int) -> list[str]:
    return [
        "ingest",
        *words(
            manifest=films / "manifest.parquet",
            root=films,
            shard="0/1",
            workers=workers,
            settings=json.dumps({"preset": "ultrafast", "short_side": 32}),
            seconds_per_clip=300,
            output_folder=output / "clips",
            ledger=output / "end.ledger.parquet",
        ),
    ]


@pytest.fixture(scope="module")
def clips(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The films, normalised."""
    output = tmp_path_factory.mktemp("clips")
    assert CliRunner().invoke(cli, ingest(films, output, 0), catch_exceptions=False).exit_code == 0
    return output


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of what a command left; ledgers hold times, so of these what became of each clip."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):  # journals and locks
            continue
        if "ledger" in path.name:
            found[str(name)] = read_ledgers([path]).set_index("clip_id")["status"].to_json()
        else:
            found[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def check(tmp_path: Path, command: Callable[[Path], list[str]], last: str, items: int = 2) -> None:
    """End a command after some items, start it again, and compare with one that nobody ended."""
    ended, quiet = tmp_path / "ended", tmp_path / "quiet"
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab.ended_command", *command(ended)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ITEMS": str(items)},
        timeout=600,
    )
    assert done.returncode == EXIT_CODE, done.stderr
    assert done.stderr.endswith("cafa: asked to end by SIGTERM: the same command goes on from here\n")
    assert "Traceback" not in done.stderr
    assert not (ended / last).exists()
    assert list(ended.rglob("*"))  # something to go on from
    left = digests(ended)
    for output in (ended, quiet):
        result = CliRunner().invoke(cli, command(output), catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert (quiet / last).exists()
    assert digests(ended) == digests(quiet)
    assert left.items() <= digests(quiet).items()  # nothing was half written under its own name
    assert not list(ended.rglob("*.part*"))  # and what a worker had begun is gone


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_ingest(films: Path, tmp_path: Path, workers: int) -> None:
    check(tmp_path, lambda output: ingest(films, output, workers), "end.ledger.parquet")


@pytest.mark.slow
def test_encoding(films: Path, clips: Path, models: Path, tmp_path: Path) -> None:  # noqa: F811
    def command(output: Path) -> list[str]:
        return [
            "features",
            "encode",
            "latents",
            *words(
                model=models / "backbone",
                manifest=films / "manifest.parquet",
                clips=clips / "clips",
                ingest_ledger=clips / "end.ledger.parquet",
                shard="0/1",
                settings=json.dumps({"seconds": 1.0, "workers": 1, "batch_size": 1}),
                output=output / "0.arrow",
                ledger=output / "0.ledger.parquet",
            ),
        ]

    check(tmp_path, command, "0.arrow")


@pytest.mark.slow
def test_sampling(models: Path, features: Path, prompts: Path, tmp_path: Path) -> None:  # noqa: F811
    def command(output: Path) -> list[str]:
        return [
            "samples",
            "make",
            *words(
                system="cafa",
                settings=json.dumps(SYSTEMS["cafa"]),
                prompts=prompts,
                features_folder=features / "backbone",
                models=models,
                clips=tmp_path,
                text_shards=2,
                seconds=SECONDS,
                sample_rate=RATE,
                seed=1,
                batch_size=2,
                output_folder=output / "cafa",
                index=output / "cafa.parquet",
            ),
        ]

    check(tmp_path, command, "cafa.parquet")


@pytest.mark.slow
def test_embedding(films: Path, clips: Path, tmp_path: Path) -> None:
    weights = PretrainedSettings.model_validate(make_weights(tmp_path / "weights"))
    for judge in ("classifier", "clap", "imagebind", "synchformer"):
        register(judge, weights, tmp_path / "judges" / judge)

    def command(output: Path) -> list[str]:
        return [
            "embed",
            "reference",
            *words(
                judges=tmp_path / "judges",
                manifest=films / "manifest.parquet",
                clips=clips / "clips",
                ingest_ledger=clips / "end.ledger.parquet",
                shard="0/1",
                settings=json.dumps({"seconds": LENGTH, "workers": 1, "max_loss": 1.0}),
                output_folder=output / "truth",
            ),
        ]

    check(tmp_path, command, "truth/video.arrow")
