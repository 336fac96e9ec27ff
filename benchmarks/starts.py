"""What it takes to start: ours against the imports that others begin with, as ratios within one round.

Each start is a process of its own, whose processor seconds and memory are counted, python's own start included. What
is compared with is at least what published scripts take: ``import torch``, which they do before they read their
options, and the pipeline of diffusers for the same backbone::

    python -m benchmarks.starts

four minutes; no network runs and nothing is opened.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import click

from benchmarks.report import Comparison, Report, finish, options, row, seconds_of
from benchmarks.rounds import Turn, Way, measure

#: Whether the large imports are measured as well.
SIZES = {"tiny": False, "reduced": True}
CLASSES = """
from cafa.generation.pretrained import PretrainedGenerator
from cafa.models.stable_audio.backbone import StableAudioOpen
from cafa.models.stable_audio.published_adapter import load_published_adapter
from cafa.models.encoders.oobleck import OobleckAudio
from cafa.models.encoders.t5 import T5Text
"""
#: What every command of ours does before it imports more.
FIRST = "from cafa.common.collection import keep_modules_uncollected; keep_modules_uncollected()\n"
#: A judge up to its networks of the published sizes, without values.
JUDGE = FIRST + "import torch; {imports}\nwith torch.device('meta'): {networks}"
JUDGES = {
    "PANNs": JUDGE.format(imports="from metrics.encoders.panns import Cnn14", networks="Cnn14(16000)"),
    "ImageBind": JUDGE.format(
        imports="from metrics.encoders.imagebind.network import ImageBindAudio, ImageBindVision",
        networks="ImageBindVision(), ImageBindAudio()",
    ),
    "Synchformer": JUDGE.format(
        imports="from metrics.encoders.synchformer.encoders import "
        "SynchformerAudio, SynchformerOffset, SynchformerVisual",
        networks="SynchformerVisual(), SynchformerAudio(), SynchformerOffset()",
    ),
    "CLAP, whose network and tokenizer are those of transformers": JUDGE.format(
        imports="from metrics.encoders.clap.encoders import ClapNetwork, clap_config; "
        "from transformers import RobertaTokenizer",
        networks="ClapNetwork(clap_config())",
    ),
}
#: Prints the largest memory of the process at its end; the count that a parent gets begins with the parent's own.
PEAK = """
import atexit, os, sys
status = "/proc/self/status"
peak = lambda: print(open(status).read().partition("VmHWM:")[2].split()[0], file=sys.stderr)
atexit.register(lambda: os.path.isfile(status) and peak())
"""
LEDGER = "from cafa.common.ledger import ledger_row, write_ledger; write_ledger({path!r}, [ledger_row('a', 'ingest')])"
COMMAND = "import sys; sys.argv = ['cafa', *{words!r}]; from cafa.cli import main; main()"


def start(program: str, turns: Iterator[Turn]) -> None:
    """Start a program in each turn."""
    for turn in turns:
        printed = run(PEAK + program).split()
        turn.memory_mb = float(printed[-1]) / 1e3 if printed else None


def run(program: str) -> str:
    """What a program of a process of its own prints as messages."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stderr


def compare(title: str, compared_with: str, programs: Mapping[str, str], rounds: int) -> Comparison:
    """Programs by name, in turns; the first is the peer's."""
    ways = [Way(name, partial(start, program)) for name, program in programs.items()]
    taken = measure(ways, rounds)
    peer = seconds_of(ways[0], taken[ways[0].name], "processor")
    rows = tuple(row(way, taken[way.name], peer, "processor") for way in ways)
    return Comparison(title=title, compared_with=compared_with, unit="start", clock="processor", rows=rows)


@click.command()
@options(list(SIZES))
def main(size: str, rounds: int, output: Path | None) -> Report:
    """CPU seconds of starts, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = str(Path(folder) / "ledger.parquet")
        run(LEDGER.format(path=ledger))
        commands = {
            "import torch": "import torch",
            "cafa --help": COMMAND.format(words=["--help"]),
            "cafa ledger FILE": COMMAND.format(words=["ledger", ledger]),
            "python alone": "",
        }
        comparisons = [
            compare(
                "A command that needs no network",
                "a script that imports torch at its top, as published ones do; nothing but that import",
                commands,
                rounds,
            )
        ]
    pipelines = {
        "from diffusers import StableAudioPipeline": "from diffusers import StableAudioPipeline",
        "import cafa.generation.opening": FIRST + "import cafa.generation.opening",
        "all classes of a pretrained pipeline of ours": FIRST + CLASSES,
    }
    if SIZES[size]:
        comparisons += [
            compare("Imports before sound is made", "diffusers' pipeline for the same backbone", pipelines, rounds),
            compare(
                "Judges up to their networks",
                "a script that imports torch; nothing but that import",
                {"import torch": "import torch", **JUDGES},
                rounds,
            ),
        ]
    return finish("starts", size, "cpu", rounds, {}, comparisons, output)


if __name__ == "__main__":
    main()
