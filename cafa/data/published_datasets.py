"""Builders: published lists of a data set -> manifest, refused rows, and a card that says what was read."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cafa.common.errors import ClipError, InputError
from cafa.common.files import sha256_file, write_json
from cafa.common.ledger import copy_for_message, read_ledgers, why
from cafa.common.registry import Registry
from cafa.data.fetch.interface import video_url
from cafa.data.manifest import Candidate, read_manifest, with_defaults, write_manifest
from cafa.data.published_lists import ListedClip, PublishedList, obtain, read_classes, read_list

Split = Literal["train", "validation", "test"]

#: the categories of VGGSound-Sparse: short events with silence between them (Iashin et al. 2022)
SPARSE_CLASSES = frozenset(
    {
        "chopping wood",
        "dog barking",
        "hammering nails",
        "ice cracking",
        "lions roaring",
        "people eating apple",
        "people eating crisps",
        "people sneezing",
        "playing badminton",
        "playing tennis",
        "skateboarding",
        "striking bowling",
    }
)


class DatasetKind(BaseModel):
    """Settings of a published data set; a subclass is a kind of data sets, registered in :data:`DATASET_KINDS`.

    A kind must define :meth:`candidates`; what is written, counted and refused is the same for all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    expected: dict[Split, int] | None = Field(
        None, description="clips by split that must come out; a difference is an error; null: not checked"
    )

    def candidates(self, folder: Path, read: list[dict[str, Any]]) -> Iterator[Candidate]:
        """Every row of the published lists: a clip of the data set, or why it is none.

        Parameters
        ----------
        folder : Path
            Where lists are put that are downloaded.
        read : list of dict
            Gets one record for each list that is read, for the card of the data set: ``role``, ``name``, ``url``,
            ``sha256``, ``licence``, ``format``, ``rows``.

        Yields
        ------
        Candidate
            Line, fields of the manifest (:data:`cafa.data.manifest.COLUMNS`), place for messages, and what is wrong.

        Raises
        ------
        InputError
            If a list is not there or not of its form.
        """
        raise NotImplementedError(f"{type(self).__name__} must define candidates")


class PublishedSettings(DatasetKind):
    """Lists of clips of videos on YouTube, each with a label: what our kinds have in common."""

    lists: tuple[PublishedList, ...] = Field(
        min_length=1, description="lists of its clips; a clip that two lists name is taken from the first"
    )
    labels: tuple[PublishedList, ...] = Field((), description="lists that give labels to clips whose own has none")
    subset: PublishedList | None = Field(None, description="list of the clips to keep; null: all")
    splits: tuple[Split, ...] | None = Field(None, description="splits to keep; null: all")
    validation_share: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="share of the training videos to hold out as `validation`; all clips of a video",
    )
    seconds: float = Field(10.0, gt=0, description="length of a clip")
    caption: str = Field("{label}", description="caption of a clip; fields of the manifest in braces")

    @model_validator(mode="after")
    def _one_label_a_clip(self) -> "PublishedSettings":
        if any(published.format == "vggsounder" for published in (*self.lists, *self.labels)):
            raise ValueError(
                "a list of the form `vggsounder` gives a clip several labels, and a manifest has one: name the list as "
                "`subset`, beside VGGSound's own in `lists`"
            )
        return self

    def candidates(self, folder: Path, read: list[dict[str, Any]]) -> Iterator[Candidate]:
        """See :meth:`DatasetKind.candidates`."""
        return _Reading(self, folder, read).candidates()

    def wanted_classes(self, reading: "_Reading") -> frozenset[str] | None:
        """Labels of the clips that belong to the data set; None: all."""
        return None

    def wanted_values(self) -> Mapping[str, str]:
        """Columns of the lists, and the value that a clip must have there."""
        return {}


class VGGSoundSettings(PublishedSettings):
    """VGGSound (Chen et al. 2020): ten seconds of a YouTube video and one of 309 labels."""


class VisualSoundSettings(PublishedSettings):
    """VisualSound (Viertola et al. 2024): the clips of VGGSound whose sound has its source in the picture."""

    @model_validator(mode="after")
    def _form(self) -> "VisualSoundSettings":
        if any(published.format != "visualsound" for published in self.lists):
            raise ValueError("every list of VisualSound must have the form `visualsound`")
        return self


class VGGSoundSparseSettings(PublishedSettings):
    """VGGSound-Sparse (Iashin et al. 2022): the clips of VGGSound's test split with few, short events."""

    labels: tuple[PublishedList, ...] = Field(min_length=1, description="lists that give the clips' labels")
    classes: PublishedList | None = Field(
        None, description="list of the form `classes`, whose classes marked y are kept; null: the twelve of the paper"
    )
    flags: dict[str, str] = Field(
        {}, description="column -> value that a row must have, e.g. is_sync: '1' of the form `sync_labels`"
    )

    def wanted_classes(self, reading: "_Reading") -> frozenset[str] | None:
        """See :meth:`PublishedSettings.wanted_classes`."""
        return SPARSE_CLASSES if self.classes is None else reading.classes(self.classes)

    def wanted_values(self) -> Mapping[str, str]:
        """See :meth:`PublishedSettings.wanted_values`."""
        return self.flags


#: Every kind of published data sets by its name (`list` in a configuration): a subclass of :class:`DatasetKind`.
DATASET_KINDS = Registry[type[DatasetKind]](
    "kind of published data set",
    {
        "vggsound": VGGSoundSettings,
        "visualsound": VisualSoundSettings,
        "vggsound_sparse": VGGSoundSparseSettings,
    },
)


def build_dataset(
    kind: str, settings: DatasetKind, output: str | Path, refused: str | Path
) -> tuple[dict[str, int], int]:
    """Write a data set's manifest, the ledger of refused rows, and a card.

    The card ``<output without suffix>.card.json`` names each list with address, SHA-256, licence and rows, and counts
    clips by split and label. Lists without a `path` are kept in ``<output without suffix>.lists``.

    Parameters
    ----------
    kind : str
        Of :data:`DATASET_KINDS`.
    settings : DatasetKind
        Of that kind.
    output, refused : str or Path
        Manifest (:mod:`cafa.data.manifest`) and ledger, with line and reason of every row that is not in the manifest.

    Returns
    -------
    (dict of str to int, int)
        Clips by split, and rows refused.

    Raises
    ------
    InputError
        If a list is not there or not of its form, no clip remains, or not the expected number.
    """
    output = Path(output)
    read: list[dict[str, Any]] = []
    candidates = settings.candidates(output.with_suffix(".lists"), read)
    accepted, rejected = write_manifest(candidates, output.parent, output, refused)
    manifest = read_manifest(output)
    by_split = {str(name): int(count) for name, count in manifest["split"].value_counts().sort_index().items()}
    reasons = Counter(read_ledgers([refused])["status"])
    try:
        if not accepted:
            raise InputError(f"no clip of {kind} can be used: {why(refused)} (cafa ledger {copy_for_message(refused)})")
        if settings.expected is not None and by_split != {k: n for k, n in settings.expected.items() if n}:
            raise InputError(
                f"{kind}: {by_split} clips came out, {dict(settings.expected)} are expected; {rejected} rows were "
                f"refused (cafa ledger {copy_for_message(refused)}). If the list is meant to be this one, correct "
                "`expected`"
            )
    except InputError:
        output.unlink()
        raise
    labels = manifest["label"].value_counts().sort_index()
    write_json(
        output.with_suffix(".card.json"),
        {
            "kind": kind,
            "lists": read,
            "manifest_sha256": sha256_file(output),
            "clips": by_split,
            "clips_by_label": {str(label): int(count) for label, count in labels.items()},
            "refused": dict(sorted(reasons.items())),
        },
    )
    return by_split, rejected


def make_dataset(kind: str, settings: str, output: str | Path, refused: str | Path) -> str:
    """Write a data set's manifest, ledger and card (:func:`build_dataset`), from settings as text.

    Parameters
    ----------
    kind : str
        Of :data:`DATASET_KINDS`.
    settings : str
        JSON object with the fields of that kind.
    output, refused : str or Path
        Manifest and ledger to write.

    Returns
    -------
    str
        Clips that were accepted, by split, and rows that were refused.

    Raises
    ------
    InputError
        If there is no such kind, or see :func:`build_dataset`.
    """
    by_split, rejected = build_dataset(kind, DATASET_KINDS[kind].model_validate_json(settings), output, refused)
    counts = ", ".join(f"{count} {split}" for split, count in by_split.items())
    return f"{sum(by_split.values())} clips accepted ({counts}), {rejected} rows refused"


class _Reading:
    """The lists of a data set, read once each."""

    def __init__(self, settings: PublishedSettings, folder: Path, read: list[dict[str, Any]]) -> None:
        self.settings, self.folder, self.read = settings, folder, read

    def candidates(self) -> Iterator[Candidate]:
        """Every row of every list, in order."""
        settings = self.settings
        labels = {
            entry.clip_id: entry.label
            for published in reversed(settings.labels)
            for entry in self._entries(published, "labels")
            if entry.label and entry.problem is None
        }
        subset = None
        if settings.subset is not None:
            subset = {entry.clip_id for entry in self._entries(settings.subset, "subset") if entry.problem is None}
        classes = settings.wanted_classes(self)
        first: dict[str, str] = {}
        for published in settings.lists:
            for entry in self._entries(published, "clips"):
                label = entry.label or labels.get(entry.clip_id, "")
                problem = entry.problem
                if problem is None and entry.clip_id in first:
                    # Also where the first is left out: no clip of the test split comes back as one of training.
                    problem = ClipError("duplicate_id", f"{entry.clip_id} is already in {first[entry.clip_id]}")
                elif problem is None:
                    first[entry.clip_id] = entry.place
                    problem = self._left_out(entry, label, subset, classes)
                fields = {"clip_id": entry.clip_id} if problem else self._fields(entry, label, published.licence)
                yield Candidate(entry.line, fields, entry.place, problem)

    def _entries(self, published: PublishedList, role: str) -> Iterator[ListedClip]:
        path = obtain(published, self.folder)
        record = self._record(published, role, path)
        for entry in read_list(published, path):
            record["rows"] += 1
            yield entry

    def classes(self, published: PublishedList) -> frozenset[str]:
        """Classes that a list of the form ``classes`` marks."""
        path = obtain(published, self.folder)
        record = self._record(published, "classes", path)
        classes = read_classes(published, path)
        record["rows"] = len(classes)
        return classes

    def _record(self, published: PublishedList, role: str, path: Path) -> dict[str, Any]:
        """What the card says of a list that is read."""
        self.read.append(
            {
                "role": role,
                "name": published.title,
                "url": published.url,
                "sha256": sha256_file(path),
                "licence": published.licence,
                "format": published.format,
                "rows": 0,
            }
        )
        return self.read[-1]

    def _left_out(
        self, entry: ListedClip, label: str, subset: set[str] | None, classes: frozenset[str] | None
    ) -> ClipError | None:
        """Why a good row is not wanted."""
        settings = self.settings
        if not label:
            return ClipError("no_label", f"{entry.place} gives none, nor do the lists of `labels`")
        if settings.subset is not None and subset is not None and entry.clip_id not in subset:
            return ClipError("not_selected", f"{settings.subset.title} does not name it")
        if settings.splits is not None and self._split(entry) not in settings.splits:
            return ClipError("not_selected", f"its split is {self._split(entry)!r}")
        if classes is not None and label not in classes:
            return ClipError("not_selected", f"its label {label!r} is not one of the {len(classes)} classes")
        for column, wanted in settings.wanted_values().items():
            if column not in entry.row:
                raise InputError(f"{entry.place} has no column {column!r}, which `flags` names")
            if entry.row[column] != wanted:
                return ClipError("not_selected", f"{column} is {entry.row[column]!r}, not {wanted!r}")
        return None

    def _fields(self, entry: ListedClip, label: str, licence: str) -> dict[str, str]:
        fields = {
            "clip_id": entry.clip_id,
            "uri": video_url(entry.video_id),
            "start": str(entry.start),
            "duration": repr(self.settings.seconds),
            "label": label,
            "split": self._split(entry),
            "licence": licence,
        }
        if self.settings.caption == "{label}":  # as nearly always, and worth it for 200,000 clips
            return fields | {"caption": label}
        return with_defaults(fields, {"caption": self.settings.caption})

    def _split(self, entry: ListedClip) -> str:
        """The row's split; clips of a video are held out together, so that nothing of it is trained on."""
        if entry.split == "train" and self.settings.validation_share:
            share = int.from_bytes(hashlib.sha256(entry.video_id.encode()).digest()[:8], "big") / 2**64
            return "validation" if share < self.settings.validation_share else "train"
        return entry.split
