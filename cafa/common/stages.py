"""Stages: whose code decides which results, and the version of these results.

A result records the *version* of its stage, not a digest of code: `v1` while the code is the recorded one, so that a
change that leaves results equal (speed, clearer code) repeats nothing once it is recorded as such, and a change that
makes other results raises the version. Code that is not recorded yet counts as a version of its own.
The record, ``stages.json``, is written by `cafa stages record` and lies in the package.
"""

import hashlib
from ast import Module, parse
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cafa.common.errors import CafaError
from cafa.common.files import read_json, sha256_file, write_json
from cafa.common.normalised_code import digest_of_code, imports_of, normalised, part_of, strings_of
from cafa.common.provenance import PACKAGES, project_root

RECORD = Path(__file__).with_name("stages.json")
#: modules that are reached from everywhere and decide no result: what a result records, when it may go on, the verbs
BESIDE_RESULTS = {
    "cafa.common.stages", "cafa.common.normalised_code", "cafa.common.provenance", "cafa.common.resume",
    "cafa.common.progress", "cafa.common.folder_lock", "cafa.cli",
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Where the code behind some results begins.

    Parameters
    ----------
    roots : tuple of str
        ``module:function`` (of the command line: the function, and what it uses of its module) or ``module``.
        Whatever these import, directly or not, belongs to the stage.
    without : tuple of str
        Modules, or packages, that a root imports for other stages.
    registers : bool
        Whether the table of weights counts, whose digests decide what may be registered. What is made with registered
        weights depends on their card.
    """

    roots: tuple[str, ...]
    without: tuple[str, ...] = ()
    registers: bool = False


def _verb(place: str, *without: str, registers: bool = False) -> Stage:
    return Stage((f"cafa.cli.{place}",), without, registers)


_BACKBONES = (
    "cafa.models.interface", "cafa.models.releases", "cafa.models.stable_audio", "cafa.models.tangoflux",
    "cafa.models.encoders.oobleck",
)  # fmt: skip
_EMBED = tuple(f"cafa.cli.embed:{name}" for name in ("truth", "text", "samples"))
STAGES = {
    "plan_world": _verb("world:plan"),
    "render_world": _verb("world:render"),
    "manifest": _verb("manifest:command"),
    "dataset": _verb("dataset:build"),
    "ingest": _verb("ingest:command"),
    "features_media": _verb("features:media"),
    "features_latents": _verb("features:latents"),
    "features_av_clip": _verb("features:av_clip"),
    "features_text": _verb("features:text", "cafa.features.text_states", "cafa.models.registry"),
    "encode_latents": _verb("features:encode", "cafa.features.from_video", "cafa.models.encoders.synchformer",
                            "cafa.models.encoders.clip"),
    "encode_av_clip": _verb("features:encode", "cafa.features.from_sound", "cafa.models.encoders.clip", *_BACKBONES),
    "encode_clip": _verb("features:encode", "cafa.features.from_sound", "cafa.models.encoders.synchformer",
                         *_BACKBONES),
    "encode_text": _verb("features:text", "cafa.models.encoders.synchformer", "cafa.models.encoders.clip"),
    "prompts": _verb("prompts:command"),
    "samples": _verb("samples:make", "cafa.world"),
    "samples_of_events": _verb("samples:make", "cafa.generation.generated_sounds"),
    "samples_of_files": _verb("samples:make", "cafa.generation.generated_sounds", "cafa.world"),
    "train_autoencoder": _verb("train:autoencoder"),
    "train_av_clip": _verb("train:av_clip"),
    "train_backbone": _verb("train:backbone"),
    "train_adapter": _verb("train:adapter"),
    "train_joint": _verb("train:joint"),
    "training_table": _verb("train:table"),
    "train_judge": _verb("judges:train"),
    "check_judges": _verb("judges:check"),
    "judge_canary": _verb("judges:canary"),
    "register_model": _verb("models:register", registers=True),
    "register_judge": _verb("judges:register", registers=True),
    "embed": Stage(_EMBED, ("metrics.embedding.published",)),
    "embed_pretrained": Stage(_EMBED, ("metrics.embedding.miniature", "metrics.encoders.miniature.all")),
    "score": _verb("score:command"),
    "table": _verb("table:command"),
    "figure": _verb("figure:command"),
    "examples": _verb("examples:command"),
    "evaluate": _verb("evaluate:command"),
    "parity_answers": Stage(("metrics.parity.weights", "metrics.parity.inputs")),
    "parity": _verb("parity:witnesses"),
}  # fmt: skip


def stage_of_samples(kind: str) -> str:
    """Stage that makes the samples of systems of a kind: with models, from event times, or from files as they are."""
    if kind in ("oracle", "shuffled"):
        return "samples_of_events"
    return "samples_of_files" if kind in ("reference", "shuffled_reference", "samples") else "samples"


@cache
def _module_file(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


@dataclass(frozen=True)
class _Code:
    """What a module, or a part of it, adds to a stage."""

    digest: str
    imports: frozenset[str]
    strings: frozenset[str]


def _code(tree: Module) -> _Code:
    tree = normalised(tree)
    return _Code(digest_of_code(tree), imports_of(tree, PACKAGES), strings_of(tree))


@cache
def _code_of(file: Path, function: str) -> _Code:
    tree = parse(file.read_text(encoding="utf-8"), filename=str(file))
    return _code(part_of(normalised(tree), function) if function else tree)


@cache
def data_files(root: Path) -> tuple[Path, ...]:
    """Files of the packages that are no Python, and the table of weights."""
    found = [path for package in PACKAGES for path in (root / package).rglob("*") if path.is_file()]
    found = [path for path in found if path.suffix not in (".py", ".pyc", ".typed") and path.name != RECORD.name]
    table = root / "config" / "weights.tsv"
    return tuple(sorted([*found, *([table] if table.is_file() else [])]))


@cache
def code_behind(stage: str) -> dict[str, str]:
    """Digest of each module, part of a module, and file of data that the results of a stage depend on, by name.

    A file of data belongs to the modules that name it.

    Raises
    ------
    CafaError
        If there is no such stage, or a root of it does not exist.
    """
    if stage not in STAGES:
        raise CafaError(f"no stage {stage!r}; there are {', '.join(STAGES)}")
    root, without = project_root(), {*BESIDE_RESULTS}
    found: dict[str, str] = {}
    waiting, strings = list(STAGES[stage].roots), set()
    for name in waiting:
        module, _, function = name.partition(":")
        file = _module_file(root, module)
        if file is None or (function and f"def {function}(" not in file.read_text(encoding="utf-8")):
            raise CafaError(
                f"stage {stage}: there is no {name} below {root}: name the present one in cafa/common/stages.py"
            )
    while waiting:
        name = waiting.pop()
        module, _, function = name.partition(":")
        file = _module_file(root, module)
        skipped = module in without or any(f"{module}.".startswith(f"{one}.") for one in STAGES[stage].without)
        if file is None or name in found or (skipped and not function):
            continue
        code = _code_of(file, function)
        found[name] = code.digest
        strings |= code.strings
        parent = [] if function or "." not in module else [module.rpartition(".")[0]]
        waiting += [*sorted(code.imports), *parent]
    for path in data_files(root):
        if STAGES[stage].registers if path.name == "weights.tsv" else any(path.name in text for text in strings):
            found[str(path.relative_to(root))] = sha256_file(path)[:16]
    return dict(sorted(found.items()))


@cache
def code_digest(stage: str) -> str:
    """Digest of all code behind a stage."""
    lines = "".join(f"{name}\0{digest}\0" for name, digest in code_behind(stage).items())
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


@cache
def stage_version(stage: str) -> str:
    """``v1``, ``v2``... of the results of a stage; the digest of its code where that is not the recorded one.

    Computed once per process: a workflow asks for the same one for thousands of jobs.
    """
    recorded = read_json(RECORD).get(stage)
    digest = code_digest(stage)
    return f"v{recorded['version']}" if recorded is not None and recorded["code"] == digest else digest


def changed_code(stage: str) -> list[str] | None:
    """What changed behind a stage since it was recorded: names with ``+``, ``-`` or ``~``; None if nothing did."""
    recorded = read_json(RECORD).get(stage)
    if recorded is None:
        return ["never recorded"]
    if recorded["code"] == code_digest(stage):
        return None
    before, now = recorded["modules"], {name: digest[:8] for name, digest in code_behind(stage).items()}
    changed = [f"~{name}" for name in sorted(before.keys() & now.keys()) if before[name] != now[name]]
    changed += [f"+{name}" for name in sorted(now.keys() - before.keys())]
    return changed + [f"-{name}" for name in sorted(before.keys() - now.keys())]


def record(stages: Iterable[str], *, new_results: bool) -> dict[str, int]:
    """Record the present code of stages; `new_results` raises their versions.

    Returns
    -------
    dict
        Stage -> version.
    """
    known = read_json(RECORD) if RECORD.exists() else {}
    versions = {}
    for stage in stages:
        before = known.get(stage, {"version": 0 if new_results else 1})["version"]
        versions[stage] = before + 1 if new_results else before
        modules = {name: digest[:8] for name, digest in code_behind(stage).items()}
        known[stage] = {"version": versions[stage], "code": code_digest(stage), "modules": modules}
    write_json(RECORD, {stage: entry for stage, entry in known.items() if stage in STAGES})
    stage_version.cache_clear()
    return versions
