"""Stand-in checkouts of other people's code: git repositories with the same entry points, which can be made to fail."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
#: weights that the published code loads and that nobody fetches for it
WEIGHTS = {"rewas": "ckpts/phi_vggsound.ckpt"}


def git(folder: Path, *words: str) -> str:
    """Run git as nobody in particular."""
    who = ["-c", "user.name=stand-in", "-c", "user.email=stand-in@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True).stdout


def make_checkout(peer: str, folder: Path) -> dict[str, Any]:
    """Make a stand-in checkout; settings of a system that runs it with this Python."""
    shutil.copytree(HERE / peer, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "faults.py", folder)
    (folder / ".gitignore").write_text("weights/\next_weights/\nckpts/\n__pycache__/\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "stand-in")
    if file := WEIGHTS.get(peer):
        (folder / file).parent.mkdir()
        torch.save({"module.weight": torch.zeros(1, 1), "module.bias": torch.zeros(1)}, folder / file)
    return {
        "kind": "external",
        "peer": peer,
        "checkout": str(folder),
        "commit": git(folder, "rev-parse", "HEAD").strip(),
        "python": sys.executable,
    }
