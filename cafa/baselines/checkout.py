"""A checkout of somebody else's code: whether it is the commit that its driver was written for."""

import subprocess
from pathlib import Path

from cafa.common.errors import InputError


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise InputError(f"git is needed to check {folder}: install it") from error
    if done.returncode != 0:
        raise InputError(f"{folder} is no git checkout: {done.stderr.strip()}")
    return done.stdout.strip()


def require_commit(folder: str | Path, commit: str, repository: str) -> Path:
    """The folder of a checkout, if it is at the commit and its files are as committed.

    Raises
    ------
    InputError
        If it is not there, at another commit, or changed: what was found, and the commands that make it right.
    """
    place = Path(folder).expanduser().resolve()
    get = f"git clone {repository} {folder} && git -C {folder} checkout {commit}"
    if not place.is_dir():
        raise InputError(f"there is no checkout at {folder}: {get}")
    if Path(_git(place, "rev-parse", "--show-toplevel")).resolve() != place:
        raise InputError(f"{folder} is a folder inside of another checkout, not one of its own: {get}")
    found = _git(place, "rev-parse", "HEAD")
    if found != commit:
        raise InputError(
            f"{folder} is at commit {found}, its driver was written for {commit}: `git -C {folder} checkout {commit}`, "
            "or set `commit` of the system if you know that the functions it calls are the same"
        )
    if changed := _git(place, "status", "--porcelain", "--untracked-files=no"):
        first = ", ".join(line[2:].strip() for line in changed.splitlines()[:5])
        raise InputError(
            f"files of {folder} differ from commit {commit}: {first}. `git -C {folder} stash` lays them by"
        )
    return place
