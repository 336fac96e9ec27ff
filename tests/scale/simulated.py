"""The paper's configuration over all its clips, with stand-ins for the heavy commands: what does the workflow cost?

    CAFA_SHARED=FOLDER python -m tests.scale.simulated

Rules, ledgers, prompt sets, scores and tables are real; fetching, ingest, encoders, training, generation and judging
are stood in for by ``simulated_commands.py``, which writes small files of the right form. Shown are the processor time
and memory of the plan, of the run and of a run that has nothing left to do, and the scheduler's share of the time that
the real jobs would take by :data:`COSTS`. Some ten minutes of processor time.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import pandas as pd
import yaml

from cafa.common.ledger import read_ledgers
from cafa.data.manifest import read_manifest
from tests.own_program import environment_with

ROOT = Path(__file__).resolve().parents[2]
#: commands that are not stood in for
REAL = ("dataset", "prompts", "score", "table", "figure", "check")

#: Seconds that a real job takes: to start (imports, weights), and per item (of encode_clips: clip and kind of feature).
#: Guesses on the low side for one modern GPU and one decoding core, so that the share of scheduling comes out high
#: rather than low; fetching is taken as free.
COSTS: dict[str, tuple[float, float]] = {
    "fetch_clips": (2.0, 0.0),
    "ingest_clips": (2.0, 2.0),
    "encode_clips": (20.0, 0.1),
    "encode_text": (20.0, 0.0),
    "make_samples": (30.0, 1.0),
    "embed_reference": (40.0, 0.3),
    "embed_samples": (40.0, 0.2),
    "train_adapter": (60.0, 0.25),
}

CLIENT = """\
#!{python} -IS
import json, os, resource, socket, subprocess, sys, time
if sys.argv[1] in {real!r}:
    begun = time.monotonic()
    status = subprocess.run([{cafa!r}, *sys.argv[1:]]).returncode
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    row = {{"command": sys.argv[1:3], "output": sys.argv[-1], "wall": time.monotonic() - begun,
           "cpu": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss // 1024}}
    with open({timings!r}, "a") as file:
        file.write(json.dumps(row) + "\\n")
    sys.exit(status)
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({place!r})
    with connection.makefile("rw") as stream:
        stream.write(json.dumps(sys.argv[1:]) + "\\n")
        stream.flush()
        answer = json.loads(stream.readline())
print(answer["said"])
sys.exit(answer["status"])
"""


def make_environment(folder: Path, timings: Path, place: Path) -> Path:
    """A virtual environment whose `cafa` is the stand-in; its Python."""
    cafa = str(Path(sys.executable).with_name("cafa"))
    base = str(Path(sys.executable).resolve())
    text = CLIENT.format(python=base, cafa=cafa, real=REAL, timings=str(timings), place=str(place))
    return environment_with("cafa", text, folder)


def make_configuration(folder: Path, shared: Path, most: int | None) -> Path:
    """The lists of the shared folder in the place of those on the web; training clips get labels by their number.

    With `most`, the first clips of each long list, and fewer shards.
    """
    labels = pd.read_csv(shared / "class_counts.csv", header=None)[0].tolist()
    names = [name.rsplit("_", 2) for name in (shared / "vggsound_train_ids.txt").read_text().split()]
    train = pd.DataFrame(
        [(video, int(start) // 1000, labels[n % len(labels)], "train") for n, (video, start, _) in enumerate(names)]
    )
    datasets: dict[str, Any] = {}
    for name, rows, form, split, header in (
        ("vggsound_train", train, "vggsound", "train", False),
        ("visualsound", pd.read_csv(shared / "visualsound.csv"), "visualsound", "train", True),
        (
            "vggsound_test",
            pd.read_csv(shared / "vggsound_test_official.csv", header=None),
            "clip_labels",
            "test",
            False,
        ),
    ):
        path = folder / f"{name}.csv"
        rows.head(most or len(rows)).to_csv(path, header=header, index=False)
        entry = {"path": str(path), "format": form, "licence": "simulated"}
        datasets[name] = {"build": {"lists": [{**entry, "split": "test"} if split == "test" else entry]}}
        if most:
            datasets[name] |= {"shards": 2}
            datasets[name]["build"]["expected"] = None
    sparse = {"path": str(shared / "vggsound_sparse_starts.csv"), "format": "clip_starts", "split": "test"}
    test = {"path": str(shared / "vggsound_test_official.csv"), "format": "clip_labels"}
    datasets["vggsound_sparse"] = {
        "build": {"lists": [{**sparse, "licence": "simulated"}], "labels": [{**test, "licence": "simulated"}]}
    }
    for entry in datasets.values():
        entry["fetch"] = {"sources": [{"kind": "folder", "root": str(folder)}]}
    path = folder / "simulated.yaml"
    path.write_text(
        yaml.safe_dump({"check_first": "warn", "datasets": datasets, **({"samples": {"shards": 2}} if most else {})})
    )
    return path


def measured(command: list[str], cwd: Path, log: Path) -> dict[str, float]:
    """Run a command: seconds of the clock, its own processor seconds without its children's, its largest memory."""
    begun, own, megabytes = time.monotonic(), 0.0, 0.0
    ticks = os.sysconf("SC_CLK_TCK")
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=cwd, stdout=file, stderr=file)
        while process.poll() is None:
            try:
                stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                status = Path(f"/proc/{process.pid}/status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            own = max(own, (int(stat[11]) + int(stat[12])) / ticks)
            if "VmHWM:" in status:
                megabytes = max(megabytes, int(status.split("VmHWM:")[1].split()[0]) / 1024)
            time.sleep(0.05)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed\n{log.read_text(errors='replace')[-40000:]}")
    return {"clock": time.monotonic() - begun, "processor": own, "megabytes": megabytes}


def jobs_of(log: Path) -> dict[str, int]:
    """Jobs by rule, from the last table of a log; the rules that encode the clips of one data set count as one."""
    lines = log.read_text(errors="replace").rpartition("Job stats:")[2].splitlines()
    counts: Counter[str] = Counter()
    for rule, number in (pair for line in lines if len(pair := line.split()) == 2 and pair[1].isdigit()):
        counts["encode_clips" if rule.startswith("encode_clips_") else rule] += int(number)
    counts.pop("total", None)
    return counts


def account(results: Path) -> Counter[str]:
    """Check that every clip of every manifest is in its ledgers exactly once, stage by stage; items by rule."""
    items: Counter[str] = Counter()
    for manifest in sorted(results.glob("manifests/*.parquet")):
        if manifest.name.endswith(".refused.parquet"):
            continue
        clips = sorted(read_manifest(manifest)["clip_id"])
        stages = {"fetch_clips": "fetched/{}", "ingest_clips": "clips/{}"}
        stages["encode_clips"] = "features/{}/encoded"
        kinds = {path.parent.name for path in results.glob(f"features/{manifest.stem}/*/0.arrow")}
        kinds = {kind for kind in kinds if not kind.startswith("text")}
        for stage, pattern in stages.items():
            ledgers = sorted(results.glob(f"{pattern.format(manifest.stem)}/*.ledger.parquet"))
            if not ledgers:
                continue
            rows = read_ledgers(ledgers)
            if sorted(rows["clip_id"]) != clips:
                raise SystemExit(f"{manifest.stem}, {stage}: {len(rows)} rows for {len(clips)} clips")
            items[stage] += int((rows["status"] == "ok").sum()) * (len(kinds) if stage == "encode_clips" else 1)
            counts = ", ".join(f"{count} {status}" for status, count in rows["status"].value_counts().items())
            click.echo(f"  {manifest.stem:16} {stage:22} {len(rows):7} clips, each once: {counts}")
    for path in results.glob("embeddings/*/reference_set/*/ledger.parquet"):
        items["embed_reference"] += int((read_ledgers([path])["status"] == "ok").sum())
    samples = sum(len(pd.read_parquet(path, columns=["clip_id"])) for path in results.glob("samples/*/*/*.parquet"))
    items["make_samples"] = items["embed_samples"] = samples
    return items


def steps_of() -> int:
    """Optimiser steps of all adapters of the paper's configuration."""
    paper = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
    base = paper["training"]["adapter"]["loop"]["steps"]
    entries = paper["adapters"].values()
    return sum(entry.get("settings", {}).get("loop", {}).get("steps", base) for entry in entries)


def show(jobs: dict[str, int], items: Counter[str], run: dict[str, float], start: dict[str, float]) -> None:
    """The share of scheduling in what the real jobs would take; through SLURM each job starts Snakemake twice."""
    total = 0.0
    for rule, (opening, each) in COSTS.items():
        seconds = jobs.get(rule, 0) * opening + items[rule] * each
        total += seconds
        click.echo(f"  {rule:14} {jobs.get(rule, 0):5} jobs, {items[rule]:7} items: {seconds / 3600:7.1f} h")
    count = sum(jobs.values())
    click.echo(
        f"real jobs, by COSTS: {total / 3600:.0f} h; Snakemake itself {run['processor']:.0f} s of processor time, "
        f"{run['processor'] / count:.3f} s for each of {count} jobs: {run['processor'] / total:.3%} of that; "
        f"through SLURM {(run['processor'] + 2 * count * start['processor']) / total:.1%}"
    )


def wait_for(place: Path, server: subprocess.Popen[bytes]) -> None:
    """Wait until the stand-in answers."""
    while not place.exists():
        if server.poll() is not None:
            raise SystemExit("the stand-in did not start")
        time.sleep(0.2)
    with socket.socket(socket.AF_UNIX) as probe, probe.makefile("rw") as stream:
        probe.connect(str(place))
        stream.write("[]\n")
        stream.flush()
        stream.readline()


@click.command()
@click.option("--shared", type=click.Path(exists=True, path_type=Path), envvar="CAFA_SHARED", required=True)
@click.option("--cores", default=64, help="as told to Snakemake; the stand-ins take turns")
@click.option("--most", type=click.IntRange(100), help="clips of each list at most; all by default")
@click.option("--table", "tables", multiple=True, help="only this and what it needs; everything by default")
@click.option("--only-plan", is_flag=True, help="measure the plan and stop")
def main(shared: Path, cores: int, most: int | None, tables: tuple[str, ...], only_plan: bool) -> None:
    """Do as the module says."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        results, timings, place = folder / "results", folder / "timings.jsonl", folder / "socket"
        work = folder / "work"
        work.mkdir()
        (work / "config").symlink_to(ROOT / "config")  # Snakemake keeps its records where it runs: not in the project
        python = make_environment(folder / "environment", timings, place)
        base = [
            str(python),
            "-m",
            "snakemake",
            "--snakefile",
            str(ROOT / "Snakefile"),
            "--cores",
            str(cores),
            "--workflow-profile",
            str(ROOT / "workflow/profiles/default"),
            "--configfile",
            "config/paper.yaml",
            str(make_configuration(folder, shared / "vggsound", most)),
            "--config",
            f"results={results}",
        ]
        targets = ["--", *(f"{results}/{name}.csv" for name in tables)] if tables else []
        plan = measured([*base, "--dry-run", "--quiet", "rules", *targets], work, folder / "plan.log")
        counts = jobs_of(folder / "plan.log")
        click.echo(f"plan of {sum(counts.values())} jobs: {plan}")
        click.echo(", ".join(f"{rule} {count}" for rule, count in counts.items()))
        one_job = [
            "--target-jobs",
            "register_model:model=clip",
            "--allowed-rules",
            "register_model",
            "--mode",
            "remote",
        ]
        start = measured([*base, *one_job, "--force", "--no-hooks", "--dry-run"], work, folder / "start.log")
        click.echo(f"start of Snakemake for one job, as on a node of a cluster: {start}")
        if only_plan:
            return
        server = subprocess.Popen([sys.executable, "-m", "tests.scale.simulated_commands", str(place)], cwd=ROOT)
        try:
            wait_for(place, server)
            run = measured([*base, "--quiet", "rules", "progress", *targets], work, folder / "run.log")
        finally:
            server.terminate()
            server.wait()
        click.echo(f"run: {run}")
        again = measured([*base, "--dry-run", *targets], work, folder / "again.log")
        if "Nothing to be done" not in (folder / "again.log").read_text():
            raise SystemExit(f"something is left to do\n{(folder / 'again.log').read_text()[-3000:]}")
        click.echo(f"nothing left to do, found out in: {again}")
        items = account(results) + Counter(train_adapter=steps_of())
        for row in map(json.loads, timings.read_text().splitlines()):
            name = Path(row["output"]).name
            click.echo(f"  real: {' '.join(row['command'][:1])} {name}: {row['cpu']:.1f} s, {row['megabytes']} MB")
        show(counts, items, run, start)
        click.echo((results / "table1.md").read_text().split("## Rows")[0])


if __name__ == "__main__":
    main()
