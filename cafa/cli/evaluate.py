"""`cafa evaluate`: judge folders of sounds, without the workflow."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import (
    device_option,
    encoding_option,
    folder,
    resume_options,
    separator_option,
    threads_option,
)
from cafa.common.errors import InputError

if TYPE_CHECKING:
    from metrics.judges.interface import Panel

DEFAULT_SECONDS = 8.0


@click.command()
@folder("--reference", help="folder of the clips: <clip_id>.mp4, or <clip_id>.wav beside a <clip_id>.mp4")
@click.option(
    "--samples", "systems", multiple=True, required=True,
    help="folder of a system's sounds, <clip_id>.<suffix>; as NAME=FOLDER to name it; repeat for further systems",
)  # fmt: skip
@click.option(
    "--prompts", required=True, type=click.Path(path_type=Path),
    help="csv: clip_id, caption; own_caption (for Acc), label, own_label, caption_id; reference, video, sample (files)",
)  # fmt: skip
@click.option("--judges", type=click.Choice(["real", "miniature"]), default="real", help="who judges")
@click.option(
    "--weights", type=click.Path(path_type=Path), default=None,
    help="folder of the judges' weights  [default: weights; results/models/judges for the miniature's]",
)  # fmt: skip
@click.option(
    "--weights-table", type=click.Path(path_type=Path), default=None,
    help="table of weights  [default: the package's own]",
)  # fmt: skip
@click.option("--unverified", is_flag=True, help="accept weights for which that table has no SHA-256")
@click.option(
    "--check", type=click.Path(path_type=Path), default=Path("results/judges.json"),
    help="verdict on the miniature's judges, of `cafa judges check`",
)  # fmt: skip
@folder("--output", help="folder to write; an interrupted run continues in it")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=None,
    help=f"length that is scored  [default: {DEFAULT_SECONDS:g}; for the miniature's judges that of their training]",
)  # fmt: skip
@click.option("--whole-file-for-imagebind", is_flag=True, help="ImageBind hears whole files, as in av-benchmark")
@click.option("--metric", "metrics", multiple=True, help="column of the table; repeat  [default: all that apply]")
@click.option(
    "--max-loss", type=click.FloatRange(0, 1, max_open=True), default=0.05,
    help="largest share of prompts that may be missing",
)  # fmt: skip
@click.option("--controls", is_flag=True, help="add rows for the clips' own sounds, and for shuffled ones")
@click.option("--batch-size", type=click.IntRange(1), default=1, help="sounds that are judged together")
@click.option("--workers", type=click.IntRange(0), default=1, help="threads that decode ahead")
@click.option("--inception-splits", type=click.IntRange(1), default=10,
    help="parts of the inception score; fewer where a part would hold less than 10 sounds",
)  # fmt: skip
@click.option("--resamples", type=click.IntRange(100), default=500, help="draws of the intervals of mean values")
@click.option("--set-resamples", type=click.IntRange(100), default=100, help="draws for FAD, KAD and IS")
@encoding_option
@separator_option
@threads_option
@device_option
@resume_options
def command(
    reference: Path, systems: tuple[str, ...], prompts: Path, judges: str, weights: Path | None,
    weights_table: Path | None, unverified: bool, check: Path, output: Path, seconds: float | None,
    whole_file_for_imagebind: bool, metrics: tuple[str, ...], max_loss: float, controls: bool, batch_size: int,
    workers: int, inception_splits: int, resamples: int, set_resamples: int, encoding: str | None,
    separator: str | None, device: str,
) -> None:  # fmt: skip
    """Judge folders of sounds: a table, a parquet of every sound, a protocol card, a ledger of what was lost."""
    from cafa.common.files import sha256_file
    from cafa.common.folder_lock import only_writer_in
    from metrics.evaluation.evaluate import CLASSES as REAL_CLASSES
    from metrics.evaluation.evaluate import (
        EvaluationSettings,
        check_metrics,
        default_metrics,
        evaluate,
        metrics_left_out,
    )
    from metrics.evaluation.pairs import read_pairs
    from metrics.tables.catalogue import judges_for, metric_named
    from metrics.tables.compute import BootstrapSettings

    pairs = read_pairs(prompts, reference, named_folders(systems), encoding=encoding, separator=separator)
    classes = REAL_CLASSES if judges == "real" else ()
    chosen = tuple(metric_named(name).name for name in metrics)
    if not chosen:
        chosen = default_metrics(pairs.prompts, classes)
        for name, reason in metrics_left_out(pairs.prompts, classes).items():
            click.echo(f"{name} is left out: {reason}", err=True)
    settings = EvaluationSettings(
        metrics=chosen, max_loss=max_loss, controls=controls, batch_size=batch_size, workers=workers,
        inception_splits=inception_splits,
        bootstrap=BootstrapSettings(resamples=resamples, set_resamples=set_resamples),
    )  # fmt: skip
    check_metrics(pairs.prompts, classes, settings)
    click.get_current_context().with_resource(only_writer_in(output))  # before the networks are loaded
    needed = judges_for(chosen)
    panel: Panel
    if judges == "miniature":
        panel = _miniature(weights or Path("results/models/judges"), check, needed, seconds, device)
    else:
        from cafa.models.weights import read_weight_sources
        from metrics.judges.published import load_real

        sources = read_weight_sources(weights_table)
        panel = load_real(
            weights or Path("weights"), sources, needed, seconds or DEFAULT_SECONDS,
            whole_file_for_imagebind=whole_file_for_imagebind, device=device, unverified=unverified,
        )  # fmt: skip
    evaluate(pairs, panel, settings, output, {"list_sha256": sha256_file(prompts)})
    click.echo((output / "table.md").read_text(encoding="utf-8").split("\n## Columns")[0])
    click.echo(f"written to {output}: table.csv, table.md, table.card.json, clips.parquet, categories.csv, missing.csv")


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


def _miniature(weights: Path, check: Path, needed: frozenset[str], seconds: float | None, device: str) -> "Panel":
    from cafa.common.files import read_json
    from metrics.judge_quality.verdict import check_judges
    from metrics.judges.miniature import MiniatureJudges

    if not check.is_file():
        raise InputError(
            f"no verdict on the judges at {check}: `make table1` writes it to results/judges.json, `cafa judges check` "
            "writes it anywhere"
        )
    verdict: Mapping[str, object] = read_json(check)
    check_judges(verdict)
    panel = MiniatureJudges(weights, verdict, needed, device)
    if seconds is not None and seconds != panel.seconds:
        raise InputError(f"these judges were trained on {panel.seconds:g} s and score that length, not {seconds:g} s")
    return panel
