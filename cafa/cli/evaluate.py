"""`cafa evaluate`: judge folders of sounds, without the workflow."""

from pathlib import Path
from typing import Any, Literal

import click

from cafa.cli.options import (
    auto_device_option,
    encoding_option,
    folder,
    machine_threads_option,
    resume_options,
    separator_option,
    store_option,
)


@click.command()
@folder("--reference", help="folder of the clips: <clip_id>.mp4, or <clip_id>.wav beside a <clip_id>.mp4")
@click.option(
    "--samples",
    "systems",
    multiple=True,
    required=True,
    help="folder of a system's sounds, <clip_id>.<suffix>; as NAME=FOLDER to name it; repeat for further systems",
)
@click.option(
    "--prompts",
    required=True,
    type=click.Path(path_type=Path),
    help="csv: clip_id, caption; own_caption (for Acc), label, own_label, caption_id; reference, video, sample (files)",
)
@click.option("--judges", "kind", type=click.Choice(["real", "miniature"]), default="real", help="who judges")
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    default=None,
    help="folder of weights  [default: CAFA_WEIGHTS, ./weights or as `cafa weights`; miniature: results/models/judges]",
)
@click.option(
    "--weights-table",
    type=click.Path(path_type=Path),
    default=None,
    help="table of weights  [default: the package's own]",
)
@click.option("--unverified", is_flag=True, help="accept weights for which that table has no SHA-256")
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    default=Path("results/judges.json"),
    help="verdict on the miniature's judges, of `cafa judges check`",
)
@folder("--output", help="folder to write; an interrupted run continues in it")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=None,
    help="length that is scored  [default: 8; for the miniature's judges that of their training]",
)
@click.option("--whole-file-for-imagebind", is_flag=True, help="ImageBind takes whole files, as in av-benchmark")
@click.option("--metric", "metrics", multiple=True, help="column of the table; repeat  [default: all that apply]")
@click.option(
    "--preset",
    type=click.Choice(["cafa", "av-benchmark", "reference-free", "all"]),
    default=None,
    help="columns that belong together, in place of --metric; those that do not apply are left out, and named",
)
@click.option(
    "--max-loss",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.05,
    help="largest share of prompts that may be missing",
)
@click.option("--controls", is_flag=True, help="add rows for the clips' own sounds, and for shuffled ones")
@click.option("--batch-size", type=click.IntRange(1), default=1, help="sounds that are judged together")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=None,
    help="threads that decode ahead  [default: as many as processors may be used, at most 8]",
)
@store_option
@click.option(
    "--inception-splits",
    type=click.IntRange(1),
    default=10,
    help="parts of the inception score; fewer where a part would hold less than 10 sounds",
)
@click.option("--resamples", type=click.IntRange(100), default=500, help="draws of the intervals of mean values")
@click.option("--set-resamples", type=click.IntRange(100), default=100, help="draws for FAD, KAD and IS")
@click.option("--html", is_flag=True, help="write report.html, too: tables, distributions, sounds with players")
@encoding_option
@separator_option
@machine_threads_option
@auto_device_option
@resume_options
def command(
    reference: Path,
    systems: tuple[str, ...],
    prompts: Path,
    encoding: str | None,
    separator: str | None,
    kind: Literal["real", "miniature"],
    weights: Path | None,
    weights_table: Path | None,
    unverified: bool,
    check: Path,
    seconds: float | None,
    whole_file_for_imagebind: bool,
    device: str,
    output: Path,
    **options: Any,
) -> None:
    """Judge folders of sounds: a table, a parquet of every sound, a protocol card, a ledger of what was lost."""
    from metrics.evaluation.from_files import EvaluatedFolders, EvaluateOptions, JudgeChoice, evaluate_folders

    folders = EvaluatedFolders(reference, systems, prompts, encoding, separator)
    judges = JudgeChoice(kind, weights, weights_table, unverified, check, seconds, whole_file_for_imagebind, device)
    click.echo(evaluate_folders(folders, judges, EvaluateOptions(**options), output))
