"""`cafa study`: a human study from samples to Table 3."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import folder, validated_settings, writable
from cafa.cli.settings import Settings

if TYPE_CHECKING:
    from metrics.study.build import PageSettings
    from metrics.study.design import StudySettings
    from metrics.study.results import ResultsSettings


@click.group()
def command() -> None:
    """Human study: pairs of videos, a page for raters, their answers, win rates (Table 3)."""


@command.command()
@validated_settings("metrics.study.design.StudySettings", default=None)
@click.option(
    "--page",
    default="{}",
    type=Settings("metrics.study.build.PageSettings"),
    help="JSON object, or a file of JSON or YAML, with the fields of metrics.study.build.PageSettings",
)
@click.option("--prompts", required=True, type=click.Path(exists=True, path_type=Path), help="prompt set")
@folder("--clips", help="normalised clips of the data set")
@folder("--samples-folder", help="holds the indices of samples, <system>/<shard>.parquet")
@folder("--output-folder", help="folder to write: page/, to be shown, and key.json, to be kept")
def build(
    settings: "StudySettings",
    page: "PageSettings",
    prompts: Path,
    clips: Path,
    samples_folder: Path,
    output_folder: Path,
) -> None:
    """Choose pairs and write the page with its videos; who made which sound stands in key.json alone."""
    from metrics.study.commands import StudySources, build_from_files

    click.echo(build_from_files(prompts, StudySources(clips, samples_folder), settings, page, output_folder))


@command.command()
@click.argument("study", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--answers", type=click.Path(path_type=Path), callback=writable, help="file [default: answers.jsonl]")
@click.option("--host", default="127.0.0.1", help="address to listen on; raters elsewhere need another")
@click.option("--port", default=8765, type=click.IntRange(1, 65535), help="port to listen on")
def serve(study: Path, answers: Path | None, host: str, port: int) -> None:
    """Show the page of STUDY and receive answers; build it with {"receiver": "."} for that."""
    from metrics.study.commands import serve as serve_study

    serve_study(study, answers, host, port)


@command.command()
@click.argument("study", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--address", required=True, help="where the page's folder lies on the web, https://...")
@folder("--output-folder", help="folder for the templates and lists of tasks")
def platforms(study: Path, address: str, output_folder: Path) -> None:
    """Templates and lists of tasks for SageMaker Ground Truth and Mechanical Turk."""
    from metrics.study.commands import platform_files

    click.echo(platform_files(study, address, output_folder))


@command.command()
@click.argument("answers", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--key", required=True, type=click.Path(path_type=Path), help="key.json of the study")
@validated_settings("metrics.study.results.ResultsSettings")
@click.option("--published", type=click.Path(exists=True, path_type=Path), help="values of the paper, printed too")
@folder("--output-folder", help="folder for table3.csv, table3.md, the card, answers and exclusions")
def results(
    answers: tuple[Path, ...], key: Path, settings: "ResultsSettings", published: Path | None, output_folder: Path
) -> None:
    """Win rates with intervals from ANSWERS: files or folders, of the page, a receiver or a platform."""
    from metrics.study.commands import results_from_files

    click.echo(results_from_files(answers, key, settings, published, output_folder))


@command.command()
@click.option("--rate", default=0.5, type=click.FloatRange(0, 1), help="win rate expected; 0.5 needs most pairs")
@click.option("--width", default=0.05, type=click.FloatRange(0, min_open=True), help="half of the interval wanted")
@click.option("--ratings", default=5, type=click.IntRange(1), help="raters of each pair")
@click.option("--agreement", default=0.3, type=click.FloatRange(0, 1), help="alpha of a pilot study")
def plan(rate: float, width: float, ratings: int, agreement: float) -> None:
    """How many pairs a comparison needs."""
    from metrics.study.commands import plan as plan_study

    click.echo(plan_study(rate, width, ratings, agreement))
