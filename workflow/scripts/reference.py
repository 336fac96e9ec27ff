"""What the published packages answer: run in their own environment (envs/reference.yaml), compared in ours.

    PYTHONPATH=. REFERENCE/bin/python workflow/scripts/reference.py --folder results/parity --offline

Every package runs in a process of its own. Written below the folder: the weights that were used, ``answers.npz`` (with
what went in) and ``about.json`` (versions, and what had to be replaced, or could not be imported). By default weights
are a function of names and shapes (`metrics.parity.weights`); ``--weights`` names a folder of the published files.
ImageBind and Synchformer are no packages: ``--imagebind`` and ``--synchformer`` name checkouts of their repositories.
"""

import argparse
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reference_judges import audiobox, ms_clap, passt, vggish
from reference_packages import clap, frechet, panns
from reference_repositories import imagebind, synchformer
from reference_standins import NotImportable

from metrics.parity.weights import GAIN

#: package -> its name, what asks it, folders of its repository that it imports from (none: a package)
PACKAGES: dict[str, tuple[str, Any, tuple[str, ...]]] = {
    "panns": ("panns-inference", panns, ()),
    "fad": ("frechet-audio-distance", frechet, ()),
    "clap": ("laion-clap", clap, ()),
    "passt": ("hear21passt", passt, ()),
    "vggish": ("torchvggish", vggish, ()),
    "ms_clap": ("msclap", ms_clap, ()),
    "audiobox": ("audiobox-aesthetics", audiobox, ()),
    "imagebind": ("ImageBind", imagebind, (".",)),
    "synchformer": ("Synchformer", synchformer, (".", "model/modules/feat_extractors/visual")),
}


def version(name: str, repository: Path | None) -> str:
    """Version of a package, or commit of a repository."""
    if repository is None:
        return importlib.metadata.version(name)
    command = ["git", "-C", str(repository), "rev-parse", "--short=12", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def ask(package: str, folder: Path, weights: Path | None, repository: Path | None, offline: bool) -> None:
    """Ask one package in this process: ``<package>.npz`` and ``<package>.json``."""
    name, question, _ = PACKAGES[package]
    about: dict[str, Any] = {"package": name, "absent": "", "replaced": [], "note": ""}
    answers: dict[str, Any] = {}
    try:
        answers, about["replaced"], about["note"] = question(folder, weights, offline)
        about["version"] = version(name, repository)
    except NotImportable as error:
        about |= {"absent": str(error), "version": ""}
    np.savez(folder / f"{package}.npz", **answers)
    (folder / f"{package}.json").write_text(json.dumps(about))


def ask_in_its_own_process(package: str, options: argparse.Namespace) -> dict[str, Any]:
    """What a package says of itself; its answers are in ``<package>.npz``."""
    name, _, inside = PACKAGES[package]
    repository: Path | None = getattr(options, package) if inside else None
    if inside and repository is None:
        np.savez(options.folder / f"{package}.npz")
        absent = f"no checkout of its repository was named (--{package})"
        return {"package": name, "version": "", "absent": absent, "replaced": [], "note": ""}
    places = [] if repository is None else [str(repository / part) for part in inside]
    path = [os.environ.get("PYTHONPATH", ""), *places]
    command = [sys.executable, __file__, "--one", package, "--folder", str(options.folder.resolve())]
    command += ["--weights", str(options.weights.resolve())] if options.weights else []
    command += [f"--{package}", str(repository)] if repository else []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, path)))}
    if options.offline:
        command.append("--offline")
        environment["HF_HUB_OFFLINE"] = "1"
    print(f"[{package}] asked", flush=True)
    subprocess.run(command, env=environment, cwd=repository, check=True)
    said: dict[str, Any] = json.loads((options.folder / f"{package}.json").read_text())
    return said


def main() -> None:
    """Run the packages one after the other, and gather what they left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="published files; by default weights are made by a rule")
    parser.add_argument("--imagebind", type=Path, help="checkout of facebookresearch/ImageBind")
    parser.add_argument("--synchformer", type=Path, help="checkout of v-iashin/Synchformer")
    parser.add_argument("--offline", action="store_true", help="fetch nothing: no tokenizers, no RoBERTa to start from")
    parser.add_argument("--only", choices=list(PACKAGES), nargs="+", default=list(PACKAGES), help="ask only these")
    parser.add_argument("--one", choices=list(PACKAGES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.folder
    if options.one:
        repository = getattr(options, options.one, None)
        ask(options.one, folder, options.weights, repository, options.offline)
        return
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    for old in (folder / "weights").iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    packages = {name: ask_in_its_own_process(name, options) for name in options.only}
    answers: dict[str, Any] = {}
    for name in options.only:
        with np.load(folder / f"{name}.npz", allow_pickle=False) as content:
            answers |= dict(content)
        for end in ("npz", "json"):
            (folder / f"{name}.{end}").unlink(missing_ok=True)
    about = {
        "packages": packages,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "weights": "published files" if options.weights else f"by rule, gain {GAIN:g}",
    }
    np.savez(folder / "answers.part.npz", **answers)
    (folder / "about.json").write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
    os.replace(folder / "answers.part.npz", folder / "answers.npz")


if __name__ == "__main__":
    main()
