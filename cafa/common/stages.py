"""Versions of results: of the code behind them, and of the packages that compute.

A result records the *version* of its stage, not a digest of code: `v1` while the code is the recorded one, so that a
change that leaves results equal (speed, clearer code) repeats nothing once it is recorded as such, and a change that
makes other results raises the version. Code that is not recorded yet counts as a version of its own.
The record, ``stages.json``, is written by `cafa stages record` and lies in the package.

Where the code of a stage begins is in :mod:`cafa.common.stage_table`. Everything that it imports counts, directly or
not, also where a module is imported in a function, or named by a string as the entries of a registry are; so does every
file of data that it names (templates, tables), and the options of its command with their defaults.

Beside the version stand the packages that compute the stage's numbers, such as ``v1 numpy-2.4 torch-2.13``: those of
:data:`cafa.common.provenance.COMPUTING` that its code imports. Only the first two numbers of their versions are
compared: a release that changes the third one repairs errors, and it would be worse to repeat a thousand GPU hours for
each of them; the full versions stand on every card. Another minor version does make results again, since kernels,
resamplers and decoders change with it. Packages that carry values from file to array and back (pandas, pyarrow,
safetensors) do not count. To keep finished results although such a package is another one, call
``snakemake --rerun-triggers mtime input``; unfinished work goes on with ``--config on_changed=resume``. Where plugins
are named (:mod:`cafa.common.plugins`), a digest of their source stands there as well.
"""

import hashlib
from ast import AsyncFunctionDef, Call, Constant, FunctionDef, Module, parse
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cafa.common.errors import CafaError
from cafa.common.files import digest_of, read_json, sha256_file, write_json
from cafa.common.normalised_code import (
    digest_of_code,
    imports_of,
    name_of_call,
    named_modules,
    nodes_of,
    normalised,
    packages_of,
    part_of,
    strings_of,
)
from cafa.common.plugins import plugins_digest
from cafa.common.provenance import COMPUTING, PACKAGES, minor_version, project_root
from cafa.common.stage_table import STAGES, Stage

__all__ = [
    "STAGES",
    "callback_of",
    "changed_code",
    "code_behind",
    "code_digest",
    "data_files",
    "is_as_recorded",
    "names_behind",
    "packages_behind",
    "record",
    "sources_digest",
    "stage_version",
]

RECORD = Path(__file__).with_name("stages.json")
#: beside the record: digest of it and of all files of the packages, as they were when every stage was recorded
SOURCES = "stage_sources.json"
#: modules that are reached from everywhere and decide no result: what a result records, when it may go on, the verbs
BESIDE_RESULTS = {
    "cafa.common.stages",
    "cafa.common.stage_table",
    "cafa.common.normalised_code",
    "cafa.common.provenance",
    "cafa.common.plugins",
    "cafa.common.resume",
    "cafa.common.progress",
    "cafa.common.counting",
    "cafa.common.folder_lock",
    "cafa.cli",
}
#: table of weights; see :class:`cafa.common.stage_table.Stage`
WEIGHTS_TABLE = "weights.tsv"


@cache
def _module_file(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


@dataclass(frozen=True)
class _Code:
    """What a module, or a part of it, adds to a stage."""

    digest: str
    imports: frozenset[str]
    #: (registry, entry, module) of strings that name modules
    named: frozenset[tuple[str, str, str]]
    strings: frozenset[str]
    packages: frozenset[str]


@cache
def _code_of(file: Path, function: str) -> _Code:
    return _analysed(file.read_text(encoding="utf-8"), function)


def _analysed(text: str, function: str) -> _Code:
    # A part is chosen with its annotations: what a function is given (settings, files) belongs to it.
    tree: Module = normalised(part_of(parse(text), function) if function else parse(text))
    nodes = nodes_of(tree)
    return _Code(
        digest_of_code(tree), imports_of(nodes, PACKAGES), named_modules(nodes), strings_of(nodes), packages_of(nodes)
    )


@cache
def callback_of(root: Path, command: str) -> str:
    """What a command of the command line calls, ``module:function``; found without importing it.

    Raises
    ------
    CafaError
        If there is no such command.
    """
    verb, _, name = command.partition(" ")
    module = f"cafa.cli.{verb}"
    file = _module_file(root, module)
    if file is not None and not name:
        return f"{module}:command"
    for line in parse(file.read_text(encoding="utf-8")).body if file is not None else ():
        if isinstance(line, FunctionDef | AsyncFunctionDef):
            calls = [one for one in line.decorator_list if isinstance(one, Call) and name_of_call(one) == "command"]
            given = [word.value for one in calls for word in one.args if isinstance(word, Constant)]
            if calls and name == (given[0] if given else line.name.replace("_", "-")):
                return f"{module}:{line.name}"
    raise CafaError(f"there is no command `cafa {command}`: name the present one in cafa/common/stage_table.py")


@cache
def data_files(root: Path) -> tuple[Path, ...]:
    """Files of the packages that are no Python."""
    found = [path for package in PACKAGES for path in (root / package).rglob("*") if path.is_file()]
    no_data, records = (".py", ".pyc", ".pyi", ".typed"), (RECORD.name, SOURCES)
    return tuple(sorted(path for path in found if path.suffix not in no_data and path.name not in records))


@cache
def sources_digest(root: Path) -> str:
    """Digest of every file of the packages that a version can depend on."""
    digest = hashlib.sha256()
    python = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    for path in sorted({*python, *data_files(root)}):
        digest.update(f"{path.relative_to(root).as_posix()}\0{sha256_file(path)}\0".encode())
    return digest.hexdigest()


def _digest_of_all() -> str:
    """Digest of every file of the packages and of the record: it may be one of other files, as after a merge."""
    return digest_of([sources_digest(project_root()), sha256_file(RECORD)])


@cache
def _recorded() -> dict[str, Any]:
    """The record, read once: versions of all stages are asked for at every start of the workflow."""
    return read_json(RECORD)


@cache
def is_as_recorded() -> bool:
    """Whether every file is, byte for byte, as it was when all stages were recorded: nothing has to be analysed then.

    To parse what is behind all stages takes seconds of every start of the workflow, and up to one of every command.
    """
    path = RECORD.with_name(SOURCES)
    return path.is_file() and RECORD.is_file() and read_json(path) == _digest_of_all()


@cache
def _files_named(root: Path, strings: frozenset[str]) -> frozenset[str]:
    """Names of the files of data that stand in one of the constants of a module, or of a part of it."""
    return frozenset(file.name for file in data_files(root) if any(file.name in text for text in strings))


@dataclass
class _Reached:
    """Everything behind a stage: digests by name, names of files of data, and packages by import name."""

    digests: dict[str, str]
    files: set[str]
    packages: set[str]


def _roots(root: Path, stage: str) -> list[str]:
    """Where the code of a stage begins; all of it exists."""
    names = [*STAGES[stage].functions.values(), *STAGES[stage].modules]
    for name in names:
        module, _, function = name.partition(":")
        file = _module_file(root, module)
        if file is None or (function and f"def {function}(" not in file.read_text(encoding="utf-8")):
            raise CafaError(
                f"stage {stage}: there is no {name} below {root}: name the present one in cafa/common/stage_table.py"
            )
    return names


def _leaves_out(stage: Stage, module: str) -> bool:
    return module in BESIDE_RESULTS or any(f"{module}.".startswith(f"{one}.") for one in stage.without)


def _next(stage: Stage, name: str, code: _Code) -> list[str]:
    """Modules that a module, or a part of one, leads to."""
    module, _, function = name.partition(":")
    usable = [
        named
        for registry, entry, named in code.named
        if registry not in stage.entries or entry in stage.entries[registry]
    ]
    parent = [] if function or "." not in module else [module.rpartition(".")[0]]
    return [*sorted(code.imports), *sorted(usable), *parent]


@cache
def _reached(root: Path, stage_name: str) -> _Reached:
    stage, found = STAGES[stage_name], _Reached({}, set(), set())
    _follow(root, stage, _roots(root, stage_name), found)
    for path in data_files(root):
        table = path.name == WEIGHTS_TABLE
        if stage.weights_table if table else path.name in found.files:
            found.digests[str(path.relative_to(root))] = sha256_file(path)[:16]
    # A command counts with its options and their defaults, but computes nothing: what it calls is the stage function.
    of_options = _Reached(dict(found.digests), set(), set())
    for command in stage.functions:
        callback = callback_of(root, command)
        module, _, function = callback.partition(":")
        if callback not in found.digests and (file := _module_file(root, module)) is not None:
            code = _code_of(file, function)
            of_options.digests[callback] = code.digest
            _follow(root, stage, [name for name in sorted(code.imports) if name.startswith("cafa.cli.")], of_options)
    found.digests.update(of_options.digests)
    return found


def _follow(root: Path, stage: Stage, waiting: list[str], found: _Reached) -> None:
    """Add to `found` what is waiting, and whatever that leads to."""
    while waiting:
        name = waiting.pop()
        module, _, function = name.partition(":")
        file = _module_file(root, module)
        if file is None or name in found.digests or (not function and _leaves_out(stage, module)):
            continue
        code = _code_of(file, function)
        found.digests[name] = code.digest
        found.files |= _files_named(root, code.strings)
        found.packages |= code.packages
        waiting += _next(stage, name, code)


def _known(stage: str) -> str:
    if stage not in STAGES:
        raise CafaError(f"no stage {stage!r}; there are {', '.join(STAGES)}")
    return stage


def code_behind(stage: str) -> dict[str, str]:
    """Digest of each module, part of a module, and file of data that the results of a stage depend on, by name.

    A file of data belongs to the modules that name it.

    Raises
    ------
    CafaError
        If there is no such stage, or a root of it does not exist.
    """
    return dict(sorted(_reached(project_root(), _known(stage)).digests.items()))


def _computing(stage: str) -> list[str]:
    return sorted(_reached(project_root(), _known(stage)).packages & COMPUTING)


def _record_in_force(stage: str) -> dict[str, Any] | None:
    """What is recorded of a stage, if its code is still the recorded one."""
    recorded: dict[str, Any] | None = _recorded().get(_known(stage))
    unchanged = recorded is not None and (is_as_recorded() or recorded["code"] == code_digest(stage))
    return recorded if unchanged else None


def names_behind(stage: str) -> list[str]:
    """Names of :func:`code_behind`, from the record where that is in force: nothing is analysed then."""
    recorded = _record_in_force(stage)
    return sorted(code_behind(stage) if recorded is None else recorded["modules"])


def packages_behind(stage: str) -> list[str]:
    """Packages that compute the results of a stage, with the first two numbers of their versions: ``torch-2.13``.

    Those that are not installed are left out: the code does without them.
    """
    recorded = _record_in_force(stage)
    computing = _computing(stage) if recorded is None else recorded["packages"]
    versions = {name: minor_version(name) for name in computing}
    return [f"{name}-{version}" for name, version in versions.items() if version is not None]


@cache
def code_digest(stage: str) -> str:
    """Digest of all code behind a stage."""
    lines = "".join(f"{name}\0{digest}\0" for name, digest in code_behind(stage).items())
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


@cache
def _code_version(stage: str) -> str:
    recorded = _record_in_force(stage)
    return code_digest(stage) if recorded is None else f"v{recorded['version']}"


@cache
def stage_version(stage: str) -> str:
    """Version of the results of a stage: ``v1 numpy-2.4 torch-2.13``.

    The digest of its code stands in the place of ``v1`` where that is not the recorded one. Where plugins are named, a
    digest of their source is the last word. Computed once per process: a workflow asks for the same one for thousands
    of jobs.
    """
    plugins = plugins_digest()
    words = [_code_version(stage), *packages_behind(stage), *([f"plugins-{plugins}"] if plugins else [])]
    return " ".join(words)


def version_of_features(kind: str) -> str:
    """Version of the code that makes features of a kind; that of a plugin's kind holds the digest of the plugins."""
    stage = f"encode_{kind}"
    return stage_version(stage) if stage in STAGES else f"{stage_version('encode_clip')}-{plugins_digest()}"


def forget_versions() -> None:
    """Forget what was computed in this process; the record, the code or the plugins changed."""
    for cached in (
        _reached,
        code_digest,
        _code_version,
        stage_version,
        _code_of,
        _module_file,
        _files_named,
        data_files,
        sources_digest,
        is_as_recorded,
        _recorded,
    ):
        cached.cache_clear()
    callback_of.cache_clear()


def changed_code(stage: str) -> list[str] | None:
    """What changed behind a stage since it was recorded: names with ``+``, ``-`` or ``~``; None if nothing did."""
    recorded = _recorded().get(stage)
    if recorded is None:
        return ["never recorded"]
    if _record_in_force(stage) is not None:
        return None
    before, now = recorded["modules"], {name: digest[:8] for name, digest in code_behind(stage).items()}
    changed = [f"~{name}" for name in sorted(before.keys() & now.keys()) if before[name] != now[name]]
    changed += [f"+{name}" for name in sorted(now.keys() - before.keys())]
    return changed + [f"-{name}" for name in sorted(before.keys() - now.keys())]


def record(stages: Iterable[str], *, new_results: bool) -> dict[str, int]:
    """Record the present code of stages; `new_results` raises their versions.

    A package that the code went without since stays among the stage's until its version is raised: results that were
    made with it are as good as new ones, and are not made again.

    Returns
    -------
    dict
        Stage -> version.
    """
    known = read_json(RECORD) if RECORD.exists() else {}
    versions = {}
    for stage in stages:
        before = known.get(stage, {"version": 0 if new_results else 1, "packages": []})
        versions[stage] = before["version"] + 1 if new_results else before["version"]
        named = set() if new_results else set(before["packages"])
        modules = {name: digest[:8] for name, digest in code_behind(stage).items()}
        known[stage] = {
            "version": versions[stage],
            "code": code_digest(stage),
            "packages": sorted(named.union(_computing(stage))),
            "modules": modules,
        }
    write_json(RECORD, {stage: entry for stage, entry in known.items() if stage in STAGES})
    _recorded.cache_clear()
    sources = RECORD.with_name(SOURCES)
    if all(changed_code(stage) is None for stage in STAGES):
        write_json(sources, _digest_of_all())
    else:
        sources.unlink(missing_ok=True)
    for cached in (_code_version, stage_version, is_as_recorded):
        cached.cache_clear()
    return versions
