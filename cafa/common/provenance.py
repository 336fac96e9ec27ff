"""What a result was made by: versions of packages, and the guard of the package names."""

import importlib.metadata
import importlib.util
from pathlib import Path

from cafa.common.errors import CafaError

PACKAGES = ("cafa", "metrics")


def project_root() -> Path:
    """Folder that holds the packages ``cafa`` and ``metrics``.

    Raises
    ------
    CafaError
        If another installed package called ``metrics`` hides ours.
    """
    root = Path(__file__).resolve().parents[2]
    spec = importlib.util.find_spec("metrics")
    found = Path((spec and spec.origin) or "").resolve()
    if found.parent.parent != root:
        raise CafaError(
            f"the package `metrics` that Python finds is {found}, not the one beside {root / 'cafa'}: "
            "another installed package has the same name; uninstall it or use a fresh environment"
        )
    return root


#: packages that numbers depend on; not all are installed everywhere
NUMERIC = (
    "cafa", "torch", "diffusers", "transformers", "safetensors", "numpy", "scipy", "pandas", "pyarrow", "av", "decord",
    "opencv-python-headless", "soundfile", "soxr", "snakemake",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on; those that are not installed are left out."""
    found = {}
    for name in NUMERIC:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
