"""Unfinished work that was begun under other conditions: never thrown away, and never gone on with, unasked.

Beside unfinished work stands its *key*: everything its result depends on (settings, seed, digests of the inputs, the
version of the stage), as readable values. Where the key of today is another, a command stops and says what changed
and what the work cost; the answer is an option of that command (``--restart``, ``--resume-anyway``).
"""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from cafa.common.errors import CafaError

Answer = Literal["stop", "restart", "resume"]
ANSWERS: tuple[Answer, ...] = ("stop", "restart", "resume")
#: holds the answer, so that processes that a command starts know it; the options of the command line set it
VARIABLE = "CAFA_ON_CHANGED"
#: names under which keys hold the version of a stage
VERSIONS = ("version", "code")
#: differences that an error names, and characters of a value
NAMED, SHOWN = 12, 60


class ChangedError(CafaError):
    """Unfinished work was begun with other settings, inputs, seed or version than asked for now."""


def answer() -> Answer:
    """What to do with unfinished work of another key: ``stop`` unless an option or the environment says otherwise.

    Raises
    ------
    CafaError
        If the environment says something else.
    """
    value = os.environ.get(VARIABLE) or "stop"
    for known in ANSWERS:
        if value == known:
            return known
    raise CafaError(f"{VARIABLE} is {value!r}: it must be one of {', '.join(ANSWERS)}")


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _leaves(part, f"{place}.{name}" if place else str(name))
    else:
        yield place, value


def _shown(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def same_version(before: Any, now: Any) -> bool:
    """Whether two versions of a stage stand for the same results.

    Work of releases up to 0.1 has the version of the code alone, ``v1``; it is that of ``v1 numpy-2.4 torch-2.13``.
    """
    if before == now:
        return True
    return isinstance(before, str) and isinstance(now, str) and [before] == now.split()[:1]


def same_key(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> bool:
    """Whether work was begun under the conditions of now; not if its key is not known."""
    return before is not None and not differences(before, now)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two keys: ``settings.loop.steps: 4000 -> 8000``."""
    old, new = dict(_leaves(_as_json(before))), dict(_leaves(_as_json(now)))
    found = []
    for place in sorted(old.keys() | new.keys()):
        if place not in old:
            found.append(f"{place}: none -> {_shown(new[place])}")
        elif place not in new:
            found.append(f"{place}: {_shown(old[place])} -> none")
        elif place.rpartition(".")[2] in VERSIONS and same_version(old[place], new[place]):
            continue
        elif old[place] != new[place]:
            found.append(f"{place}: {_shown(old[place])} -> {_shown(new[place])}")
    return found


def _as_json(key: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(key))


def goes_on(
    place: object, before: Mapping[str, Any] | None, now: Mapping[str, Any], cost: str, *, say: bool = True
) -> bool:
    """Whether to go on with unfinished work of another key (True), or to throw it away and begin anew (False).

    Parameters
    ----------
    place : path
        Of the unfinished work.
    before : mapping or None
        Its key; None if it was not recorded.
    now : mapping
        The key of what is asked for.
    cost : str
        What the work has cost: ``"steps 900 of 4000, 3.2 hours"``.
    say : bool
        Print what was decided.

    Raises
    ------
    ChangedError
        If nobody said which of the two.
    """
    if same_key(before, now):
        return True
    changed = ["it does not say what it was begun with"] if before is None else differences(before, now)
    more = f"\n  and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
    listed = "".join(f"\n  {line}" for line in changed[:NAMED]) + more
    said = f"{place} holds work ({cost}) that was begun under other conditions:{listed}"
    choice = answer()
    if choice == "stop":
        raise ChangedError(
            f"{said}\nGive --restart to throw it away and begin anew, or --resume-anyway to go on with it as it is "
            f"(in the workflow: snakemake --config on_changed=restart, or on_changed=resume)"
        )
    if say:
        print(f"{said}\nAs asked for, {'the work goes on from there' if choice == 'resume' else 'it is thrown away'}.")
    return choice == "resume"
