"""Rows of a prompt set that a table takes: all of a protocol, of a list of clips, or those that a system has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cafa.common.errors import InputError
from cafa.data.prompt_files import verify_sha256
from metrics.embedding.reading import listed

ROW = ("clip_id", "caption_id")


class ClipChoice(BaseModel):
    """Which clips a table takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Annotated[Path | None, Field(description="csv with a column of clip ids; all rows of these clips")] = None
    column: Annotated[str, Field(description="name of that column")] = "clip_id"
    sha256: Annotated[str | None, Field(pattern="^[0-9a-fA-F]{64}$", description="of `file`; null: not checked")] = None
    of_system: Annotated[
        str | None, Field(description="system, whose own rows are taken: those of which it has a sound")
    ] = None

    @model_validator(mode="after")
    def _one_way(self) -> "ClipChoice":
        if (self.file is None) == (self.of_system is None):
            raise ValueError("give either `file` or `of_system`")
        if self.file is None and (self.sha256 is not None or "column" in self.model_fields_set):
            raise ValueError("`column` and `sha256` are those of `file`, which is not given")
        return self


def chosen_rows(
    choice: ClipChoice, prompts: pd.DataFrame, indices: Mapping[str, pd.DataFrame]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows that a choice takes, and what the card says of it.

    Parameters
    ----------
    choice : ClipChoice
    prompts : DataFrame
        Rows of a protocol: clip_id, caption_id.
    indices : mapping of str to DataFrame
        Index of samples of each system: clip_id, caption_id, status.

    Returns
    -------
    DataFrame
    dict
        ``by``, ``taken``, ``of``, and of a file ``not_in_prompts``: how many of its ids are no clips here.

    Raises
    ------
    InputError
        If the file has no such column, or no row remains.
    """
    facts: dict[str, Any] = {"of": len(prompts)}
    if choice.of_system is not None:
        index = indices[choice.of_system]
        have = pd.MultiIndex.from_frame(index.loc[index["status"] == "ok", list(ROW)])
        taken = prompts[pd.MultiIndex.from_frame(prompts[list(ROW)]).isin(have)]
        facts["by"] = f"rows of which {choice.of_system} has a sound"
    else:
        assert choice.file is not None
        ids = _ids(choice.file, choice.column, choice.sha256)
        taken = prompts[prompts["clip_id"].isin(ids)]
        strange = sorted(ids - set(prompts["clip_id"]))
        facts |= {"by": f"clips of {choice.file.name}", "not_in_prompts": len(strange), "first": strange[:5]}
    if taken.empty:
        raise InputError(f"no row remains of {len(prompts)}: the table takes {facts['by']}")
    return taken, {**facts, "taken": len(taken), "clips": int(taken["clip_id"].nunique())}


def _ids(file: Path, column: str, sha256: str | None) -> set[str]:
    if not file.is_file():
        raise InputError(f"list of clips {file} is not there: set `clips.file` of the table")
    verify_sha256(file, sha256)
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    if column not in rows:
        raise InputError(f"list of clips {file} has no column {column!r}, only {', '.join(rows.columns)}")
    if twice := sorted(set(rows.loc[rows[column].duplicated(), column])):
        raise InputError(f"list of clips {file} names {len(twice)} clips twice: {listed(twice)}")
    return set(rows[column]) - {""}
