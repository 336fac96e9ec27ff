"""Thousands of clips, a tenth of them damaged, through the commands of the pipeline; killed at random moments.

Checked: every row of the csv is accounted for exactly once, with the reason that its damage has; a run that is killed
(``kill -9``, half of the times the job alone, half of the times with its workers) and started again with the same
commands ends with the same bytes; memory does not grow with the number of clips.

Full size (some 12 minutes of processor time)::

    CAFA_SHARED=FOLDER python -m tests.scale.damaged --clips 2000 --small 200 --kills 10
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import click
import pandas as pd

from cafa.common.files import sha256_file, write_json
from tests.scale.damage import SECONDS, Row, make_data_set, prepare
from tests.words import words

MEDIA = {"preset": "ultrafast", "short_side": 64}
CAFA = [sys.executable, "-c", "from cafa.cli import main; main()"]
KINDS = {"frames": "media", "mel": "media", "latents": "latents", "clip": "clip"}


@dataclass(frozen=True)
class Job:
    """A command, and the file that stands when it is done."""

    name: str
    words: list[str]
    done: Path


def jobs_of(data: Path, models: Path, results: Path, workers: int, kinds: set[str]) -> list[Job]:
    """The commands of a run, in order."""
    manifest, clips = results / "manifest.parquet", results / "clips" / "0"
    ledger, raw, features = results / "clips" / "0.ledger.parquet", data / "raw", results / "features"
    shard = {"manifest": manifest, "clips": clips, "ingest_ledger": ledger, "shard": "0/1"}
    listed = words(
        "manifest", source=data / "clips.csv", root=raw, output=manifest, refused=results / "refused.parquet"
    )
    media = {"settings": json.dumps(MEDIA), "workers": workers}
    ingested = words("ingest", manifest=manifest, root=raw, shard="0/1", output_folder=clips, ledger=ledger, **media)
    found = [Job("manifest", listed, manifest), Job("ingest", ingested, ledger)]
    if "media" in kinds:
        done = features / "media.ledger.parquet"
        settings = json.dumps({"seconds": SECONDS})
        files = {"frames": features / "frames.arrow", "mel": features / "mel.arrow", "ledger": done}
        found.append(
            Job("media", words("features", "media", **shard, settings=settings, workers=workers, **files), done)
        )
    for kind, model, seconds in (("latents", "backbone", 0.5), ("clip", "clip", SECONDS)):
        if kind in kinds:
            done = features / f"{kind}.ledger.parquet"
            settings = json.dumps({"seconds": seconds, "workers": workers, "batch_size": 8})
            files = {"model": models / model, "output": features / f"{kind}.arrow", "ledger": done}
            found.append(Job(kind, words("features", "encode", kind, **shard, settings=settings, **files), done))
    return found


class Memory(threading.Thread):
    """Peak memory of the processes of a group: of the largest that does the job, and of its largest worker."""

    def __init__(self, group: int) -> None:
        super().__init__(daemon=True)
        self.group, self.main, self.worker = group, 0, 0
        self._over = threading.Event()

    def run(self) -> None:
        """Look often: a short job has its peak in its last second, when it writes its files."""
        while not self._over.wait(0.1):
            for process, kilobytes in peaks(self.group).items():
                if process == self.group:
                    self.main = max(self.main, kilobytes)
                else:
                    self.worker = max(self.worker, kilobytes)

    def stop(self) -> None:
        """Stop looking."""
        self._over.set()
        self.join()


def peaks(group: int) -> dict[int, int]:
    """Peak resident memory, in kB, of the processes of a group that live."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if os.getpgid(int(folder.name)) != group:
                    continue
                lines = (folder / "status").read_text().splitlines()
            except (ProcessLookupError, FileNotFoundError):  # it has just ended
                continue
            found |= {int(folder.name): int(line.split()[1]) for line in lines if line.startswith("VmHWM")}
    return found


class Runner:
    """Runs jobs like a workflow does: those whose output stands are skipped."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.seconds: dict[str, float] = {}
        self.memory: dict[str, dict[str, int]] = {}

    def run(self, jobs: list[Job], limit: float = float("inf"), with_workers: bool = True) -> str | None:
        """Run until all is done, or for `limit` seconds; then kill, and return the name of the killed job."""
        end = time.monotonic() + limit
        for job in jobs:
            if job.done.exists():
                continue
            begun = time.monotonic()
            with self.log.open("a") as log:
                process = subprocess.Popen(
                    [*CAFA, *job.words],
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                )
            memory = Memory(process.pid)
            memory.start()
            try:
                code = process.wait(None if end == float("inf") else max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                (os.killpg if with_workers else os.kill)(process.pid, signal.SIGKILL)
                process.wait()
                memory.stop()
                wait_until_gone(process.pid)
                return job.name
            memory.stop()
            if code != 0:
                raise SystemExit(f"{job.name} ended with {code}: see {self.log}")
            self.seconds[job.name] = round(time.monotonic() - begun, 1)
            self.memory[job.name] = {"main_kB": memory.main, "worker_kB": memory.worker}
        return None


def wait_until_gone(group: int, seconds: float = 60) -> None:
    """Workers of a killed job must end by themselves: their pipe is closed."""
    end = time.monotonic() + seconds
    while peaks(group):
        if time.monotonic() > end:
            raise SystemExit(f"processes of a killed job are still there: {peaks(group)}")
        time.sleep(0.1)


def check_accounts(results: Path, expected: list[Row], kinds: set[str]) -> dict[str, int]:
    """Every row of the csv once, with its reason, in every stage; returns the rows by reason."""
    manifest = pd.read_parquet(results / "manifest.parquet")
    refused = pd.read_parquet(results / "refused.parquet")
    ingest = pd.read_parquet(results / "clips" / "0.ledger.parquet")
    lines = Counter([*manifest["line"], *refused["line"]])
    assert lines == Counter(row.line for row in expected), "a row of the csv is lost or counted twice"
    assert sorted(ingest["clip_id"]) == sorted(manifest["clip_id"]), "a clip of the manifest is lost or counted twice"
    told = dict(zip([*refused["line"], *ingest["line"]], [*refused["status"], *ingest["status"]], strict=True))
    wrong = [(row, told[row.line]) for row in expected if told[row.line] != row.reason]
    assert not wrong, f"{len(wrong)} rows with another reason, e.g. {wrong[:3]}"
    good = sorted(ingest.loc[ingest["status"] == "ok", "clip_id"])
    for stage in {KINDS[kind] for kind in KINDS if KINDS[kind] in kinds}:
        ledger = pd.read_parquet(results / "features" / f"{stage}.ledger.parquet")
        assert sorted(ledger["clip_id"]) == sorted(manifest["clip_id"]), f"{stage}: a clip is lost or counted twice"
        assert sorted(ledger.loc[ledger["status"] == "ok", "clip_id"]) == good, f"{stage}: other clips than ingest's"
    return dict(sorted(Counter(told.values()).items()))


def verify(results: Path, kinds: set[str], log: Path) -> None:
    """Check the feature files with the command for it."""
    for kind, stage in KINDS.items():
        if stage in kinds:
            features = results / "features"
            words = [
                "features",
                "verify",
                str(features / f"{kind}.arrow"),
                "--manifest",
                str(results / "manifest.parquet"),
                "--ledger",
                str(features / f"{stage}.ledger.parquet"),
                "--clips",
                str(results / "clips" / "0"),
            ]
            with log.open("a") as file:
                subprocess.run([*CAFA, *words], check=True, stdout=file, stderr=file)


def contents(results: Path) -> dict[str, str]:
    """Digests of all feature files and normalised clips."""
    files = [path for path in results.rglob("*") if path.suffix in (".arrow", ".mp4", ".flac") and path.is_file()]
    return {str(path.relative_to(results)): sha256_file(path) for path in files}


def run_killed(
    data: Path, models: Path, results: Path, workers: int, kinds: set[str], kills: int, seconds: float, seed: int
) -> list[str]:
    """Run with kills at random moments of a run of so many seconds; returns what was killed."""
    drawn = random.Random(seed)
    moments = sorted(drawn.uniform(0, seconds) for _ in range(kills))
    runner, killed, before = Runner(results.with_suffix(".log")), [], 0.0
    jobs = jobs_of(data, models, results, workers, kinds)
    for number, moment in enumerate(moments):
        name = runner.run(jobs, moment - before, with_workers=number % 2 == 0)
        before = moment
        if name is not None:
            killed.append(name)
    runner.run(jobs)
    return killed


def registered(folder: Path, kinds: set[str]) -> Path:
    """Tiny pretrained models, for the kinds that need them."""
    if not kinds <= {"media"}:
        from tests.tiny_pretrained import REAL, make_registered

        make_registered(folder, REAL)
    return folder / "models"


def run_all(
    folder: Path,
    shared: Path,
    *,
    clips: int,
    small: int | None,
    kills: int,
    workers: int,
    kinds: set[str],
    every: int = 10,
    sources_wanted: int = 9,
    seed: int = 0,
) -> dict[str, object]:
    """The whole demonstration; returns its figures, or fails."""
    models = registered(folder / "registered", kinds)
    sources = prepare(folder / "prepared", shared, sources_wanted)
    figures: dict[str, object] = {"clips": clips, "workers": workers}
    memory = {}
    for name, count in (("small", small), ("whole", clips)):
        if count is None:
            continue
        expected = make_data_set(folder / f"data_{name}", folder / "prepared", sources, count, every, seed)
        runner = Runner(folder / f"{name}.log")
        runner.run(jobs_of(folder / f"data_{name}", models, folder / name, workers, kinds))
        reasons = check_accounts(folder / name, expected, kinds)
        verify(folder / name, kinds, runner.log)
        memory[name] = runner.memory
        figures[name] = {"rows": count, "reasons": reasons, "seconds": runner.seconds, "memory": runner.memory}
    killed = run_killed(
        folder / "data_whole", models, folder / "killed", workers, kinds, kills, sum(runner.seconds.values()), seed + 1
    )
    check_accounts(folder / "killed", expected, kinds)
    whole, again = contents(folder / "whole"), contents(folder / "killed")
    assert whole == again, f"other bytes after kills: {sorted(set(whole.items()) ^ set(again.items()))[:4]}"
    figures |= {"killed": killed, "files_compared": len(whole)}
    if small is not None:
        growth = {
            job: round(
                max(
                    memory["whole"][job][k] / memory["small"][job][k]
                    for k in ("main_kB", "worker_kB")
                    if memory["small"][job][k]
                )
                - 1,
                3,
            )
            for job in memory["small"]
            if job != "manifest"
        }
        figures["memory_growth"] = growth
        assert max(growth.values()) <= 0.10, f"memory grew with the number of clips: {growth}"
    return figures


@click.command()
@click.option("--clips", default=2000, type=click.IntRange(10))
@click.option("--small", default=200, type=click.IntRange(0), help="rows of the run whose memory is compared; 0: none")
@click.option("--kills", default=10, type=click.IntRange(0))
@click.option("--workers", default=1, type=click.IntRange(0))
@click.option("--kinds", default="media,latents,clip", help="features to make")
@click.option("--seed", default=0)
@click.option("--shared", envvar="CAFA_SHARED", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--folder", type=click.Path(path_type=Path), help="to work in; kept. Default: a temporary one")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file of the figures")
def main(
    clips: int,
    small: int,
    kills: int,
    workers: int,
    kinds: str,
    seed: int,
    shared: Path,
    folder: Path | None,
    output: Path | None,
) -> None:
    """Run the demonstration and print its figures."""
    place = folder or Path(tempfile.mkdtemp(prefix="damaged"))
    figures = run_all(
        place,
        shared,
        clips=clips,
        small=small or None,
        kills=kills,
        workers=workers,
        kinds=set(kinds.split(",")),
        seed=seed,
    )
    click.echo(json.dumps(figures, indent=1))
    if output is not None:
        write_json(output, figures)
    if folder is None:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
