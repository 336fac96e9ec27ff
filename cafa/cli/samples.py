"""`cafa samples`: make the samples of a system."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cafa.cli.options import device_option, folder, resume_options, seed_option, shard_option, writable
from cafa.cli.renamed import renamed_option
from cafa.cli.settings import SettingsText, settings_text

if TYPE_CHECKING:
    from cafa.generation.systems import SystemKind


class SystemSettings(SettingsText):
    """Validated settings of a system, of the kind that they name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See :func:`cafa.generation.systems.parse_system`."""
        from cafa.generation.systems import parse_system

        return parse_system(settings_text(value)) if isinstance(value, str) else value


@click.group()
def command() -> None:
    """Make the samples of a system for a prompt set."""


@command.command()
@click.option("--system", "name", required=True, help="name of the system")
@click.option(
    "--settings",
    required=True,
    type=SystemSettings(),
    help="JSON object, or a file of JSON or YAML, with the fields of a kind of systems, which `kind` names "
    "(cafa.generation.systems.SYSTEM_KINDS)",
)
@click.option("--prompts", required=True, type=click.Path(path_type=Path), help="prompt set")
@folder("--features-folder", help="features of the data set")
@folder("--models", help="folder of model folders")
@folder("--clips", help="normalised clips of the data set")
@click.option("--clip-shards", type=click.IntRange(1), default=1, help="shards of the data set's clips")
@click.option("--text", default="text", help="folder of the text states of the system's backbone in there")
@click.option("--text-shards", type=click.IntRange(1), default=1, help="shards of the data set's text states")
@click.option(
    "--event-times", type=click.Path(path_type=Path), help="event times of a rendered data set, if the kind needs them"
)
@renamed_option("--truth", "--event-times")
@click.option("--seconds", type=float, required=True, help="window of sounds that are read or rendered")
@click.option("--sample-rate", type=int, required=True, help="rate of sounds that are read or rendered")
@seed_option
@shard_option
@click.option("--batch-size", type=click.IntRange(1), default=12, help="samples generated together")
@folder("--output-folder", help="folder of the shard's files")
@click.option("--index", required=True, type=click.Path(path_type=Path), callback=writable, help="index to write")
@click.option("--threads", default=1, type=click.IntRange(1), help="threads of the models")
@device_option
@resume_options
def make(
    name: str,
    settings: "SystemKind",
    prompts: Path,
    features_folder: Path,
    models: Path,
    clips: Path,
    clip_shards: int,
    text: str,
    text_shards: int,
    event_times: Path | None,
    seconds: float,
    sample_rate: int,
    seed: int,
    shard: tuple[int, int],
    batch_size: int,
    output_folder: Path,
    index: Path,
    threads: int,
    device: str,
) -> None:
    """Make one shard of a system's samples; an interrupted job continues after its last finished batch."""
    from cafa.generation.samples import SampleJob, make_system_samples
    from cafa.generation.sources import SampleFiles

    files = SampleFiles(models, clips, features_folder, clip_shards, text, text_shards, event_times)
    make_system_samples(
        SampleJob(
            name,
            settings,
            prompts,
            files,
            output_folder,
            index,
            seconds,
            sample_rate,
            seed,
            shard,
            batch_size,
            device,
            threads,
        )
    )
