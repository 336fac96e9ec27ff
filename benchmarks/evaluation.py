"""A whole evaluation of n stand-in clips with judges that cost nothing: what is outside the networks, and its memory.

    python -m benchmarks.evaluation --clips 200 5000

For every n two runs, each in a process and into a folder of its own: the first with an empty store of embeddings
(``--store``), the second with what the first left there. Clips are links to 100 files of 0.5 s; one system; FAD, KL and
IS. Prints CPU time for each clip, and the largest memory of the process before the evaluation (imports) and at its end.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from benchmarks.rounds import peak_memory_mb
from metrics.evaluation.evaluate import EvaluationSettings, evaluate
from metrics.judges.interface import Columns, PreparedAudio
from tests.evaluation_clips import QuickPanel, write_wav
from tests.metrics.evaluation.evaluation_pairs import QUICK, find

#: Different files, values of an embedding, classes.
FILES, WIDTH, CLASSES = 100, 64, 527


class WidePanel(QuickPanel):
    """A classifier with the classes of PANNs, from two small matrices."""

    def embed_audio(
        self, sounds: Sequence[PreparedAudio], video: Sequence[Columns], judges: Collection[str]
    ) -> dict[str, Columns]:
        """Two columns of each sound."""
        bands = np.log1p(100 * np.stack([one.arrays["bands"] for one in sounds]))
        generator = np.random.default_rng(0)
        columns = [
            (bands @ generator.standard_normal((64, width)) / 20).astype(np.float32) for width in (WIDTH, CLASSES)
        ]
        return {"classifier": dict(zip(("embedding", "logits"), columns, strict=True))}


def run(folder: Path, output: Path, store: Path) -> None:
    """One evaluation; prints what it took."""
    names = sorted(path.stem for path in (folder / "ours").iterdir())
    settings = EvaluationSettings(metrics=("FAD", "KL", "IS"), bootstrap=QUICK, workers=1)
    before, started, wall = peak_memory_mb(), time.process_time(), time.perf_counter()
    panel = WidePanel()
    evaluate(find(folder, names), panel, settings, output, {}, store)
    cpu, wall = time.process_time() - started, time.perf_counter() - wall
    print(
        f"{len(names):6} clips, {panel.opened:6} sounds decoded: {1000 * cpu / len(names):6.1f} ms of CPU a clip, "
        f"{wall:6.1f} s in all; memory {before:5.0f} MB before, {peak_memory_mb():5.0f} MB at most",
        flush=True,
    )


def write_clips(folder: Path, count: int) -> None:
    """Sounds of clips and of a system, links to FILES files of each."""
    for part, first in (("reference", 0), ("ours", FILES)):
        for number in range(count):
            path = folder / part / f"clip{number:06}.wav"
            if number < FILES:
                write_wav(path, first + number, 0.5)
            else:
                os.link(folder / part / f"clip{number % FILES:06}.wav", path)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[200, 5000])
    parser.add_argument("--one", type=Path, nargs=3, metavar=("FOLDER", "OUTPUT", "STORE"), help="used by itself")
    arguments = parser.parse_args()
    if arguments.one:
        run(*arguments.one)
        return
    for count in arguments.clips:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_clips(folder, count)
            for output in ("first", "again"):
                words = [str(path) for path in (folder, folder / output, folder / "store")]
                subprocess.run([sys.executable, "-m", "benchmarks.evaluation", "--one", *words], check=True)


if __name__ == "__main__":
    main()
