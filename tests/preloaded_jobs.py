"""Snakemake whose jobs are forked from a process that has imported the packages: a third of their processor time.

    python -m tests.preloaded_jobs --cores 2 --configfile config/test.yaml ...       # arguments of snakemake
    python -m tests.preloaded_jobs --also transformers.models.clap.modeling_clap --cores 2 ...      # a module more

Rules, shell lines, logs and the project's own code are as in any run: a job is a process of its own, which imports
``cafa`` and takes folder, environment and open files of the ``cafa`` that the shell has started. In other runs every
job starts the program itself and imports torch, transformers and so on: in those of the tutorial's test, of
``.ci/long``, and of all that starts Snakemake by itself. All processes are of one process group.
"""

import fcntl
import gc
import importlib
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.own_program import environment_with

#: what jobs of this project import for more than a moment, but nothing of the project
PACKAGES = ("numpy", "pandas", "pyarrow.parquet", "scipy.linalg", "scipy.signal", "scipy.stats", "pydantic", "click")
PACKAGES += ("torch", "torch._dynamo")
#: as workflow/rules/jobs.smk sets them for every job: what is read at a start or an import must be there by then
SETTINGS = ("OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1")
SETTINGS += ("MALLOC_MMAP_THRESHOLD_=1000000000", "MALLOC_TRIM_THRESHOLD_=2000000000")

MOST_FILES = 10

#: stands where jobs look for `cafa`: hands over all that a program is given, and ends as the job does
CLIENT = """\
#!{python} -IS
import json, os, socket, sys

def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True

numbers = [number for number in range({most}) if is_open(number)]  # the lock of a job among them
given = {{"arguments": sys.argv, "folder": os.getcwd(), "environment": dict(os.environ), "numbers": numbers}}
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({place!r})
    socket.send_fds(connection, [b"."], numbers)
    with connection.makefile("rw") as stream:
        stream.write(json.dumps(given) + "\\n")
        stream.flush()
        answer = stream.readline()
sys.exit(int(answer) if answer else "the process of this job is gone")
"""


def serve(listening: socket.socket) -> None:
    """Fork a process for every job that asks, until killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that watch
    while True:
        connection, _ = listening.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            watch(connection)
            os._exit(0)
        connection.close()


def watch(connection: socket.socket) -> None:
    """Fork the job of a connection, and answer with its exit status."""
    _, files, _, _ = socket.recv_fds(connection, 1, MOST_FILES)
    with connection.makefile() as stream:
        given = json.loads(stream.readline())
    # Unlike a fork by hand, such a process ends without taking all modules apart.
    job = multiprocessing.get_context("fork").Process(target=work, args=(given, files, connection))
    job.start()
    for file in files:  # whoever reads what the job prints must not wait for this process
        os.close(file)
    job.join()
    code = job.exitcode
    assert code is not None
    connection.sendall(f"{code if code >= 0 else 128 - code}\n".encode())


def work(given: dict[str, Any], files: list[int], connection: socket.socket) -> None:
    """Be the `cafa` that asked, with its folder, environment, open files and arguments."""
    connection.close()
    os.chdir(given["folder"])
    os.environ.clear()
    os.environ.update(given["environment"])
    # out of the way first: a number may be that of another file here
    away = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 100) for file in files]
    for file in files:
        os.close(file)
    for file, number in zip(away, given["numbers"], strict=True):
        os.dup2(file, number)
        os.close(file)
    sys.argv = given["arguments"]
    sys.modules["__main__"].__package__ = None  # click calls a program after it
    from cafa.cli import main as cafa

    cafa()


def main(arguments: list[str]) -> int:
    """Run Snakemake with these arguments; its exit status."""
    also, arguments = (arguments[1:2], arguments[2:]) if arguments[:1] == ["--also"] else ([], arguments)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        place = Path(folder, "socket")
        listening.bind(str(place))
        listening.listen(64)
        client = CLIENT.format(python=Path(sys.executable).resolve(), place=str(place), most=MOST_FILES)
        python = environment_with("cafa", client, Path(folder, "environment"))
        settings = dict(setting.split("=") for setting in SETTINGS)
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.preloaded_jobs", "--serve", str(listening.fileno()), *also],
            env={**os.environ, **settings},
            pass_fds=[listening.fileno()],
        )
        listening.close()  # where the server has ended, jobs shall fail and not wait
        try:
            return subprocess.run([str(python), "-m", "snakemake", *arguments]).returncode
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    if sys.argv[1:2] != ["--serve"]:
        sys.exit(main(sys.argv[1:]))
    for package in (*PACKAGES, *sys.argv[3:]):
        importlib.import_module(package)
    gc.collect()
    gc.freeze()  # no job looks for garbage among the modules, which would copy them
    serve(socket.socket(fileno=int(sys.argv[2])))
