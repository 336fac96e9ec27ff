"""`cafa study`: a human study from samples to Table 3."""

from pathlib import Path

import click

from cafa.cli.options import folder, writable


@click.group()
def command() -> None:
    """Human study: pairs of videos, a page for raters, their answers, win rates (Table 3)."""


@command.command()
@click.option("--settings", required=True, help="JSON object, fields of metrics.study.design.StudySettings")
@click.option("--page", default="{}", help="JSON object, fields of metrics.study.build.PageSettings")
@click.option("--prompts", required=True, type=click.Path(exists=True, path_type=Path), help="prompt set")
@folder("--clips", help="normalised clips of the data set")
@folder("--samples-folder", help="holds the indices of samples, <system>/<shard>.parquet")
@folder("--output-folder", help="folder to write: page/, to be shown, and key.json, to be kept")
def build(settings: str, page: str, prompts: Path, clips: Path, samples_folder: Path, output_folder: Path) -> None:
    """Choose pairs and write the page with its videos; who made which sound stands in key.json alone."""
    from cafa.data.prompts import read_prompts
    from metrics.study.build import PageSettings, StudySources, build_study
    from metrics.study.design import StudySettings

    design = build_study(
        read_prompts(prompts),
        StudySources(clips, samples_folder),
        StudySettings.model_validate_json(settings),
        PageSettings.model_validate_json(page),
        output_folder,
    )
    click.echo(f"{len(design.pairs)} pairs and checks, {len(design.sets)} sets: one for each rater")


@command.command()
@click.argument("study", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--answers", type=click.Path(path_type=Path), callback=writable, help="file [default: answers.jsonl]")
@click.option("--host", default="127.0.0.1", help="address to listen on; raters elsewhere need another")
@click.option("--port", default=8765, type=click.IntRange(1, 65535), help="port to listen on")
def serve(study: Path, answers: Path | None, host: str, port: int) -> None:
    """Show the page of STUDY and receive answers; build it with {"receiver": "."} for that."""
    from metrics.study.serve import serve_study

    place = answers or study / "answers.jsonl"
    click.echo(f"http://{host}:{port}/  answers go to {place}")
    serve_study(study, place, host, port)


@command.command()
@click.argument("study", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--address", required=True, help="where the page's folder lies on the web, https://...")
@folder("--output-folder", help="folder for the templates and lists of tasks")
def platforms(study: Path, address: str, output_folder: Path) -> None:
    """Templates and lists of tasks for SageMaker Ground Truth and Mechanical Turk."""
    from metrics.study.platforms import write_platform_files
    from metrics.study.results import StudyKey

    for path in write_platform_files(StudyKey.read(study / "key.json"), address, output_folder):
        click.echo(path)


@command.command()
@click.argument("answers", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--key", required=True, type=click.Path(path_type=Path), help="key.json of the study")
@click.option("--settings", default="{}", help="JSON object, fields of metrics.study.results.ResultsSettings")
@click.option(
    "--published", type=click.Path(exists=True, path_type=Path), help="values of the paper, to print beside ours"
)
@folder("--output-folder", help="folder for table3.csv, table3.md, the card, answers and exclusions")
def results(answers: tuple[Path, ...], key: Path, settings: str, published: Path | None, output_folder: Path) -> None:
    """Win rates with intervals from ANSWERS: files or folders, of the page, a receiver or a platform."""
    import pandas as pd

    from metrics.study.answers import read_answers
    from metrics.study.results import ResultsSettings, StudyKey, write_results

    hand_ins = [one for path in answers for one in read_answers(path)]
    known = None if published is None else pd.read_csv(published)
    write_results(hand_ins, StudyKey.read(key), ResultsSettings.model_validate_json(settings), output_folder, known)
    click.echo((output_folder / "table3.md").read_text(encoding="utf-8"))


@command.command()
@click.option("--rate", default=0.5, type=click.FloatRange(0, 1), help="win rate expected; 0.5 needs most pairs")
@click.option("--width", default=0.05, type=click.FloatRange(0, min_open=True), help="half of the interval wanted")
@click.option("--ratings", default=5, type=click.IntRange(1), help="raters of each pair")
@click.option("--agreement", default=0.3, type=click.FloatRange(0, 1), help="alpha of a pilot study")
def plan(rate: float, width: float, ratings: int, agreement: float) -> None:
    """How many pairs a comparison needs."""
    from metrics.study.win_rates import half_width, pairs_needed

    pairs = pairs_needed(rate, width, ratings, agreement)
    click.echo(f"{pairs} pairs of {ratings} ratings: {rate:g} +- {half_width(rate, pairs, ratings, agreement):.3f}")
