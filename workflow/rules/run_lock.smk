"""One run at a time per results folder, without anything to unlock after a kill."""

import fcntl
import os
import shutil

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger


def take_run_lock():
    """Allow one run at a time per results folder, for as long as this process lives.

    The kernel lets go of the lock when the process ends, however it ends: nothing has to be unlocked after a kill.
    Snakemake's own lock, which has to be, is off in the profiles. The descriptor is left open on purpose.
    """
    os.makedirs(RESULTS, exist_ok=True)
    lock = os.open(f"{RESULTS}/.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 200).decode()
        raise WorkflowError(f"another run is writing to {RESULTS} ({holder}): wait for it, or stop it") from None
    os.ftruncate(lock, 0)
    os.write(lock, f"process {os.getpid()} on {os.uname().nodename}".encode())
    with open(f"{RESULTS}/.jobs.lock", "a") as jobs:
        try:
            fcntl.flock(jobs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info(f"Jobs of a run that was stopped are still writing to {RESULTS}: waiting until they end.")
            fcntl.flock(jobs, fcntl.LOCK_EX)
    shutil.rmtree(f"{RESULTS}/.attempts", ignore_errors=True)  # attempts are counted anew in every run
