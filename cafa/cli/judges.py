"""`cafa judges`: train the judges of the miniature or register pretrained ones, and check that they can judge."""

from pathlib import Path
from typing import Any

import click

from cafa.cli.options import (
    device_option,
    files,
    folder,
    resume_options,
    seed_option,
    settings_option,
    threads_option,
    writable,
)

frames_option = files("--frames", help="feature file of frames")
mel_option = files("--mel", help="feature file of log-mels")
manifest_option = click.option("--manifest", required=True, help="manifest of the data set")


@click.group()
def command() -> None:
    """Train (miniature) or register (pretrained) judges, and check them."""


def _object(settings: str) -> dict[str, Any]:
    import json

    from cafa.common.errors import InputError

    try:
        value = json.loads(settings)
    except ValueError as error:
        raise InputError(f"--settings is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"--settings must be a JSON object, got {settings!r}")
    return value


@command.command()
@click.argument("name")
@frames_option
@mel_option
@manifest_option
@click.option("--split", default="train", help="split to train on")
@settings_option("metrics.judges.training.settings.JudgeSettings; what is not given has the judge's default")
@seed_option
@folder("--output", help="model folder to write")
@threads_option
@device_option
@resume_options
def train(
    name: str, frames: tuple[str, ...], mel: tuple[str, ...], manifest: str, split: str, settings: str, seed: int,
    output: Path, device: str,
) -> None:  # fmt: skip
    """Train judge NAME: classifier, clap, imagebind or synchformer; an interrupted run continues exactly."""
    from cafa.common.folder_lock import only_writer_in
    from cafa.data.manifest import read_manifest
    from metrics.judges.training.clips import read_clips
    from metrics.judges.training.settings import judge_settings
    from metrics.judges.training.train import train_judge

    parsed = judge_settings(name, _object(settings))
    clips = read_clips(list(map(Path, frames)), list(map(Path, mel)), read_manifest(manifest), split)
    if clips.absent:
        click.echo(f"{len(clips.absent)} clips have no features (their ledger says why)", err=True)
    with only_writer_in(output):
        train_judge(name, clips, parsed, seed=seed, output=output, device=device)


@command.command()
@folder("--judges", help="folder of the judges' model folders")
@frames_option
@mel_option
@manifest_option
@click.option("--truth", default=None, help="event times (rendered world); without it dubbed pairs are not measured")
@settings_option("thresholds, {judge: {measure: number}}; see metrics.judge_quality.verdict.MEASURES")
@seed_option
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), callback=writable, help="judges.json to write"
)
@threads_option
@device_option
def check(
    judges: Path, frames: tuple[str, ...], mel: tuple[str, ...], manifest: str, truth: str | None, settings: str,
    seed: int, output: Path, device: str,
) -> None:  # fmt: skip
    """Measure the judges on clips they were not trained on; writes the verdict, and succeeds whatever it is."""
    from cafa.common.files import write_json
    from cafa.data.manifest import read_manifest
    from metrics.encoders.miniature.all import MicroJudges
    from metrics.judge_quality.miniature import measure
    from metrics.judge_quality.verdict import report, thresholds, verdict_lines
    from metrics.judges.training.clips import read_clips

    limits = thresholds(_object(settings))
    clips = read_clips(list(map(Path, frames)), list(map(Path, mel)), read_manifest(manifest))
    loaded = MicroJudges(judges, device)
    dub = None if truth is None else _dubbing(truth, clips, loaded.mel, seed)
    weights = {name: judge.weights_sha256 for name, judge in loaded.judges.items()}
    result = report(measure(loaded, clips, seed, dub), limits, weights)
    write_json(output, result)
    for line in verdict_lines(result):
        click.echo(line, err=True)


def _dubbing(truth: str, clips: Any, mel: dict[str, Any], seed: int) -> Any:
    """Function from a clip's row to the log-mel of another category's sound at the clip's own event times."""
    import numpy as np
    import pandas as pd

    from cafa.media.mel import MelSettings, log_mel
    from cafa.world.controls import oracle_sound

    times = pd.read_parquet(truth).set_index("clip_id")
    settings = MelSettings(**{name: mel[name] for name in MelSettings.model_fields})

    def dub(row: int, label: str) -> np.ndarray:
        clip_id = clips.clip_ids[row]
        about = times.loc[clip_id]
        sound = oracle_sound(clip_id, label, label, about["event_times"], about["event_levels"], seed)
        return log_mel(sound, settings)

    return dub


@command.command()
@click.argument("name")
@settings_option("metrics.judges.registry.PretrainedSettings")
@folder("--output", help="model folder to write")
def register(name: str, settings: str, output: Path) -> None:
    """Register pretrained judge NAME: classifier, clap, imagebind or synchformer; its files are checked."""
    from metrics.judges.registry import PretrainedSettings, register

    card = register(name, PretrainedSettings.model_validate_json(settings), output)
    click.echo(f"{name}: {card['model']}, {len(card['files'])} files, SHA-256 {card['weights_sha256']}", err=True)


@command.command()
@folder("--judges", help="folder of the registered judges' model folders")
@files("--truth", required=False, help="folder of `cafa embed truth`: measure on these clips as well")
@click.option("--text", type=click.Path(exists=True, path_type=Path), help="embeddings of captions, with --truth")
@click.option("--manifest", help="manifest of the clips, with --truth")
@settings_option("metrics.judge_quality.published.CanarySettings")
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), callback=writable, help="judges.json to write"
)
@threads_option
@device_option
def canary(
    judges: Path, truth: tuple[str, ...], text: Path | None, manifest: str | None, settings: str, output: Path,
    device: str,
) -> None:  # fmt: skip
    """Load pretrained judges and measure that they judge; writes the verdict, and succeeds whatever it is."""
    from cafa.common.errors import InputError
    from cafa.common.files import read_json, write_json
    from cafa.data.manifest import read_manifest
    from metrics.judge_quality.published import CanarySettings, on_clips, verdict, without_clips
    from metrics.judge_quality.verdict import verdict_lines
    from metrics.judges.published_networks import WEIGHTS_OF
    from metrics.judges.registry import CARD, are_pretrained, open_encoders

    if len({bool(truth), text is not None, manifest is not None}) > 1:
        raise InputError("--truth, --text and --manifest belong together: give all, or none")
    if not are_pretrained(judges):
        raise InputError(f"the judges in {judges} were trained here: use `cafa judges check`")
    parsed = CanarySettings.model_validate_json(settings)
    cards = {name: read_json(judges / name / CARD) for name in WEIGHTS_OF}
    more, sizes = {}, {}
    if text is not None and manifest is not None:
        more, sizes = on_clips(list(map(Path, truth)), text, read_manifest(manifest))
    result = verdict(without_clips(open_encoders(judges, device=device)), more, parsed, cards, sizes)
    write_json(output, result)
    for line in verdict_lines(result):
        click.echo(line, err=True)
