#!/usr/bin/env bash
# Install a lock file and this checkout: bash envs/install.sh PYTHON envs/lock.txt (or envs/lock-test.txt).
# Every package has the recorded version, and its file the recorded digest.
#
# torch: where pip finds PyTorch's build for CPUs (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL), that is taken. Elsewhere it is the
# build of the package index, which needs CUDA libraries on Linux: lock-cuda.txt.
set -euo pipefail
PYTHON="$1" LOCK="$2"
cd "$(dirname "$0")/.."
pip() { "$PYTHON" -m pip --disable-pip-version-check "$@"; }
locked() { pip install --quiet --require-hashes --no-deps -r "$1"; }

# an error of this line is that of the next one too, unless only this build is missing
locked envs/lock-cpu.txt 2>/dev/null || echo "torch: no build for CPUs found, taking that of the package index"
locked "$LOCK"
pip install --quiet --no-deps --no-build-isolation --editable .
if ! pip check >/dev/null; then
    locked envs/lock-cuda.txt
    pip check
fi
