"""`cafa generate`: new sound for videos."""

from pathlib import Path
from typing import Any, Literal

import click

from cafa.cli.options import auto_device_option, machine_threads_option, writable
from cafa.cli.parsed import Seconds, Words
from cafa.cli.registry_name import RegistryName


@click.command()
@click.argument("video", type=click.Path(exists=True, path_type=Path))
@click.option("--prompt", "prompts", multiple=True, help="what it should sound like; may be repeated")
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,), help="may be repeated: one result each")
@click.option("--negative-prompt", default=None, help="what it should not sound like")
@click.option("--start", type=Seconds(), default=0.0, help="begin of the part, in seconds, m:s or h:m:s")
@click.option("--end", type=Seconds(), default=None, help="end of the part  [default: the video's]")
@click.option("--takes", type=click.IntRange(1), default=1, help="sounds to try, with the seeds from --seed on")
@click.option("--keep", type=click.IntRange(1), default=1, help="how many of them are kept: the best by the judges")
@click.option(
    "--judges",
    "judged_by",
    type=click.Choice(["auto", "real", "miniature", "none"]),
    default="auto",
    help="who ranks takes; auto: the published judges that are there, the miniature's for its own models",
)
@click.option(
    "--judges-weights",
    type=click.Path(path_type=Path),
    default=None,
    help="folder of the judges' weights  [default: as `cafa evaluate`]",
)
@click.option(
    "--unverified-judges", is_flag=True, help="accept judges' weights for which the table of weights has no SHA-256"
)
@click.option(
    "--write",
    type=Words(("wav", "flac", "video")),
    default="wav,video",
    help="kinds of files, separated by commas: wav, flac, video",
)
@click.option(
    "--level",
    type=click.Choice(["loudness", "peak"]),
    default=None,
    help="peak: as the model leaves it  [default: loudness, but peak with --preset official]",
)
@click.option("--lufs", type=click.FloatRange(-70, 0), default=-23.0, help="loudness of the sound (EBU R 128: -23)")
@click.option(
    "--true-peak", type=click.FloatRange(-20, 0), default=-1.0, help="largest true peak, in dBTP (EBU R 128: -1)"
)
@click.option(
    "--sample-rate",
    type=click.IntRange(8000, 192_000),
    default=None,
    help="hertz, such as 48000  [default: the model's]",
)
@click.option(
    "--mix",
    type=click.FloatRange(-60, 20),
    default=None,
    help="keep the video's own sound below the new one, at so many dB, such as -12; 0: as it is",
)
@click.option(
    "--track",
    type=click.Choice(["replace", "add"]),
    default="replace",
    help="replace the video's sound, or add a further sound track",
)
@click.option(
    "--sound-track",
    type=click.IntRange(1),
    default=None,
    help="sound track that is replaced and mixed, from 1  [default: the one that players take]",
)
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
@click.option("--half/--no-half", default=None, help="16 bits  [default: on a GPU of CUDA]")
@click.option("--overlap", type=float, default=0.4, help="seconds that windows of a long video share")
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=None,
    help="windows sampled together, halved if memory does not hold them  [default: 8 on a GPU of CUDA, else 1]",
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
@machine_threads_option
@auto_device_option
def command(
    video: Path,
    prompts: tuple[str, ...],
    seeds: tuple[int, ...],
    models: Path | None,
    output_folder: Path,
    start: float,
    end: float | None,
    takes: int,
    keep: int,
    judged_by: Literal["auto", "real", "miniature", "none"],
    judges_weights: Path | None,
    unverified_judges: bool,
    write: tuple[Literal["wav", "flac", "video"], ...],
    level: Literal["loudness", "peak"] | None,
    lufs: float,
    true_peak: float,
    sample_rate: int | None,
    mix: float | None,
    track: Literal["replace", "add"],
    sound_track: int | None,
    device: str,
    **options: Any,
) -> None:
    """Make new sound for VIDEO: a video, a folder of videos, or a table of them.

    Writes a .wav, and the video with the new sound, for each prompt and seed. A table (.csv, .tsv, .parquet) has the
    columns video, prompt, negative_prompt, seed, start and end, of which only the first must be there; paths are
    relative to the table.

    Every result has files of its own: the name ends in a digest of video, prompt, seed, settings and models; what is
    there is not made again. generated.json beside them says what each file is, and what of the video was damaged.
    """
    from cafa.generation.finish import Finish
    from cafa.generation.generate_files import GenerateOptions, GenerateRequest, generate_files
    from metrics.evaluation.rank_takes import TakePanel

    finish = Finish(level, lufs, true_peak, sample_rate, mix, track, sound_track)
    asked = GenerateOptions(device=device, finish=finish, **options)
    request = GenerateRequest(video, prompts, seeds, models, output_folder, asked, start, end, takes, keep, write)
    panel = TakePanel(judged_by, judges_weights, unverified_judges, device, models)
    generate_files(request, say=click.echo, judges=panel)
