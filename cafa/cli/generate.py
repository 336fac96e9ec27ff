"""`cafa generate`: new sound for one video."""

from pathlib import Path
from typing import Any

import click

from cafa.cli.options import device_option, threads_option, writable
from cafa.cli.registry_name import RegistryName


@click.command()
@click.argument("video", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--prompt", "prompts", multiple=True, required=True, help="what it should sound like; may be repeated")
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,), help="may be repeated: one result each")
@click.option("--negative-prompt", default=None, help="what it should not sound like")
@click.option(
    "--gamma",
    type=click.FloatRange(0),
    default=0.5,
    help="strength of the video: the lower, the stronger; 1 = plain guidance",
)
@click.option(
    "--guidance-scale",
    type=click.FloatRange(0),
    default=None,
    help="strength of the text; 1 = no guidance  [default: the backbone's own]",
)
@click.option(
    "--sampler",
    type=RegistryName("cafa.diffusion.samplers:SAMPLERS"),
    default=None,
    help="how the noise is removed, such as dpmpp_3m_sde or euler  [default: the backbone's own]",
)
@click.option("--steps", type=click.IntRange(2), default=None, help="sampling steps  [default: the backbone's own]")
@click.option(
    "--preset",
    type=click.Choice(["ours", "official"]),
    default="ours",
    help="official: as the published demo, from the video's frames to the level of the sound; up to 10 s",
)
@click.option("--encode", is_flag=True, help="encode the picture at 25 frames per second, instead of copying it")
@click.option("--half", is_flag=True, help="16 bits: faster on a GPU")
@click.option("--overlap", type=float, default=0.4, help="seconds that windows of a long video share")
@click.option(
    "--batch-size", type=click.IntRange(1), default=1, help="windows sampled together: more is faster on a GPU"
)
@click.option("--video-track", type=click.IntRange(1), default=None, help="picture track to take, from 1")
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    default=None,
    help="folder of models  [default: results/models, else those of `cafa weights get --for generate`]",
)
@click.option("--backbone", default="backbone", help="folder of the backbone below --models")
@click.option("--adapter", default="adapter", help="folder of the adapter below --models")
@click.option(
    "--output-folder", type=click.Path(path_type=Path), default=".", callback=writable, help="where the files go"
)
@threads_option
@device_option
def command(
    video: Path,
    prompts: tuple[str, ...],
    seeds: tuple[int, ...],
    models: Path | None,
    output_folder: Path,
    **options: Any,
) -> None:
    """Make new sound for VIDEO; writes a .wav, and the video with the new sound, for each prompt and seed.

    Every result has files of its own: the name ends in a digest of video, prompt, seed, settings and models.
    generated.json beside them says what each file is, and what of the video was damaged.
    """
    from cafa.generation.generate_files import GenerateOptions, GenerateRequest, generate_files

    generate_files(
        GenerateRequest(video, prompts, seeds, models, output_folder, GenerateOptions(**options)), say=click.echo
    )
