"""Write the lock files again: every version, direct and transitive, with the digests of its files. Run by `make lock`.

``lock.txt`` holds what the library and the workflow need, ``lock-test.txt`` that and what tests, type checks and the
documentation need. ``lock-cpu.txt`` holds the build of torch for CPUs, ``lock-cuda.txt`` the CUDA libraries that torch
of the package index asks for on Linux; ``install.sh`` takes one of the two. Versions that are in the files stay:
``--upgrade`` takes the newest that pyproject.toml admits, ``--upgrade-package NAME`` those of one package.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVS = ROOT / "envs"
#: on Linux, torch of the package index asks for these; the build for CPUs does without
CUDA = re.compile(r"(nvidia|cuda)-.*|triton")
#: not in the package index: torch-<version>+cpu-<python>-<python>-manylinux_2_28_<machine>.whl, which PyTorch publishes
CPU_BUILDS = {
    "2.13.0": {
        "cp311 x86_64": "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
        "cp311 aarch64": "84453b69508ec79902f899c5ed9495acb9e2bbe9fda5f1d5d6f19e3c3842e1a7",
        "cp312 x86_64": "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",
        "cp312 aarch64": "6f307c2c32d764ffc6ff6893b801fad6d4752f3e67966cb8abf1843427c02604",
        "cp313 x86_64": "3fbf9c9d1f3c10c2d59d04aca426dee9ccc6ceb32d255c61e93acc3b4f75fae6",
        "cp313 aarch64": "0b8f7d0423027ae8b90c7977c627f3379f325363a08224dffad9b4b2d684a83d",
    }
}
HEADER = """\
# Written by `make lock` from pyproject.toml: do not edit. {what}
# Install with: bash envs/install.sh PYTHON LOCK; it says which files belong together.
"""


def entries(text: str) -> dict[str, str]:
    """Names of a lock file, each with its lines."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if line.startswith("#"):
            continue
        if not line[:1].isspace():
            # a package may stand twice, for two markers
            name = re.split(r"[=\s]", line, maxsplit=1)[0]
        found[name] = found.get(name, "") + line
    return found


def compiled(uv: str, extra: str, folder: Path, seed: Path, options: Iterable[str]) -> dict[str, str]:
    """Entries of the resolution of pyproject.toml with one extra; versions in `seed` are preferred."""
    output = folder / f"{extra}.txt"
    # without digests: uv would keep those that it did not find itself
    output.write_text(
        "".join(line.rstrip(" \\\n") + "\n" for line in seed.open() if "==" in line and line[0] not in "# ")
    )
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--extra", extra, *options]
    command += ["--output-file", str(output), str(ROOT / "pyproject.toml")]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    return entries(output.read_text())


def cpu_build(entry: str) -> str:
    """Entry of the builds for CPUs of the version of torch that an entry names."""
    version = re.split(r"[=\s]+", entry)[1]
    if version not in CPU_BUILDS:
        raise SystemExit(f"torch {version}: add the digests of its builds for CPUs to CPU_BUILDS in envs/lock.py")
    digests = " \\\n".join(f"    --hash=sha256:{digest}" for digest in CPU_BUILDS[version].values())
    return f"torch=={version}+cpu \\\n{digests}\n"


def write(name: str, what: str, packages: dict[str, str]) -> None:
    """Write one lock file."""
    (ENVS / name).write_text(HEADER.format(name=name, what=what) + "".join(packages.values()))


def main() -> None:
    """Write the four files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--uv", default=str(Path(sys.executable).with_name("uv")), help="program that resolves versions"
    )
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml admits")
    parser.add_argument("--upgrade-package", action="append", default=[], help="the same for one package")
    chosen = parser.parse_args()
    options = ["--upgrade"] if chosen.upgrade else []
    for package in chosen.upgrade_package:
        options += ["--upgrade-package", package]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        seed = folder / "seed.txt"
        seed.write_text("".join(path.read_text() for path in sorted(ENVS.glob("lock-*.txt"))))
        test = compiled(chosen.uv, "test", folder, seed, options)
        # what both hold has one version
        seed.write_text("".join(test.values()))
        full = compiled(chosen.uv, "full", folder, seed, ["--constraint", str(seed)])
    cuda = {name: lines for name, lines in test.items() if CUDA.fullmatch(name)}
    for packages in (test, full):
        for name in cuda:
            packages.pop(name, None)
    write("lock-cpu.txt", "The build of torch for CPUs.", {"torch": cpu_build(full["torch"])})
    write("lock.txt", "The library and the workflow.", full)
    write("lock-test.txt", "Those of lock.txt, tests, type checks, documentation.", test)
    write("lock-cuda.txt", "CUDA libraries that other builds of torch need on Linux.", cuda)


if __name__ == "__main__":
    main()
