"""How jobs run: the environment of their shell, and memory that grows after an attempt that was killed. No rules here."""

import re
import shlex
import sys
from pathlib import Path

#: Note of an attempt that failed and was not killed, in a file named after its log; see `scaled_memory`.
JOB_ENDED = (
    'code=$?; if [ $code -ne 0 ] && [ $code -ne 137 ]; then text=${BASH_EXECUTION_STRING:-$(<"$0")}; '
    "log=${text##*tee }; log=${log//\\'/}; "
    f"mkdir -p {shlex.quote(RESULTS)}/.attempts; "
    f'echo $code >> {shlex.quote(RESULTS)}/.attempts/"${{log//[^A-Za-z0-9.-]/_}}"; fi; exit $code;'
)


# The command line of the same installation as Snakemake, whatever PATH says; one thread per process, so that
# no bit depends on --cores. OMP_NUM_THREADS is set again because torch reads it when it is imported. Large tensors stay
# with the process between training steps instead of being mapped anew each time (a fifth of the CPU time of AV-CLIP).
# Each job holds a shared lock, by which a later run knows of jobs that outlived their own. Jobs on one machine take GPUs of
# their own. SIGTERM is for the command to decide on: it ends in its own way, and `tee` writes its last words.
PREFIX = (
    "set -euo pipefail; trap '' TERM USR1; trap job_ended EXIT; "
    f"job_ended() {{ {JOB_ENDED} }}; "
    f"exec 9>>{shlex.quote(RESULTS)}/.jobs.lock; if command -v flock >/dev/null; then flock --shared 9 || true; fi; "
    f'export PATH={shlex.quote(os.path.dirname(sys.executable))}:"$PATH" '
    "CAFA_DEAL_GPUS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "
    "MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_TRIM_THRESHOLD_=2000000000 "
    # As --restart or --resume-anyway of a command. No param: what is finished does not depend on it.
    f"CAFA_ON_CHANGED={config.get('on_changed', 'stop')} CAFA_PLUGINS={shlex.quote(','.join(config.get('plugins', [])))}; "
)
shell.prefix(PREFIX.replace("{", "{{").replace("}", "}}"))


def scaled_memory(first):
    """Resource: memory of the first attempt, or a function of wildcards; more for each attempt that was killed.

    An attempt that failed in another way, by a time limit too, leaves a note (`JOB_ENDED`) and gets no more the next time:
    three times the memory may never be scheduled. One without a note was killed, as it happens to jobs that use more
    memory than they asked for. A profile sets `retries`.
    """

    def memory(wildcards, attempt, rulename):
        killed = attempt - 1 - failures(workflow.get_rule(rulename), wildcards) if attempt > 1 else 0
        return (first(wildcards) if callable(first) else first) * (1 + min(max(killed, 0), 2))

    return memory


def failures(rule, wildcards):
    """How many attempts of a job failed in this run and were not killed."""
    log = str(rule.log[0]).format(**wildcards)
    note = Path(RESULTS, ".attempts", re.sub(r"[^A-Za-z0-9.-]", "_", log))
    return len(note.read_text().splitlines()) if note.exists() else 0
