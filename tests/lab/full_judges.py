"""Every judge at its published size judges real clips: seconds and memory of each, and of all in one killed run.

    python -m tests.lab.full_judges FOLDER [--kills 2]

Weights are by rule, so no value means anything; files, names, shapes and the path are the published ones. The clips are
three of ../shared/clips with the sounds that three published systems made for each of two captions. Needs about 11 GB
of disk in FOLDER, which is deleted by hand afterwards. Each run is a process of its own, the last one several: it is
killed with SIGKILL, goes on, and must print what the runs of one judge alone have printed.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from metrics.judges.kinds import JUDGES
from metrics.tables.catalogue import METRICS
from tests.later_judges import write_later_weights
from tests.tiny_judges import write_table, write_weights

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ("cafa", "foleycrafter", "rewas")
#: columns that these prompts do not have: half of the captions are the clips' own, and six sounds are too few for those
#: that end in ``_inf``
LEFT_OUT = ("Acc", "Acc_margin")


def write_stand_ins(folder: Path) -> Path:
    """All judges' files at their published sizes, and the table of their digests."""
    if not (folder / "weights.tsv").is_file():
        write_weights(folder, {})
        write_later_weights(folder, {})
        write_table(folder)
    return folder / "weights.tsv"


def write_prompts(clips: Path, file: Path) -> None:
    """A row for each generated sound: its clip, caption, and the clip's own caption."""
    own = pd.read_csv(clips / "clips.csv").set_index("clip_id")["label"]
    rows = []
    for path in sorted((clips / "generated" / SYSTEMS[0]).glob("*.mp4")):
        clip, caption = path.stem.split("__")
        words = {"caption": caption.replace("_", " "), "own_caption": own[clip]}
        rows.append({"clip_id": clip, "caption_id": caption, **words, "sample": path.name, "reference": f"{clip}.mp4"})
    pd.DataFrame(rows).to_csv(file, index=False)


def columns_of(judge: str) -> list[str]:
    """Columns that a judge gives for these prompts."""
    names = [name for name, metric in METRICS.items() if metric.judge == judge and name not in LEFT_OUT]
    return [name for name in names if not name.endswith("_inf")]


def command(folder: Path, clips: Path, output: Path, columns: Sequence[str]) -> list[str]:
    """`cafa evaluate` of the three systems."""
    words = [str(Path(sys.executable).with_name("cafa")), "evaluate", "--reference", str(clips / "groundtruth")]
    words += [f"--samples={name}={clips / 'generated' / name}" for name in SYSTEMS]
    words += ["--prompts", str(folder / "prompts.csv"), "--weights", str(folder / "weights")]
    words += ["--weights-table", str(folder / "weights/weights.tsv"), "--seconds", "5", "--controls"]
    return [*words, *(f"--metric={name}" for name in columns), "--output", str(output)]


def timed(words: list[str], log: Path) -> str:
    """Run a command to its end; its seconds, CPU seconds and peak of resident memory."""
    start = time.monotonic()
    with log.open("w") as stream:
        process = subprocess.Popen(words, stdout=stream, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(log.read_text()[-4000:])
    seconds, cpu = time.monotonic() - start, usage.ru_utime + usage.ru_stime
    return f"{seconds:.0f} s, {cpu:.0f} CPU s, peak {usage.ru_maxrss / 1e6:.1f} GB"


def kill_after(words: list[str], seconds: float, log: Path) -> None:
    """Start a command and kill it with SIGKILL."""
    with log.open("w") as stream:
        process = subprocess.Popen(words, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return
    raise SystemExit(f"ended within {seconds:.0f} s, before it was killed: {log.read_text()[-2000:]}")


def different(alone: Path, together: Path, columns: Sequence[str]) -> list[str]:
    """Columns of a table whose values are others than in the run of one judge."""
    one, all_ = (pd.read_csv(folder / "table.csv").set_index("system") for folder in (alone, together))
    return [name for name in columns if not one[name].equals(all_.loc[one.index, name])]


def main() -> None:
    """Do as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("CAFA_SHARED", ROOT.parent / "shared")))
    options = parser.parse_args()
    folder, clips = options.folder.absolute(), options.shared.absolute() / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    write_stand_ins(folder / "weights")
    write_prompts(clips, folder / "prompts.csv")
    print(f"{json.dumps({j: columns_of(j) for j in JUDGES})}", flush=True)
    for judge in JUDGES:
        words = command(folder, clips, folder / judge, columns_of(judge))
        print(f"{judge}: {timed(words, folder / f'{judge}.log')}", flush=True)
    words = command(folder, clips, folder / "all", [name for judge in JUDGES for name in columns_of(judge)])
    for number in range(options.kills):
        kill_after(words, 60.0 * (number + 1), folder / "all.log")
        print(f"all judges: killed after {60 * (number + 1)} s", flush=True)
    print(f"all judges, gone on: {timed(words, folder / 'all.log')}", flush=True)
    wrong = [name for judge in JUDGES for name in different(folder / judge, folder / "all", columns_of(judge))]
    if wrong:
        raise SystemExit(f"other values than in the run of one judge: {', '.join(wrong)}")
    print((folder / "all/table.md").read_text())


if __name__ == "__main__":
    main()
