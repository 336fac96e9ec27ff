"""What a change of the code makes a finished run do again: a whole run of a copy of this checkout, then dry runs.

    python tests/workflow/reruns.py --config config/test.yaml --cores 2

Changed words (comments, docstrings, messages) must repeat nothing, even in the modules that everything imports; a
changed number must repeat the rules that depend on it and no other; recorded as giving the same results, nothing.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("Snakefile", "workflow", "config", "cafa", "metrics", "environment.yml")
#: modules that nearly everything imports
DEEPEST = ("cafa/common/files.py", "cafa/media/sound.py", "cafa/features/store.py", "cafa/models/weights.py")
#: file -> rules that a changed number in it must repeat, and rules that it must not
NUMBERS = {
    "cafa/diffusion/samplers.py":
        ({"make_samples"}, {"train_adapter", "train_judge", "embed_reference", "ingest_clips"}),
    "metrics/functional/bootstrap.py":
        ({"make_table", "score_system"}, {"make_samples", "train_adapter", "train_judge"}),
    "metrics/judges/training/batches.py":
        ({"train_judge"}, {"train_adapter", "train_backbone", "make_samples", "ingest_clips"}),
    "cafa/training/objective.py": ({"train_adapter", "train_backbone"}, {"train_judge", "ingest_clips"}),
    "cafa/media/normalise.py": ({"ingest_clips"}, {"render_world", "plan_world"}),
}  # fmt: skip


def run(folder: Path, *command: str) -> str:
    """Run a command of the copy; what it said."""
    beside = Path(sys.executable).parent / command[0]
    done = subprocess.run(
        [str(beside), *command[1:]], cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}")
    return done.stdout


def rules_to_run(folder: Path, arguments: list[str]) -> dict[str, int]:
    """Jobs by rule that a run would start now."""
    text = run(folder, "snakemake", "--dry-run", *arguments)
    if "Nothing to be done" in text:
        return {}
    counts = re.findall(r"^(\w+) +(\d+)$", text.rpartition("Job stats:")[2], re.MULTILINE)
    return {name: int(count) for name, count in counts if name not in ("total", "all", "default")}


def other_words(text: str) -> str:
    """The same code with another comment, docstring and, where there is one, message."""
    text = re.sub(r'^"""', '"""In other words: ', text, count=1)
    text = re.sub(r'(    raise \w+\([^)"]*f")', r"\1in other words: ", text, count=1)
    return text + "\n\n# a comment\n"


def other_number(text: str) -> str:
    """The code with the first number of a function changed."""
    lines = text.split("\n")
    for function in ast.walk(ast.parse(text)):
        for node in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
            if isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.lineno == node.end_lineno:
                line = lines[node.lineno - 1]
                number = repr(node.value + 1)
                lines[node.lineno - 1] = line[: node.col_offset] + number + line[node.end_col_offset :]
                return "\n".join(lines)
    raise SystemExit("no number in there")


def main() -> None:
    """Do as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="config/test.yaml")
    parser.add_argument("--cores", default="2")
    given = parser.parse_args()
    faults = []
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "checkout"
        for name in COPIED:
            take = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy.mkdir(exist_ok=True)
            take(ROOT / name, copy / name)
        (copy / "profiles").symlink_to("workflow/profiles")
        run(copy, "cafa", "stages", "record", "--all")
        results = f"results={temporary}/results"
        arguments = ["--cores", given.cores, "--configfile", given.config, "--config", results]
        begun = time.monotonic()
        run(copy, "snakemake", *arguments)
        print(f"a whole run: {time.monotonic() - begun:.0f} s", flush=True)
        originals = {name: (copy / name).read_text() for name in (*DEEPEST, *NUMBERS)}
        for name in DEEPEST:
            (copy / name).write_text(other_words(originals[name]))
        again = rules_to_run(copy, arguments)
        print(f"other words in {', '.join(DEEPEST)}: {again or 'Nothing to be done'}", flush=True)
        faults += [f"other words repeat {again}"] if again else []
        for name, (reruns, keeps) in NUMBERS.items():
            (copy / name).write_text(other_number(originals[name]))
            again = rules_to_run(copy, arguments)
            print(f"another number in {name}: {again}", flush=True)
            if not reruns <= again.keys() or keeps & again.keys():
                faults.append(f"{name} should repeat {reruns} and not {keeps}")
            run(copy, "cafa", "stages", "record", "--all")
            if again := rules_to_run(copy, arguments):
                faults.append(f"{name} recorded as giving the same results repeats {again}")
            (copy / name).write_text(originals[name])
            run(copy, "cafa", "stages", "record", "--all")
    if faults:
        raise SystemExit("\n".join(faults))
    print("recorded as giving the same results, none of them repeats anything")


if __name__ == "__main__":
    main()
