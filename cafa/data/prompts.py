"""Prompt sets: which clip gets a sound for which caption."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cafa.common.errors import InputError
from cafa.common.ledger import OK, copy_for_message, ledger_row, read_ledgers, why, write_ledger
from cafa.common.seeds import seed_for
from cafa.common.tables import read_table, records, row_tuples, schema_of, write_table
from cafa.common.words import wrong_length
from cafa.data.manifest import with_defaults
from cafa.data.prompt_files import read_conflicts, read_list, verify_sha256

STAGE = "prompts"
MATCHED, CROSS, SOUND_OF_LABEL = "matched", "cross", "sound_of_label"
#: Caption id of a clip's own caption.
OWN = "own"

SCHEMA = schema_of(
    [
        (name, pa.string())
        for name in ("clip_id", "caption_id", "caption", "label", "own_label", "own_caption", "protocol")
    ]
)
KEY = ["protocol", "clip_id", "caption_id"]


class ProtocolSettings(BaseModel):
    """Which clips a protocol takes, and how their captions are worded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clips_per_label: int | None = Field(None, ge=1, description="clips of each label; null: all of them")
    caption: str | None = Field(
        None, description="wording of all captions, own and other, with {label} and {caption}; null: the manifest's"
    )

    @model_validator(mode="after")
    def _known_fields(self) -> "ProtocolSettings":
        names = re.findall(r"\{(.*?)\}", self.caption or "")
        if self.caption is not None and (not names or set(names) - {"label", "caption"}):
            raise ValueError(f"caption must name {{label}} or {{caption}} and nothing else, got {self.caption!r}")
        return self


class CrossSettings(ProtocolSettings):
    """Which clips and captions the protocol of other labels' captions takes."""

    captions_per_clip: int | None = Field(
        None, ge=1, description="captions of each clip, each of another label; null: one of every other label"
    )


class SoundOfLabelSettings(ProtocolSettings):
    """Which clips take the wording that FoleyCrafter was evaluated with."""

    caption: str | None = Field("The sound of {label}", description="wording, with {label} and {caption}")


class ConflictSettings(BaseModel):
    """VGGSound-TVC: captions that disagree with the video more and more (protocols ``tvc_L0`` to ``tvc_L3``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path = Field(description="its table, conflict_dataset_full.tsv")
    sha256: str | None = Field(None, pattern="^[0-9a-fA-F]{64}$", description="of the file; null: not checked")
    levels: tuple[Literal["L0", "L1_subject", "L1_action", "L2", "L3"], ...] = Field(
        ("L0", "L1_subject", "L1_action", "L2", "L3"), min_length=1, description="levels to make prompts of"
    )


class PromptSettings(BaseModel):
    """Which prompts to make: by protocol, or read from a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    matched: ProtocolSettings | None = Field(None, description="each clip with its own caption")
    sound_of_label: SoundOfLabelSettings | None = Field(
        None, description="each clip with 'The sound of <label>', as FoleyCrafter was evaluated"
    )
    cross: CrossSettings | None = Field(None, description="each clip with captions of other labels")
    tvc: ConflictSettings | None = Field(None, description="conflict levels of VGGSound-TVC")
    file: Path | None = Field(
        None,
        description="published set, csv: clip_id, caption, and caption_id, label, own_label, own_caption and protocol "
        "(default: made from the caption, the clip's own label and caption, 'file')",
    )
    sha256: str | None = Field(None, pattern="^[0-9a-fA-F]{64}$", description="of `file`; null: not checked")
    encoding: str | None = Field(None, description="of `file`, where it is neither UTF-8 nor has a byte order mark")
    separator: str | None = Field(None, description="of `file`: a character or `tab`; null: found by the first line")

    @model_validator(mode="after")
    def _one_way(self) -> "PromptSettings":
        made = (self.matched, self.sound_of_label, self.cross, self.tvc)
        if (self.file is None) == all(part is None for part in made):
            raise ValueError("give either `file`, or at least one of `matched`, `sound_of_label`, `cross` and `tvc`")
        for name in ("sha256", "encoding", "separator"):
            if getattr(self, name) is not None and self.file is None:
                raise ValueError(f"`{name}` is that of `file`, which is not given")
        return self

    @property
    def makes_own(self) -> bool:
        """Whether prompts are made for the test clips, not only read."""
        return any(part is not None for part in (self.matched, self.sound_of_label, self.cross))


def make_prompts(
    manifest: pd.DataFrame,
    ledgers: Sequence[str | Path],
    settings: PromptSettings,
    seed: int,
    output: str | Path,
    excluded: str | Path,
    caption_words: int | None = None,
) -> dict[str, int]:
    """Write the prompt set of a data set's test clips, and a ledger of the clips that cannot be used.

    Parameters
    ----------
    manifest : pd.DataFrame
        From :func:`cafa.data.manifest.read_manifest`.
    ledgers : sequence of path
        Ledgers of all shards of the stages that a clip must have passed.
    settings : PromptSettings
        What to make.
    seed : int
        Base seed of the choice of clips and captions.
    output, excluded : str or Path
        Prompt set (columns of :data:`SCHEMA`, ordered by protocol, clip and caption id) and ledger.
    caption_words : int, optional
        Most words that the text encoder takes.

    Returns
    -------
    dict of str to int
        Number of prompts by protocol.

    Raises
    ------
    InputError
        If a ledger lacks a clip, the file of prompts is not usable, or no prompt remains.
    """
    listed = _listed(settings)
    asked = manifest[(manifest["split"] == "test") & settings.makes_own]
    if listed:
        named = {row["clip_id"] for row in listed}
        asked = manifest[manifest["clip_id"].isin(named | set(asked["clip_id"]))]
    out = excluded_clips(asked, ledgers)
    out += _absent(listed, set(manifest["clip_id"]), settings)
    usable = asked[~asked["clip_id"].isin([row["clip_id"] for row in out])]
    prompts = _made(usable[usable["split"] == "test"], asked[asked["split"] == "test"], settings, seed)
    prompts += _listed_prompts(listed, usable)
    write_ledger(excluded, out)
    lines = {row["caption"]: f"{settings.file}, line {row['line']}: " for row in reversed(listed)}
    for prompt in prompts:
        if problem := wrong_length(prompt["caption"], caption_words):
            place = lines.get(prompt["caption"], f"protocol {prompt['protocol']}, clip {prompt['clip_id']}: ")
            raise InputError(f"{place}{problem}")
    if not prompts:
        raise InputError(
            f"no prompt remains: {len(asked)} clips asked for, {len(out)} excluded"
            + (f" ({why(excluded)}; cafa ledger {copy_for_message(excluded)})" if out else ", no test clip is listed")
        )
    table = pd.DataFrame(prompts).sort_values(KEY)
    twice = table[table.duplicated(KEY)]
    if len(twice):
        row = twice.iloc[0]
        raise InputError(f"clip {row.clip_id}, caption id {row.caption_id}, protocol {row.protocol}: asked for twice")
    write_table(output, pa.Table.from_pandas(table, schema=SCHEMA, preserve_index=False), SCHEMA)
    return {str(name): int(count) for name, count in table["protocol"].value_counts().sort_index().items()}


def _made(usable: pd.DataFrame, asked: pd.DataFrame, settings: PromptSettings, seed: int) -> list[dict[str, str]]:
    """Prompts of the protocols that are made here."""
    prompts: list[dict[str, str]] = []
    if (part := settings.matched) is not None:
        prompts += matched_prompts(with_caption(usable, part.caption), part.clips_per_label, seed)
    if (sound := settings.sound_of_label) is not None:
        rows = matched_prompts(with_caption(usable, sound.caption), sound.clips_per_label, seed)
        prompts += [row | {"protocol": SOUND_OF_LABEL} for row in rows]
    if (cross := settings.cross) is not None:
        prompts += cross_prompts(with_caption(usable, cross.caption), with_caption(asked, cross.caption), cross, seed)
    return prompts


def with_caption(rows: pd.DataFrame, wording: str | None) -> pd.DataFrame:
    """Manifest rows with captions of a wording such as ``The sound of {label}``; None leaves them."""
    if wording is None:
        return rows
    captions = [with_defaults(row, {"worded": wording})["worded"] for row in records(rows[["label", "caption"]])]
    return rows.assign(caption=captions)


def read_prompts(path: str | Path) -> pd.DataFrame:
    """Read a prompt set, in order.

    Raises
    ------
    InputError
        If the file is not a prompt set, or is one of another version.
    """
    return read_table(path, SCHEMA, "a prompt set").to_pandas()


def excluded_clips(asked: pd.DataFrame, ledgers: Sequence[str | Path]) -> list[dict[str, Any]]:
    """Ledger rows of the clips that some stage could not use, in the manifest's order.

    Raises
    ------
    InputError
        If a stage's ledgers do not speak of a clip at all: then a shard's ledger was not given.
    """
    outcomes = read_ledgers(ledgers)
    for stage, rows in outcomes.groupby("stage"):
        absent = sorted(set(asked["clip_id"]) - set(rows["clip_id"]))
        if absent:
            raise InputError(
                f"the ledgers of {stage} do not name {len(absent)} of {len(asked)} clips, e.g. {absent[0]}: "
                "give the ledgers of all shards, made from this manifest"
            )
    bad = outcomes[outcomes["status"] != OK].drop_duplicates("clip_id")
    by_clip = {row.clip_id: row for row in row_tuples(bad)}
    return [
        ledger_row(
            row.clip_id,
            STAGE,
            by_clip[row.clip_id].status,
            f"{by_clip[row.clip_id].stage}: {by_clip[row.clip_id].detail}",
            row.line,
        )
        for row in row_tuples(asked)
        if row.clip_id in by_clip
    ]


def chosen_clips(usable: pd.DataFrame, clips_per_label: int | None, seed: int) -> pd.DataFrame:
    """The first `clips_per_label` clips of each label in an order by hash: a smaller choice is part of a larger."""
    order = usable["clip_id"].map(lambda clip_id: seed_for(seed, STAGE, clip_id))
    ranked = usable.assign(_order=order).sort_values("_order")
    chosen = ranked if clips_per_label is None else ranked.groupby("label").head(clips_per_label)
    return chosen.drop(columns="_order").sort_values("clip_id")


def matched_prompts(usable: pd.DataFrame, clips_per_label: int | None, seed: int) -> list[dict[str, str]]:
    """Each chosen clip with its own caption (Tables 2 and 4 of the paper)."""
    chosen = chosen_clips(usable, clips_per_label, seed)
    return [_prompt(row, OWN, row.caption, row.label, MATCHED) for row in row_tuples(chosen)]


def cross_prompts(
    usable: pd.DataFrame, captions: pd.DataFrame, settings: CrossSettings, seed: int
) -> list[dict[str, str]]:
    """Each chosen clip with captions of other labels (Table 1 and Figure 4 of the paper: of every other label).

    Parameters
    ----------
    usable : pd.DataFrame
        Manifest rows of the clips that may be chosen.
    captions : pd.DataFrame
        Manifest rows whose captions are drawn from: for clip and label one of the label's rows, by
        seed, so that all ways of wording a label take part.
    settings : CrossSettings
        With fewer captions than other labels, a clip's labels are the first in an order by hash.
    seed : int
        Base seed.
    """
    by_label = {str(label): list(rows.sort_values("clip_id")["caption"]) for label, rows in captions.groupby("label")}
    names = caption_ids(by_label)
    return [
        _prompt(
            row, names[label], by_label[label][seed_for(seed, row.clip_id, label) % len(by_label[label])], label, CROSS
        )
        for row in row_tuples(chosen_clips(usable, settings.clips_per_label, seed))
        for label in _other_labels(row, by_label, settings.captions_per_clip, seed)
    ]


def _other_labels(row: Any, labels: Iterable[str], count: int | None, seed: int) -> list[str]:
    others = sorted(
        (label for label in labels if label != row.label),
        key=lambda label: seed_for(seed, STAGE, row.clip_id, label),
    )
    return others[:count]


def caption_ids(texts: Iterable[str]) -> dict[str, str]:
    """Distinct ids, fit for file names, of distinct texts: a slug, with a digest where that is not enough."""
    texts = sorted(set(texts))
    slugs = {text: re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:60] for text in texts}
    taken = [*slugs.values(), "", OWN]
    return {
        text: slug if taken.count(slug) == 1 else f"{slug or 'caption'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        for text, slug in slugs.items()
    }


def _prompt(row: Any, caption_id: str, caption: str, label: str, protocol: str) -> dict[str, str]:
    return {
        "clip_id": row.clip_id,
        "caption_id": caption_id,
        "caption": caption,
        "label": label,
        "own_label": row.label,
        "own_caption": row.caption,
        "protocol": protocol,
    }


def _listed(settings: PromptSettings) -> list[dict[str, Any]]:
    """Rows of the published sets."""
    if settings.file is not None:
        verify_sha256(settings.file, settings.sha256)
        return read_list(settings.file, settings.encoding, settings.separator)
    if settings.tvc is not None:
        verify_sha256(settings.tvc.file, settings.tvc.sha256)
        return read_conflicts(settings.tvc.file, settings.tvc.levels)
    return []


def _absent(listed: Sequence[dict[str, Any]], known: set[str], settings: PromptSettings) -> list[dict[str, Any]]:
    """Ledger rows of clips that a published set asks for and the manifest does not have, one for each."""
    source = settings.file or (settings.tvc.file if settings.tvc else None)
    absent = {row["clip_id"]: row["line"] for row in reversed(listed) if row["clip_id"] not in known}
    return [
        ledger_row(clip_id, STAGE, "not_in_manifest", f"{source} asks for it", line)
        for clip_id, line in reversed(absent.items())
    ]


def _listed_prompts(listed: Sequence[dict[str, Any]], usable: pd.DataFrame) -> list[dict[str, str]]:
    clips = {row.clip_id: row for row in row_tuples(usable)}
    names = caption_ids(row["caption"] for row in listed if not row["caption_id"])
    prompts = []
    for row in listed:
        clip = clips.get(row["clip_id"])
        if clip is None:
            continue
        own = row["protocol"] == MATCHED and row["caption"] == clip.caption
        caption_id = row["caption_id"] or (OWN if own else names[row["caption"]])
        prompt = _prompt(clip, caption_id, row["caption"], row["label"] or clip.label, row["protocol"])
        prompts.append(prompt | {name: row[name] for name in ("own_label", "own_caption") if row[name]})
    return prompts
