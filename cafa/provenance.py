"""What a result was made by: code digests, versions, and the guard of the package names."""

import ast
import hashlib
import importlib.metadata
from functools import cache
from pathlib import Path

from cafa.errors import CafaError

PACKAGES = ("cafa", "metrics")


def project_root() -> Path:
    """Folder that holds the packages ``cafa`` and ``metrics``.

    Raises
    ------
    CafaError
        If another installed package called ``metrics`` hides ours.
    """
    import metrics

    root = Path(__file__).resolve().parent.parent
    found = Path(metrics.__file__ or "").resolve()
    if getattr(metrics, "PROJECT", None) != "cafa" or found.parent.parent != root:
        raise CafaError(
            f"the package `metrics` that Python finds is {found}, not the one beside {root / 'cafa'}: "
            "another installed package has the same name; uninstall it or use a fresh environment"
        )
    return root


def _module_file(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _imports(file: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(), filename=str(file))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name for name in names if name.split(".")[0] in PACKAGES)


def modules_behind(*modules: str) -> dict[str, Path]:
    """Files of `modules` and of every module of ours that they import, directly or not.

    Imports inside functions count as well.

    Raises
    ------
    CafaError
        If a module named here does not exist.
    """
    root = project_root()
    found: dict[str, Path] = {}
    waiting = list(modules)
    for module in modules:
        if _module_file(root, module) is None:
            raise CafaError(f"no module {module!r} below {root}: rename it where the rule names it")
    while waiting:
        module = waiting.pop()
        file = _module_file(root, module)
        if file is None or module in found:  # `from module import name` also yields "module.name"
            continue
        found[module] = file
        waiting += sorted(_imports(file)) + [module.rpartition(".")[0]] * ("." in module)
    return found


@cache
def code_digest(*modules: str) -> str:
    """Digest of the source of `modules` and all they import of ours: changes when behaviour may change.

    Read once per process: a workflow asks for the same digest for thousands of jobs.
    """
    digest = hashlib.sha256()
    for module, file in sorted(modules_behind(*modules).items()):
        digest.update(module.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on."""
    names = ("cafa", "torch", "diffusers", "transformers", "numpy", "scipy", "av", "soxr", "snakemake")
    return {name: importlib.metadata.version(name) for name in names}
