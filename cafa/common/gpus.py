"""GPUs of one machine assigned to jobs that run at the same time: each has its own, by a lock that the kernel frees.

A job that asks for several gets all of them at once or waits, so that no two jobs wait for each other. Where
``CUDA_VISIBLE_DEVICES`` is set (by a person, by SLURM) only those GPUs are assigned.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from filelock import FileLock, Timeout

from cafa.common.errors import InputError

#: a workflow sets it: its jobs take GPUs of their own
DEAL = "CAFA_DEAL_GPUS"
VISIBLE = "CUDA_VISIBLE_DEVICES"
SECONDS_BETWEEN_TRIES = 1.0
#: locks of this process, until it ends
_HELD: list[ExitStack] = []


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` takes them; empty if not known."""
    if (listed := os.environ.get(VISIBLE)) is not None:
        return [name.strip() for name in listed.split(",") if name.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    words = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return answer.stdout.split() if answer.returncode == 0 else []


def lock_folder() -> Path:
    """Folder of the locks: of this machine and user, and of the SLURM job where there is one.

    Two SLURM jobs of one machine may both call their only GPU 0.
    """
    name = f"cafa-gpus-{os.getuid()}-{os.environ.get('SLURM_JOB_ID', 'machine')}"
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def take_gpus(count: int) -> list[str]:
    """Take GPUs for this process and those that it starts, until it ends; wait until so many are free.

    Parameters
    ----------
    count : int
        GPUs, all or none.

    Returns
    -------
    list of str
        Their names, which ``CUDA_VISIBLE_DEVICES`` now holds; empty if the machine's GPUs are not known.

    Raises
    ------
    InputError
        If fewer are visible.
    """
    names = visible_gpus()
    if not names:
        return []
    if len(names) < count:
        raise InputError(f"{count} GPUs are needed, and {len(names)} are visible ({VISIBLE} or nvidia-smi)")
    folder, waited = lock_folder(), False
    while not (taken := _try(folder, names, count)):
        if not waited:
            print(f"waiting for {count} of the GPUs {', '.join(names)}: others use them", file=sys.stderr, flush=True)
        waited = True
        time.sleep(SECONDS_BETWEEN_TRIES)
    os.environ[VISIBLE] = ",".join(taken)
    return taken


def _try(folder: Path, names: list[str], count: int) -> list[str]:
    """So many free GPUs, or none. One process tries at a time, so that two do not hold a part each."""
    taken: list[str] = []
    with FileLock(folder / "dealing.lock"), ExitStack() as stack:
        for name in names:
            try:
                stack.enter_context(FileLock(folder / f"{name.replace('/', '_')}.lock", timeout=0))
            except Timeout:
                continue
            taken.append(name)
            if len(taken) == count:
                _HELD.append(stack.pop_all())
                return taken
    return []
