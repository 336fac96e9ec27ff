"""Which rows of a configuration's tables can be made with what is there, and what the others need.

It reads the configuration as the workflow does, and looks at files; nothing is computed and nothing is fetched.
"""

import importlib.util
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cafa.common.errors import InputError
from cafa.common.plugins import use_plugins
from cafa.common.provenance import project_root
from cafa.generation.systems import SystemKind, parse_system
from cafa.preflight.configuration import check_keys, read_configuration, take_out_nulls

if TYPE_CHECKING:
    from cafa.preflight.check import JudgeFiles  # it imports torch, which a dry run has no need of

State = Literal["made", "can be made", "importable", "missing"]
#: What each state means, for a reader of the list.
MEANINGS: dict[State, str] = {
    "made": "the table is there, with this row",
    "can be made": "everything that its sounds need of this machine is there, or is made first",
    "importable": "somebody's sounds are there",
    "missing": "something has to be got first",
}


@dataclass(frozen=True)
class PlannedRow:
    """A row of a table.

    Attributes
    ----------
    table, block, row
        Where it stands; the block is empty where the table has none.
    kind
        Of the system; ``adapter of Table 5`` of a row of training costs.
    state
        See :data:`MEANINGS`.
    seconds
        Length that the table judges; None of a table of costs.
    needs
        What is missing; empty if nothing is.
    """

    table: str
    block: str
    row: str
    kind: str
    state: State
    seconds: float | None
    needs: tuple[str, ...] = ()


def planned_rows(config: Mapping[str, Any], *, weights: bool = True) -> Iterator[PlannedRow]:
    """Every row of every table of a configuration, of the table of costs too.

    Parameters
    ----------
    config : mapping
        From :func:`~cafa.preflight.configuration.read_configuration`.
    weights : bool
        Look for the files of pretrained models too, which imports networks; else they are taken to be there.

    Raises
    ------
    InputError
        If a part of the configuration is missing, or a table names a system that there is none of.
    """
    _require_parts(config)
    models = _Models(config, weights)
    folder = Path(config["results"]) / config["tables_folder"]
    judged = ((config.get("embed") or {}).get("pretrained") or {}).get("seconds") or config["window"]["seconds"]
    for table, entry in config["tables"].items():
        made = _rows_made(folder / f"{table}.csv")
        whole = _needs_of_choice(config, entry)
        for block, names in _groups(entry):
            for name in names:
                system = _system(config, name, table)
                needs = (*whole, *_needs(config, name, system, models))
                state: State = "missing" if needs else "importable" if system.kind == "samples" else "can be made"
                state = "made" if name in made and not needs else state
                seconds = entry.get("seconds") or judged
                yield PlannedRow(table, block, name, system.kind, state, seconds, needs)
    for name in (config.get("costs") or {}).get("adapters", ()):
        needs = tuple(models.of_adapter(name))
        made = _rows_made(folder / "table5.csv", "model")
        cost: State = "missing" if needs else "made" if made else "can be made"
        yield PlannedRow("table5", "", name, "cost of training", cost, None, needs)


def _require_parts(config: Mapping[str, Any]) -> None:
    """Refuse a configuration that only changes another one."""
    if lacking := [key for key in ("results", "systems", "tables", "tables_folder", "window") if key not in config]:
        raise InputError(
            f"the configuration has no {' and no '.join(lacking)}: give config/config.yaml first, and then the files "
            "that change it"
        )


def _groups(entry: Mapping[str, Any]) -> list[tuple[str, Sequence[str]]]:
    if entry.get("blocks"):
        return [(block["name"], block["systems"]) for block in entry["blocks"]]
    return [("", entry["systems"])]


def _system(config: Mapping[str, Any], name: str, table: str) -> SystemKind:
    if name not in config["systems"]:
        raise InputError(f"table {table}: no system {name!r}, there are {sorted(config['systems'])}")
    return parse_system(config["systems"][name])


def _needs_of_choice(config: Mapping[str, Any], entry: Mapping[str, Any]) -> tuple[str, ...]:
    """What the choice of a table's clips lacks."""
    chosen = (entry.get("clips") or {}).get("of_system")
    absent = _system(config, chosen, "").absent() if chosen else ""
    return (f"the rows that {chosen} has: {absent}",) if absent else ()


def _needs(config: Mapping[str, Any], name: str, system: SystemKind, models: "_Models") -> list[str]:
    """What a row lacks."""
    needs = []
    if absent := system.absent():
        needs.append(absent + (f": {get}" if (get := getattr(system, "how_to_get", "")) else ""))
    return [*needs, *models.of_system(system)]


def _rows_made(path: Path, column: str = "system") -> Collection[str]:
    """Rows of a table that is there."""
    if not path.is_file():
        return ()
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str)
    except pd.errors.EmptyDataError:  # somebody else's file: what is written here is whole
        return ()
    return set(frame[column]) if column in frame else ()


class _Models:
    """What pretrained models lack: their files, where they are not registered already. Looked at once each."""

    def __init__(self, config: Mapping[str, Any], looked_for: bool) -> None:
        self.config = config
        self._folder = Path(config["results"]) / "models"
        pretrained = (config.get("pretrained") or {}).get("models") or {}
        self._pretrained: Mapping[str, Any] = pretrained if looked_for else {}
        self._lacking: dict[str, list[str]] = {}

    def of(self, name: str) -> list[str]:
        """What a pretrained model lacks; of one that is trained here nothing."""
        if name not in self._pretrained or (self._folder / name / "card.json").is_file():
            return []
        if name not in self._lacking:
            self._lacking[name] = list(self._findings(name))
        return self._lacking[name]

    def _findings(self, name: str) -> Iterator[str]:
        from pydantic import TypeAdapter

        from cafa.models.kinds import PretrainedModel  # networks, for somebody who asks of weights
        from cafa.models.weights import packaged_table
        from cafa.preflight.weights import findings_of_models

        settings = TypeAdapter(PretrainedModel).validate_python(self._pretrained[name])
        table = self.config["pretrained"]["judges"].get("table") or packaged_table()
        for finding in findings_of_models({name: settings}, Path(table), hashed=False):
            if finding.kind == "error":
                yield finding.text

    def of_adapter(self, name: str) -> list[str]:
        """What an adapter lacks: its own files, or what it is trained from."""
        if (self._folder / name / "card.json").is_file():
            return []
        entry = self.config["adapters"].get(name)
        if entry is None:
            return self.of(name)
        kinds = entry.get("video", ("av_clip",))
        needs = [self.of(entry.get("backbone", "backbone")), *(self.of(kind) for kind in kinds)]
        return [text for found in needs for text in found]

    def of_system(self, system: SystemKind) -> list[str]:
        """What a system's models lack."""
        needs = []
        for place in system.models:
            name = str(getattr(system, place))
            needs += self.of_adapter(name) if place == "adapter" else self.of(name)
        for kind in system.video_kinds(self.config["adapters"]):
            needs += self.of(kind)
        return list(dict.fromkeys(needs))


def as_lines(rows: Sequence[PlannedRow]) -> Iterator[str]:
    """The list for people: rows by table and block, what each needs, and how many there are of each state."""
    width = max((len(row.row) for row in rows), default=0)
    place: tuple[str, str] = ("", "")
    told: dict[tuple[str, ...], str] = {}
    for row in rows:
        if row.table != place[0]:
            yield f"{row.table}" + (f" (first {row.seconds:g} s)" if row.seconds is not None else "")
        if row.block and (row.table, row.block) != place:
            yield f"  {row.block}"
        place = (row.table, row.block)
        yield f"    {row.state:<12}{row.row:<{width + 2}}{row.kind}"
        if row.needs and row.needs in told:
            yield f"    {'':<12}needs what {told[row.needs]} needs"
        else:
            yield from (f"    {'':<12}needs {need}" for need in row.needs)
        told.setdefault(row.needs, f"{row.row} of {row.table}")
    counts = {state: sum(row.state == state for row in rows) for state in MEANINGS}
    yield f"{len(rows)} rows: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    yield from (f"  {state}: {meaning}" for state, meaning in MEANINGS.items() if counts[state])


def judge_needs(config: Mapping[str, Any], judge_files: "JudgeFiles") -> list[str]:
    """What the pretrained judges lack, without which no table is made."""
    settings = (config.get("pretrained") or {}).get("judges")
    if settings is None:
        return []
    folder = Path(config["results"]) / "models" / "judges"
    names = [name for name in config["judges"] if not (folder / name / "card.json").is_file()]
    return [f"judge {file.judge}: {file.fault}" for file in judge_files(names, settings) if file.fault]


def print_rows(paths: Sequence[str | Path], judge_files: "JudgeFiles", *, as_json: bool = False) -> str:
    """What `cafa rows` prints; `judge_files` as :func:`cafa.preflight.check.check_machine` takes it.

    Raises
    ------
    InputError
        If the configuration is one that the workflow refuses, too: an unknown key, or a value that a key cannot have.
    """
    config = read_configuration(paths)
    _require_parts(config)
    take_out_nulls(config)
    if config.get("plugins"):
        use_plugins(config["plugins"])
    schema = project_root() / "workflow/schemas/config.schema.yaml"
    if schema.is_file() and importlib.util.find_spec("jsonschema"):
        check_keys(config, schema)
    else:
        print("keys are not checked: that needs a checkout of the rules, and the extra `workflow`", file=sys.stderr)
    rows = list(planned_rows(config))
    if as_json:
        import json

        return json.dumps([asdict(row) for row in rows], indent=1)
    judges = [f"  {need}" for need in judge_needs(config, judge_files)]
    return "\n".join([*as_lines(rows), *(["All tables need:", *judges] if judges else [])])
