"""Which rows a table is computed on: those that every system of the table has, and why others are missing."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from cafa.common.errors import InputError, MissingClipError
from metrics.embedding.reading import listed

ROW = ("clip_id", "caption_id")


@dataclass(frozen=True)
class Coverage:
    """Rows of a table.

    Attributes
    ----------
    rows
        The prompts that all systems have sounds for, sorted by clip_id, caption_id.
    asked, asked_clips
        Prompts of the protocol, and clips among them.
    missing
        For each system the prompts that it lacks: clip_id, caption_id, reason, detail.
    """

    rows: pd.DataFrame
    asked: int
    asked_clips: int
    missing: dict[str, pd.DataFrame]

    @property
    def n(self) -> int:
        """Rows that all systems have."""
        return len(self.rows)

    @property
    def clips(self) -> int:
        """Clips among them."""
        return self.rows["clip_id"].nunique()

    def reasons(self, system: str) -> dict[str, int]:
        """How many rows a system lacks, by reason."""
        return {str(reason): int(n) for reason, n in self.missing[system]["reason"].value_counts().items()}


def common_rows(
    prompts: pd.DataFrame,
    scored: Mapping[str, pd.DataFrame],
    indices: Mapping[str, pd.DataFrame],
    max_loss: float,
) -> Coverage:
    """Rows that every system has.

    Parameters
    ----------
    prompts : pandas.DataFrame
        Prompts of one protocol.
    scored : mapping of str to pandas.DataFrame
        clip_id and caption_id of the rows that each system has scores for.
    indices : mapping of str to pandas.DataFrame
        Each system's index of samples of the protocol: clip_id, caption_id, status, detail.
    max_loss : float
        Largest share of the prompts that may be missing.

    Raises
    ------
    MissingClipError
        If more are missing; the message lists them by system with their reasons.
    InputError
        If there is no prompt, or an index calls a sample ok that has no score.
    """
    if prompts.empty:
        raise InputError("the prompt set has no row of the table's protocol")
    prompts = prompts.sort_values(list(ROW), ignore_index=True)
    asked = pd.MultiIndex.from_frame(prompts[list(ROW)])
    everywhere = pd.Series(True, index=asked)
    missing: dict[str, pd.DataFrame] = {}
    for system, rows in scored.items():
        lacking = asked.difference(pd.MultiIndex.from_frame(rows[list(ROW)]))
        everywhere[lacking] = False
        missing[system] = _reasons(system, lacking, indices[system])
    coverage = Coverage(
        prompts[everywhere.to_numpy()].reset_index(drop=True),
        len(prompts),
        prompts["clip_id"].nunique(),
        missing,
    )
    loss = 1.0 - coverage.n / coverage.asked
    if loss > max_loss or coverage.n == 0:
        lines = [f"{system}: {_sentence(rows)}" for system, rows in missing.items() if len(rows)]
        raise MissingClipError(
            f"{loss:.1%} of {coverage.asked} prompts are not in every system, more than max_loss {max_loss:.1%}. "
            + "; ".join(lines)
            + ". Make the samples again, leave a system out, or raise max_loss"
        )
    return coverage


def _reasons(system: str, lacking: pd.MultiIndex, index: pd.DataFrame) -> pd.DataFrame:
    rows = lacking.to_frame(index=False).merge(
        index[[*ROW, "status", "detail"]], on=list(ROW), how="left", validate="1:1"
    )
    unscored = rows[rows["status"] == "ok"]
    if len(unscored):
        names = list(unscored[list(ROW)].itertuples(index=False, name=None))
        raise InputError(
            f"{len(unscored)} samples of {system} are ok in its index but have no score: {listed(names)}; "
            "embed and score the system again"
        )
    rows = rows.rename(columns={"status": "reason"})
    rows["reason"] = rows["reason"].fillna("not in the index of samples")
    rows["detail"] = rows["detail"].fillna("")
    return rows


def _sentence(rows: pd.DataFrame) -> str:
    names = [f"{r.clip_id}/{r.caption_id} ({r.reason})" for r in rows.itertuples()]
    return f"{len(rows)} missing: {listed(names)}"
