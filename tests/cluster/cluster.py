"""A SLURM cluster of one node on the loopback, from Debian's packages: set up for a test, and taken away again.

    python tests/cluster/cluster.py        # a cluster to try things on, until Ctrl-C

Munge, slurmctld and slurmd run as root and listen on 127.0.0.1 only. The node has two fake GPUs (null devices) and
three partitions: `cpu`, `gpu`, and `urgent`, whose jobs preempt those of `gpu`. A job above its memory is killed.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

PACKAGES = ("slurm-wlm", "munge")
MARK = "# Written by tests/cluster/cluster.py"
# The job step of Snakemake's plugin drops SLURM_CONF: only this place works.
CONF, GRES = Path("/etc/slurm/slurm.conf"), Path("/etc/slurm/gres.conf")
MUNGE_SOCKET = Path("/run/munge/munge.socket.2")
PORTS = (6817, 6818)

SLURM_CONF = """\
{mark}; daemons and logs are below {folder}
ClusterName=lab
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=6817
SlurmdPort=6818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job is held back as long as a credential lives.
AuthInfo=cred_expire=20
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# Memory is watched every two seconds; no cgroups are needed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=500
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
ReturnToService=2
MpiDefault=none
# squeue must show a job for some time after its end.
MinJobAge=86400
# More CPUs and memory than the machine may have: jobs wait for each other less.
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 Gres=gpu:fake:2 State=UNKNOWN
PartitionName=cpu Nodes=localhost Default=YES MaxTime=INFINITE State=UP PreemptMode=OFF
PartitionName=gpu Nodes=localhost MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent Nodes=localhost MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
"""
GRES_CONF = "{mark}\nNodeName=localhost Name=gpu Type=fake File={folder}/gpu[0-1]\n"


class ClusterError(Exception):
    """The cluster did not start, or a command of SLURM failed."""


def said(*command: str) -> str:
    """Standard output of a command; its errors are raised."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def ours(file: Path) -> bool:
    """Whether a file of /etc/slurm was written here."""
    return file.read_text(errors="replace").startswith(MARK)


def why_not() -> str | None:
    """Why no cluster can be set up on this machine, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a SLURM cluster is set up on Linux and by root only"
    for file in (CONF, GRES):
        if file.exists() and not ours(file):
            return f"{file} is there already and is not ours: this machine has its own SLURM"
    if not all(shutil.which(name) for name in ("slurmctld", "slurmd", "munged")) and not shutil.which("apt-get"):
        return f"there is no apt-get to install {' and '.join(PACKAGES)} with"
    return None


def install() -> None:
    """Install the packages if they are missing."""
    if all(shutil.which(name) for name in ("slurmctld", "slurmd", "munged")):
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", *command], capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise ClusterError(f"apt-get {command[0]} failed: {done.stderr[-1000:]}")


class Cluster:
    """A cluster for the length of a `with` block.

    Parameters
    ----------
    folder : Path
        State, logs and device nodes; need not exist.

    Attributes
    ----------
    finished_jobs : Path
        One line per ended (or requeued) job, written by SLURM.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.finished_jobs = folder / "jobs.txt"
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Cluster":
        stop_left_over()
        for port in PORTS:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    raise ClusterError(f"something listens on port {port} already: is a SLURM running here?")
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        for number in range(2):
            os.mknod(self.folder / f"gpu{number}", 0o600 | 0o020000, os.makedev(1, 3))
        CONF.parent.mkdir(exist_ok=True)
        CONF.write_text(SLURM_CONF.format(mark=MARK, folder=self.folder))
        GRES.write_text(GRES_CONF.format(mark=MARK, folder=self.folder))
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    def _start(self) -> None:
        if not munge_answers():
            MUNGE_SOCKET.parent.mkdir(exist_ok=True)
            shutil.chown(MUNGE_SOCKET.parent, "munge", "munge")
            MUNGE_SOCKET.parent.chmod(0o755)
            self._daemon("runuser", "-u", "munge", "--", "/usr/sbin/munged", "--foreground", "--force")
            self._wait("munge", munge_answers)
        self._daemon("slurmctld", "-D")
        self._wait(
            "slurmctld", lambda: "UP" in subprocess.run(["scontrol", "ping"], capture_output=True, text=True).stdout
        )
        self._daemon("slurmd", "-D", "-N", "localhost")
        self._wait("node", lambda: said("sinfo", "--noheader", "--format=%T", "--partition=cpu").strip() == "idle")
        if (answer := said("srun", "--ntasks=1", "echo", "ready").strip()) != "ready":
            raise ClusterError(f"the first job answered {answer!r}")

    def _daemon(self, *command: str) -> None:
        log = (self.folder / f"{Path(command[0]).name}.out").open("ab")
        self._daemons.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))

    def _wait(self, what: str, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end or any(daemon.poll() is not None for daemon in self._daemons):
                logs = sorted([*self.folder.glob("*.out"), *self.folder.glob("slurm*.log")])
                tails = "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)
                raise ClusterError(f"{what} did not start\n{tails}")
            time.sleep(0.3)

    def _stop(self) -> None:
        if self._daemons and subprocess.run(["scontrol", "ping"], capture_output=True).returncode == 0:
            subprocess.run(["scancel", "--user=root"], capture_output=True)
            end = time.monotonic() + 30
            while time.monotonic() < end and active_jobs():
                time.sleep(0.5)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(daemon.pid, signal.SIGKILL)
                daemon.wait()
        self._daemons.clear()
        remove_files()


def munge_answers() -> bool:
    """Whether munge's daemon runs."""
    return subprocess.run(["munge", "--no-input"], capture_output=True).returncode == 0


def active_jobs() -> list[str]:
    """Ids of jobs that wait, run or are being ended."""
    return said("squeue", "--noheader", "--format=%i").split()


def remove_files() -> None:
    """Remove our files from /etc/slurm."""
    for file in (CONF, GRES):
        if file.exists() and ours(file):
            file.unlink()


def stop_left_over() -> None:
    """End the daemons of a test that was killed, and remove its files."""
    if not CONF.exists():
        return
    settings = dict(line.split("=", 1) for line in CONF.read_text().splitlines() if "=" in line and line[0].isupper())
    for key, name in (("SlurmdPidFile", "slurmd"), ("SlurmctldPidFile", "slurmctld")):
        file = Path(settings[key])
        pid = file.read_text().strip() if file.exists() else ""
        if pid and (comm := Path(f"/proc/{pid}/comm")).exists() and comm.read_text().strip() == name:
            os.kill(int(pid), signal.SIGTERM)
            while comm.exists():
                time.sleep(0.2)
    remove_files()


def main() -> None:
    """Set up a cluster and keep it until Ctrl-C."""
    if reason := why_not():
        raise SystemExit(reason)
    install()
    with tempfile.TemporaryDirectory() as temporary, Cluster(Path(temporary) / "slurm"):
        print(said("sinfo"), "Ctrl-C ends it.", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("stopping")


if __name__ == "__main__":
    main()
