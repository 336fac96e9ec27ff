"""`cafa samples`: make the samples of a system."""

from pathlib import Path

import click

from cafa.cli.options import device_option, folder, resume_options, seed_option, settings_option, shard_option, writable
from cafa.common.errors import InputError


@click.group()
def command() -> None:
    """Make the samples of a system for a prompt set."""


@command.command()
@click.option("--system", "name", required=True, help="name of the system")
@settings_option("cafa.generation.systems.System (by `kind`)")
@click.option("--prompts", required=True, help="prompt set")
@folder("--features-folder", help="features of the data set")
@folder("--models", help="folder of model folders")
@folder("--clips", help="normalised clips of the data set")
@click.option("--clip-shards", type=click.IntRange(1), default=1, help="shards of the data set's clips")
@click.option("--text", default="text", help="folder of the text states of the system's backbone in there")
@click.option("--text-shards", type=click.IntRange(1), default=1, help="shards of the data set's text states")
@click.option("--truth", default=None, help="event times (rendered world; oracle and shuffled need it)")
@click.option("--seconds", type=float, required=True, help="window of sounds that are read or rendered")
@click.option("--sample-rate", type=int, required=True, help="rate of sounds that are read or rendered")
@seed_option
@shard_option
@click.option("--batch-size", type=click.IntRange(1), default=12, help="samples generated together")
@folder("--output-folder", help="folder of the shard's files")
@click.option("--index", required=True, callback=writable, help="index to write")
@click.option("--threads", default=1, type=click.IntRange(1), help="threads of the models")
@device_option
@resume_options
def make(
    name: str, settings: str, prompts: str, features_folder: Path, models: Path, clips: Path, clip_shards: int,
    text: str, text_shards: int, truth: str | None, seconds: float, sample_rate: int, seed: int,
    shard: tuple[int, int], batch_size: int, output_folder: Path, index: str, threads: int, device: str,
) -> None:  # fmt: skip
    """Make one shard of a system's samples; an interrupted job continues after its last whole batch."""
    from cafa.common.files import sha256_file
    from cafa.common.shards import shard_of
    from cafa.common.stages import stage_of_samples, stage_version
    from cafa.data.prompts import read_prompts
    from cafa.generation.samples import make_samples, read_rows
    from cafa.generation.sound_sources import PublishedSounds, ReferenceSounds, SoundSource, other_clips
    from cafa.generation.systems import parse_system

    system = parse_system(settings)
    rows = read_rows(read_prompts(prompts))
    depends: dict[str, object] = {}
    source: SoundSource
    if system.kind in ("reference", "shuffled_reference"):
        folders = {row.clip_id: str(shard_of(row.clip_id, clip_shards)) for row in rows}
        partners = other_clips(folders, seed) if system.kind == "shuffled_reference" else None
        source = ReferenceSounds(clips, folders, sample_rate, seconds, partners)
    elif system.kind == "samples":
        source = PublishedSounds(system, sample_rate, seconds)
    elif system.kind in ("oracle", "shuffled"):
        from cafa.generation.rendered_sounds import ControlSounds

        if truth is None:
            raise InputError(f"system {name} of kind {system.kind} needs --truth: it exists for rendered clips only")
        source = ControlSounds(system.kind, truth, seed, seconds, sample_rate)
        depends["truth"] = sha256_file(truth)
    else:
        import torch

        from cafa.generation.generated_sounds import Stores, describe, open_generated

        torch.set_num_threads(threads)
        stores = Stores(features_folder, clip_shards, text_shards, text)
        source = open_generated(system, models, stores, seed, device)
        depends.update(describe(source), threads=threads)
    key = {
        "system": {"name": name, **system.model_dump(mode="json")}, "seed": seed, "batch_size": batch_size,
        "seconds": seconds, "sample_rate": sample_rate, "prompts": sha256_file(prompts), "inputs": depends,
        "version": stage_version(stage_of_samples(system.kind)),
    }  # fmt: skip
    make_samples(
        rows, source, label=f"samples {name} {shard[0]}/{shard[1]}", seed=seed, batch_size=batch_size, shard=shard,
        folder=output_folder, index=index, key=key,
    )  # fmt: skip
