"""What `cafa evaluate` does: folders of sounds in, a folder of tables out."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cafa.common.devices import workers_of_machine
from cafa.common.errors import InputError
from cafa.common.files import read_json, sha256_file
from cafa.common.folder_lock import only_writer_in
from metrics.evaluation.evaluate import (
    REFERENCE,
    EvaluationSettings,
    check_metrics,
    default_metrics,
    evaluate,
    metrics_left_out,
)
from metrics.evaluation.pairs import Pairs, read_pairs
from metrics.judges.interface import Panel
from metrics.results.folder import read_results
from metrics.results.page import Media, write_page
from metrics.tables.catalogue import METRICS, judges_for
from metrics.tables.compute import BootstrapSettings
from metrics.tables.presets import columns_of, without_published_judges

#: Seconds that published judges score.
DEFAULT_SECONDS = 8.0


@dataclass(frozen=True)
class EvaluatedFolders:
    """Where the sounds are.

    Attributes
    ----------
    reference : Path
        Folder of the clips: ``<clip_id>.mp4``, or ``<clip_id>.wav`` beside a ``<clip_id>.mp4``.
    systems : tuple of str
        ``NAME=FOLDER`` or ``FOLDER``.
    prompts : Path
        csv with ``clip_id``, ``caption``, and what else is known.
    encoding, separator : str, optional
        Of that file, where they cannot be found.
    """

    reference: Path
    systems: tuple[str, ...]
    prompts: Path
    encoding: str | None = None
    separator: str | None = None


@dataclass(frozen=True)
class JudgeChoice:
    """Who judges.

    Attributes
    ----------
    kind : {"real", "miniature"}
    weights : Path, optional
        Folder of the judges' weights; by default that of the variable ``CAFA_WEIGHTS``, ``./weights``, or that of
        `cafa weights`; ``results/models/judges`` for the miniature's.
    weights_table : Path, optional
        Table of weights; None: the package's own.
    unverified : bool
        Accept weights for which that table has no SHA-256.
    check : Path
        Verdict on the miniature's judges.
    seconds : float, optional
        Length that is scored.
    whole_file_for_imagebind : bool
        ImageBind takes whole files, as in av-benchmark.
    device : str
    """

    kind: Literal["real", "miniature"] = "real"
    weights: Path | None = None
    weights_table: Path | None = None
    unverified: bool = False
    check: Path = Path("results/judges.json")
    seconds: float | None = None
    whole_file_for_imagebind: bool = False
    device: str = "cpu"

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of which published judges give probabilities."""
        wanted = (metric.of_class for metric in METRICS.values())
        return tuple(name for name in wanted if name is not None) if self.kind == "real" else ()

    def open(self, needed: frozenset[str]) -> Panel:
        """Load the judges that are needed."""
        if self.kind == "miniature":
            return _miniature(self, needed)
        from cafa.models.weights import read_weight_sources
        from cafa.weights.folder import judges_folder
        from metrics.judges.published import load_real

        return load_real(
            self.weights or judges_folder(),
            read_weight_sources(self.weights_table),
            needed,
            self.seconds or DEFAULT_SECONDS,
            whole_file_for_imagebind=self.whole_file_for_imagebind,
            device=self.device,
            unverified=self.unverified,
        )


@dataclass(frozen=True)
class EvaluateOptions:
    """What is computed; fields of :class:`metrics.evaluation.evaluate.EvaluationSettings`, flat.

    Attributes
    ----------
    metrics : tuple of str
        Columns of the table; empty: all that apply.
    preset : str, optional
        Name of :data:`metrics.tables.presets.NAMES`: its columns that apply.
    max_loss, controls, batch_size, workers, inception_splits, resamples, set_resamples
        As there.
    html : bool
        Write ``report.html``, too.
    store : path, optional
        Folder of embeddings of reference clips and captions that runs share.
    """

    metrics: tuple[str, ...] = ()
    preset: str | None = None
    max_loss: float = 0.05
    controls: bool = False
    batch_size: int = 1
    workers: int | None = None
    inception_splits: int = 10
    resamples: int = 500
    set_resamples: int = 100
    html: bool = False
    store: Path | None = None

    def settings(self, metrics: tuple[str, ...]) -> EvaluationSettings:
        """The settings, with these metrics."""
        return EvaluationSettings(
            metrics=metrics,
            max_loss=self.max_loss,
            controls=self.controls,
            batch_size=self.batch_size,
            workers=workers_of_machine() if self.workers is None else self.workers,
            inception_splits=self.inception_splits,
            bootstrap=BootstrapSettings(resamples=self.resamples, set_resamples=self.set_resamples),
        )


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def evaluate_folders(
    folders: EvaluatedFolders,
    judges: JudgeChoice,
    options: EvaluateOptions,
    output: Path,
    say: Callable[[str], Any] = _to_stderr,
) -> str:
    """Evaluate folders of sounds (:func:`metrics.evaluation.evaluate.evaluate`).

    Parameters
    ----------
    folders : EvaluatedFolders
    judges : JudgeChoice
    options : EvaluateOptions
    output : path
        Folder to write; an interrupted run continues in it.
    say : callable
        Takes lines on what is left out.

    Returns
    -------
    str
        The table for people, and what was written.

    Raises
    ------
    InputError, MissingClipError
        As there.
    """
    named = named_folders(folders.systems)
    pairs = read_pairs(
        folders.prompts, folders.reference, named, encoding=folders.encoding, separator=folders.separator
    )
    METRICS.check(*options.metrics)
    chosen = options.metrics
    if chosen and options.preset:
        raise InputError("give --metric or --preset, not both")
    if not chosen:
        left_out = metrics_left_out(pairs.prompts, judges.classes)
        if options.preset:
            wanted = columns_of(options.preset)
            if judges.kind == "miniature":
                left_out |= without_published_judges(wanted)
            left_out = {name: reason for name, reason in left_out.items() if name in wanted}
            chosen = tuple(name for name in wanted if name not in left_out)
        else:
            chosen = default_metrics(pairs.prompts, judges.classes)
        for name, reason in left_out.items():
            say(f"{name} is left out: {reason}")
    settings = options.settings(chosen)
    check_metrics(pairs.prompts, judges.classes, settings)
    with only_writer_in(output):  # before the networks are loaded
        panel = judges.open(judges_for(chosen))
        extra = {"list_sha256": sha256_file(folders.prompts)}
        evaluate(pairs, panel, settings, output, extra, options.store)
        if options.html:
            write_page(read_results(output), media_of(pairs), output / "report.html")
    table = (output / "table.md").read_text(encoding="utf-8").split("\n## Columns")[0]
    written = "table.csv, table.md, table.card.json, table.differences.csv, clips.parquet, categories.csv, missing.csv"
    written += ", ledger.parquet" + ", report.html" * options.html
    return f"{table}\nwritten to {output}: {written}"


def media_of(pairs: Pairs) -> Media:
    """What a page can play of these pairs; the clips' own sounds stand for the control ``reference``."""
    sounds = {
        (system, *key): file.path
        for system, files in pairs.samples.items()
        for key, file in files.items()
        if file.path is not None
    }
    for clip_id, caption_id in zip(pairs.prompts["clip_id"], pairs.prompts["caption_id"], strict=True):
        if (own := pairs.sounds[clip_id].path) is not None:
            sounds[REFERENCE, clip_id, caption_id] = own
    return Media(sounds, {clip_id: file.path for clip_id, file in pairs.pictures.items() if file.path is not None})


def named_folders(systems: tuple[str, ...]) -> dict[str, Path]:
    """Folders by name of system, from ``NAME=FOLDER`` or ``FOLDER``.

    Raises
    ------
    InputError
        If two have one name.
    """
    folders: dict[str, Path] = {}
    for text in systems:
        name, separator, path = text.partition("=")
        if not separator:
            name, path = Path(text).resolve().name, text
        if name in folders:
            raise InputError(f"two systems are called {name!r}: name them, --samples NAME=FOLDER")
        folders[name] = Path(path)
    return folders


def _miniature(choice: JudgeChoice, needed: frozenset[str]) -> Panel:
    from metrics.judge_quality.verdict import check_judges
    from metrics.judges.miniature import MiniatureJudges

    if not choice.check.is_file():
        raise InputError(
            f"no verdict on the judges at {choice.check}: `make table1` writes it to results/judges.json, "
            "`cafa judges check` writes it anywhere"
        )
    verdict: Mapping[str, Any] = read_json(choice.check)
    check_judges(verdict)
    panel = MiniatureJudges(choice.weights or Path("results/models/judges"), verdict, needed, choice.device)
    seconds = choice.seconds
    if seconds is not None and seconds != panel.seconds:
        raise InputError(f"these judges were trained on {panel.seconds:g} s and score that length, not {seconds:g} s")
    return panel
