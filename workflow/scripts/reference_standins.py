"""What stands in where a published package imports something that is not there, and that no answer depends on."""

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import MagicMock

#: module -> its parts that the packages import
PARTS = {
    "torchvision": (
        "datasets",
        "models",
        "models.feature_extraction",
        "ops",
        "ops.misc",
        "transforms",
        "transforms.functional",
    ),
    "torchaudio": ("functional", "transforms"),
    "encodec": (),
    "timm": ("models", "models._hub"),
}


class NotImportable(Exception):
    """A package that cannot be imported here, and why."""


def replace_modules(names: Sequence[str]) -> list[str]:
    """Put empty modules where one of `names` cannot be imported; return those."""
    replaced = []
    for name in names:
        try:
            importlib.import_module(name)
        except (ImportError, OSError, RuntimeError):
            for loaded in [module for module in sys.modules if module.split(".")[0] == name]:
                del sys.modules[loaded]
            for full in (name, *(f"{name}.{part}" for part in PARTS[name])):
                sys.modules[full] = MagicMock()
            replaced.append(name)
    return replaced


def python_of_torchaudio() -> list[str]:
    """Import torchaudio; where only its compiled part does not fit this torch, without that part; return it if so.

    What the packages use of torchaudio (resampling, Kaldi's mel filters) is written in Python and runs as published.
    """
    try:
        importlib.import_module("torchaudio")
        return []
    except (ImportError, OSError, RuntimeError):
        for loaded in [module for module in sys.modules if module.split(".")[0] == "torchaudio"]:
            del sys.modules[loaded]
    compiled = types.ModuleType("torchaudio._extension")
    compiled.__dict__.update(_IS_TORCHAUDIO_EXT_AVAILABLE=False, fail_if_no_align=lambda function: function)
    sys.modules["torchaudio._extension"] = compiled
    with importing():
        importlib.import_module("torchaudio")
    return ["torchaudio's compiled extension"]


def replace_names(module: Any, names: Sequence[str]) -> list[str]:
    """Put decorators that change nothing where `module` has lost one of `names`; return those."""
    missing = [name for name in names if not hasattr(module, name)]
    for name in missing:
        setattr(module, name, lambda *args, **kwargs: lambda function: function)
    return [f"{module.__name__}.{name}" for name in missing]


def bare_package(name: str) -> None:
    """Make the modules of a package importable without running its ``__init__``, which imports or fetches more.

    Raises
    ------
    ImportError
        If there is no such package.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"no package {name}")
    package = types.ModuleType(name)
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules[name] = package


@contextmanager
def importing() -> Iterator[None]:
    """Say `NotImportable` where the block, which only imports, fails."""
    try:
        yield
    except (ImportError, OSError, RuntimeError) as error:
        raise NotImportable(f"cannot be imported: {type(error).__name__}: {error}".split("\n")[0]) from error
