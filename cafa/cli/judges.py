"""`cafa judges`: train the judges of the miniature or register pretrained ones, and check that they can judge."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cafa.cli.options import (
    device_option,
    files,
    folder,
    object_option,
    resume_options,
    seed_option,
    threads_option,
    validated_settings,
    writable,
)
from cafa.cli.renamed import renamed_option

if TYPE_CHECKING:
    from metrics.judge_quality.published import CanarySettings
    from metrics.judges.registry import PretrainedSettings

frames_option = files("--frames", help="feature file of frames")
mel_option = files("--mel", help="feature file of log-mels")
manifest_option = click.option("--manifest", required=True, help="manifest of the data set")
verdict_option = click.option(
    "--output", required=True, type=click.Path(path_type=Path), callback=writable, help="judges.json to write"
)


@click.group()
def command() -> None:
    """Train (miniature) or register (pretrained) judges, and check them."""


@command.command()
@click.argument("name")
@frames_option
@mel_option
@manifest_option
@click.option("--split", default="train", help="split to train on")
@object_option(
    "--settings",
    help="fields of metrics.judges.training.settings.JudgeSettings; what is not given has the judge's default",
)
@seed_option
@folder("--output", help="model folder to write")
@threads_option
@device_option
@resume_options
def train(
    name: str,
    frames: tuple[str, ...],
    mel: tuple[str, ...],
    manifest: str,
    split: str,
    settings: dict[str, Any],
    seed: int,
    output: Path,
    device: str,
) -> None:
    """Train judge NAME, in its small form; an interrupted run continues exactly."""
    from metrics.judges.training.from_files import ClipFiles, train_judge_from_files

    clips = ClipFiles(frames, mel, manifest, split)
    train_judge_from_files(name, clips, settings, seed=seed, output=output, device=device)


@command.command()
@folder("--judges", help="folder of the judges' model folders")
@frames_option
@mel_option
@manifest_option
@renamed_option("--truth", "--event-times")
@click.option(
    "--event-times", default=None, help="event times (rendered world); without it dubbed pairs are not measured"
)
@object_option("--settings", help="thresholds, {judge: {measure: number}}; see metrics.judges.kinds")
@seed_option
@verdict_option
@threads_option
@device_option
def check(
    judges: Path,
    frames: tuple[str, ...],
    mel: tuple[str, ...],
    manifest: str,
    event_times: str | None,
    settings: dict[str, Any],
    seed: int,
    output: Path,
    device: str,
) -> None:
    """Measure the judges on clips they were not trained on; writes the verdict, and succeeds whatever it is."""
    from metrics.judge_quality.check_trained import check_trained_judges
    from metrics.judges.training.from_files import ClipFiles

    clips = ClipFiles(frames, mel, manifest)
    verdict = check_trained_judges(judges, clips, settings, events=event_times, seed=seed, output=output, device=device)
    click.echo(verdict, err=True)


@command.command()
@click.argument("name")
@validated_settings("metrics.judges.registry.PretrainedSettings")
@folder("--output", help="model folder to write")
def register(name: str, settings: "PretrainedSettings", output: Path) -> None:
    """Register pretrained judge NAME (classifier, clap, imagebind, synchformer...); its files are checked."""
    from metrics.judges.registering import register_judge

    click.echo(register_judge(name, settings, output), err=True)


@command.command()
@folder("--judges", help="folder of the registered judges' model folders")
@renamed_option("--truth", "--reference-embeddings")
@files(
    "--reference-embeddings", required=False, help="folder of `cafa embed reference`: measure on these clips as well"
)
@click.option(
    "--text", type=click.Path(path_type=Path), help="CLAP's embeddings of captions, with --reference-embeddings"
)
@click.option("--manifest", help="manifest of the clips, with --reference-embeddings")
@validated_settings("metrics.judge_quality.published.CanarySettings")
@verdict_option
@threads_option
@device_option
def canary(
    judges: Path,
    reference_embeddings: tuple[str, ...],
    text: Path | None,
    manifest: str | None,
    settings: "CanarySettings",
    output: Path,
    device: str,
) -> None:
    """Load pretrained judges and measure that they judge; writes the verdict, and succeeds whatever it is."""
    from metrics.judge_quality.check_registered import EmbeddedClips, check_registered_judges

    clips = EmbeddedClips(reference_embeddings, text, manifest)
    click.echo(check_registered_judges(judges, clips, settings, output, device), err=True)
