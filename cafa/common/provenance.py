"""What a result was made by: versions of packages, and the guard of the package names."""

import importlib.metadata
import importlib.util
import platform
from functools import cache
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


#: packages that numbers depend on, by the name they are imported by -> distributions that bring them
NUMERIC = {
    "torch": ("torch",),
    "diffusers": ("diffusers",),
    "transformers": ("transformers",),
    "tokenizers": ("tokenizers",),
    "accelerate": ("accelerate",),
    "safetensors": ("safetensors",),
    "numpy": ("numpy",),
    "scipy": ("scipy",),
    "pandas": ("pandas",),
    "pyarrow": ("pyarrow",),
    "av": ("av",),
    "decord": ("decord",),
    "cv2": ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python"),
    "soundfile": ("soundfile",),
    "pyloudnorm": ("pyloudnorm",),
    "soxr": ("soxr",),
    "snakemake": ("snakemake",),
    "cafa": ("cafa",),
}
#: of these, the ones whose other version may compute other numbers: results are made again. The others carry values
#: from file to array and back, say in which order jobs run, or follow a published file to the letter (tokenizers: which
#: ids a caption has is written there; when versions began to be recorded it was at work below transformers already, and
#: to name it now would make every sound again although all ids are the same).
COMPUTING = frozenset(NUMERIC) - {
    "safetensors",
    "pandas",
    "pyarrow",
    "tokenizers",
    "accelerate",
    "snakemake",
    "cafa",
}


@cache
def installed(package: str) -> tuple[str, str] | None:
    """Distribution that brings a package of :data:`NUMERIC`, and its version; None if it is not installed."""
    for name in NUMERIC[package]:
        try:
            return name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def minor_version(package: str) -> str | None:
    """First two numbers of the version of a package of :data:`NUMERIC`: ``2.13`` of ``2.13.0+cu130``."""
    found = installed(package)
    return None if found is None else ".".join(found[1].partition("+")[0].split(".")[:2])


def versions() -> dict[str, str]:
    """Versions of Python, of the packages that numbers depend on, and of the C libraries that decode.

    Packages that are not installed are left out. PyAV and soundfile bring FFmpeg and libsndfile, which decode.
    """
    found = {"python": platform.python_version()}
    found |= {known[0]: known[1] for package in NUMERIC if (known := installed(package)) is not None}
    return found | _decoders()


@cache
def _decoders() -> dict[str, str]:
    found: dict[str, str] = {}
    if installed("av") is not None:
        import av

        # PyAV gives the FFmpeg that it carries by its libraries.
        found |= {name: ".".join(map(str, numbers)) for name, numbers in av.library_versions.items()}
    if installed("soundfile") is not None:
        import soundfile

        found["libsndfile"] = soundfile.__libsndfile_version__
    return found
