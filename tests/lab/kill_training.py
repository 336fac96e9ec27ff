"""Training of an adapter in several processes, asked to end by SIGTERM at random moments and started again.

The weights must equal those of a run that was never interrupted, bit for bit, and no step may be done twice: at each
start the first step is the one after the last that was done. Signals go to the command, or to its whole process group
with the pipe behind it, as SLURM sends them. On a CPU::

    python -m tests.lab.kill_training --processes 4 --kills 10
"""

import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from cafa.common.signals import EXIT_CODE
from cafa.data.manifest import SCHEMA
from cafa.models.folders import load_model
from cafa.training.adapter import AdapterTraining
from tests.cafa.training.tiny import SECONDS, VIDEO, TinyWorld, loop


class Trainings:
    """Runs of one training command into folders of their own.

    Parameters
    ----------
    folder : Path
        Where features and models lie.
    processes, steps : int
    """

    def __init__(self, folder: Path, processes: int, steps: int) -> None:
        self.folder, self.processes, self.steps = folder, processes, steps
        world = TinyWorld(folder)
        world.backbone(steps=2)
        self._manifest = folder / "clips.parquet"
        more = {"uri": "x.mp4", "label": "x", "licence": "x", "line": 2}
        rows = [{**dict.fromkeys(SCHEMA.names), **row, **more} for row in world.manifest.to_dict("records")]
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), self._manifest)

    def words(self, name: str) -> list[str]:
        """The command that trains into the folder `name`."""
        training = loop(steps=self.steps, batch_size=self.processes, save_every_seconds=3600)
        settings = AdapterTraining(loop=training, seconds=SECONDS, model=VIDEO)
        options = {
            "backbone": self.folder / "backbone",
            "latents": self.folder / "latents.arrow",
            "video": self.folder / "video.arrow",
            "text": self.folder / "text.arrow",
            "manifest": self._manifest,
            "settings": settings.model_dump_json(),
            "seed": 1,
            "processes": self.processes,
            "output": self.folder / name,
        }
        words = [word for option, value in options.items() for word in (f"--{option}", str(value))]
        return [sys.executable, "-m", "tests.lab.slow_training", "train", "adapter", *words]

    def start(self, name: str, log: Path, *, piped: bool) -> subprocess.Popen[bytes]:
        """Start the command in a process group of its own; with a pipe to `tee` behind it, as rules have."""
        words = self.words(name)
        if piped:
            text = f"set -euo pipefail; trap '' TERM USR1; {shlex.join(words)} 2>&1 | tee {shlex.quote(str(log))}"
            words = ["bash", "-c", text]
        with open(log.with_suffix(".out"), "wb") as out:
            return subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)

    def steps_done(self) -> list[int]:
        """Steps in the order in which the first process did them, all runs since the file was removed."""
        path = self.folder / "steps.txt"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def forget_steps(self) -> None:
        """Begin a new record of steps."""
        (self.folder / "steps.txt").unlink(missing_ok=True)

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        """Of the trained adapter."""
        return load_model(self.folder / name, "adapter")[0]


def run_and_kill(trainings: Trainings, kills: int, seed: int, *, say: bool = False) -> list[str]:
    """Train once without a signal, once with many; return what is wrong."""
    chance, wrong = random.Random(seed), []
    os.environ["STEPS_FILE"] = str(trainings.folder / "steps.txt")
    log = trainings.folder / "training.log"
    trainings.forget_steps()
    if trainings.start("uninterrupted", log, piped=False).wait() != 0:
        return [log.with_suffix(".out").read_text()]
    trainings.forget_steps()
    for kill in range(kills):
        begun, piped = len(trainings.steps_done()), bool(kill % 2)
        target = begun + chance.randint(1, max(1, (trainings.steps - begun) // (kills - kill + 1)))
        process = trainings.start("interrupted", log, piped=piped)
        while len(trainings.steps_done()) < target and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.1))
        asked, seen = time.monotonic(), len(trainings.steps_done())
        if piped:
            os.killpg(process.pid, signal.SIGTERM)
        else:
            process.send_signal(signal.SIGTERM)
        code, seconds = process.wait(), time.monotonic() - asked
        text = log.with_suffix(".out").read_text()
        done, saved = len(trainings.steps_done()), re.search(r"(\d+) of \d+ steps of", text)
        if say:
            click.echo(
                f"kill {kill + 1} ({'group' if piped else 'command'}): after step {seen}, ended {seconds:.1f} s later "
                f"with code {code}, {done} steps done, {saved[1] if saved else 'none'} saved"
            )
        if code != EXIT_CODE or saved is None or int(saved[1]) != done or done > seen + 2 or "Traceback" in text:
            wrong.append(f"kill {kill + 1}: code {code}, {seen} then {done} steps, said:\n{text}")
    if trainings.start("interrupted", log, piped=False).wait() != 0:
        return [*wrong, log.with_suffix(".out").read_text()]
    if trainings.steps_done() != list(range(trainings.steps)):
        wrong.append(f"steps were {trainings.steps_done()}")
    one, other = trainings.weights("uninterrupted"), trainings.weights("interrupted")
    different = [name for name in one if not torch.equal(one[name], other[name])]
    if different or one.keys() != other.keys():
        wrong.append(f"weights differ: {different}")
    return wrong


@click.command(context_settings={"show_default": True})
@click.option("--processes", default=4)
@click.option("--kills", default=10)
@click.option("--steps", default=120)
@click.option("--seed", default=0)
def main(processes: int, kills: int, steps: int, seed: int) -> None:
    """Run it and say what came of it."""
    with tempfile.TemporaryDirectory() as name:
        trainings = Trainings(Path(name), processes, steps)
        wrong = run_and_kill(trainings, kills, seed, say=True)
        done = trainings.steps_done()
    if wrong:
        raise SystemExit("\n".join(wrong))
    click.echo(
        f"{processes} processes, {kills} times SIGTERM: {len(done)} steps, each done once; "
        "all weights equal those of the uninterrupted run bit for bit"
    )


if __name__ == "__main__":
    main()
