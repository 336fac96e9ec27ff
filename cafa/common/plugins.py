"""Plugins: modules of other people that register judges, metrics, backbones, and whatever else has a registry.

A plugin is an importable module that calls `register` when it is imported. It is named by the environment variable
``CAFA_PLUGINS`` (several: separated by commas), which the workflow sets from its key ``plugins``, or by an installed
package's entry point in the group ``cafa.plugins``.
"""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from cafa.common.errors import InputError

VARIABLE = "CAFA_PLUGINS"
GROUP = "cafa.plugins"
_loaded: set[str] = set()


def plugin_names() -> list[str]:
    """Modules that are named as plugins, each once, in a fixed order."""
    named = {name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()}
    return sorted(named | _installed())


@cache
def _installed() -> frozenset[str]:
    """Modules that installed packages name; asked for once, since it reads a file of each of hundreds of packages."""
    return frozenset(entry.value.partition(":")[0] for entry in importlib.metadata.entry_points(group=GROUP))


def use_plugins(names: Iterable[str]) -> None:
    """Name modules as plugins, for this process and those that it starts, and import them."""
    os.environ[VARIABLE] = ",".join(names)
    load_plugins()


def load_plugins() -> None:
    """Import every plugin that is not imported yet, so that what it registers can be found.

    Raises
    ------
    InputError
        If a plugin cannot be found. An error inside a plugin is the plugin's, and is not changed.
    """
    for name in plugin_names():
        if name in _loaded:
            continue
        if _file_of(name) is None:
            raise InputError(
                f"plugin {name!r} cannot be imported: install it, or add its folder to PYTHONPATH "
                f"(it is named by `plugins` of the configuration, by {VARIABLE} or by an entry point {GROUP!r})"
            )
        _loaded.add(name)  # before the import: a plugin may ask a registry for what is there
        importlib.import_module(name)


def plugins_digest() -> str | None:
    """Digest of the source of all plugins, which results may depend on; None if there is none."""
    names = plugin_names()
    if not names:
        return None
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}\0{_source_digest(name)}\0".encode())
    return digest.hexdigest()[:16]


def _file_of(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin)


@cache
def _source_digest(name: str) -> str:
    file = _file_of(name)
    digest = hashlib.sha256()
    for path in _files(file) if file is not None else ():
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _files(file: Path) -> Iterator[Path]:
    if file.name == "__init__.py":
        yield from sorted(path for path in file.parent.rglob("*.py") if path.is_file())
    else:
        yield file
