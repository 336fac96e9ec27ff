"""What `cafa generate` leaves of a file: ffprobe's and ffmpeg's view of the video before and after, side by side.

Six videos, as cameras, phones and browsers give them, are made with ffmpeg; each gets a new sound by `cafa generate`
with tiny models of random weights, which go the way that published ones go. All values are those of the programs
ffprobe and ffmpeg, none of our own reading. Where the sound begins is measured: the wav that was written is looked for
in the sound that ffmpeg decodes of the video.

Needs the programs ffmpeg (with x264, x265, VP9 and Opus) and ffprobe; some two minutes::

    python -m benchmarks.real_files --output real_files.csv
"""

import csv
import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy.signal import correlate

from cafa.common.files import read_json, write_json
from cafa.generation.foley import FoleyPipeline
from cafa.generation.generate_files import GenerateOptions, GenerateRequest, generate_files
from cafa.generation.systems import Sampling
from tests.tiny_pretrained import REAL, make_registered, make_trained_adapter

#: Samples per second at which sounds are compared, and seconds that are compared.
RATE, COMPARED = 48_000, 2.0
NOISE = "anoisesrc=r=48000:a=0.2:seed=1:d={seconds}"
TONE = "sine=frequency=440:sample_rate=48000:duration={seconds}"
HDR = (
    "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:max-cll=1000,400:log-level=error:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)
BT709 = ["-color_range", "tv", "-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709"]
BT2020 = ["-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"]


@dataclass(frozen=True)
class Source:
    """A video to be made.

    Attributes
    ----------
    file : str
    size, rate : str
    seconds : float
    coding : sequence of str
        Arguments of ffmpeg after the inputs.
    sounds : sequence of str
        Filters that make the sound tracks.
    turned : int
        Degrees that the file says the picture is to be turned.
    texts : bool
        Whether there are subtitles and chapters.
    """

    file: str
    size: str
    rate: str
    seconds: float
    coding: Sequence[str]
    sounds: Sequence[str] = (NOISE,)
    turned: int = 0
    texts: bool = False


X264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", *BT709, "-c:a", "aac"]
X265 = ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le"]
TWO_SOUNDS = [
    *("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu", "-metadata:s:a:1", "title=Kommentar"),
    *("-disposition:a:0", "default", "-disposition:a:1", "0"),
]
SOURCES = {
    "4K, 60 fps": Source("4k60.mp4", "3840x2160", "60", 3, X264),
    "29.97 fps, turned": Source("phone.mov", "1920x1080", "30000/1001", 4, X264, turned=90),
    "10-bit HEVC, HDR10": Source(
        "hdr.mp4",
        "1920x1080",
        "25",
        3,
        [*X265, "-x265-params", HDR, *BT2020, "-tag:v", "hvc1", "-c:a", "aac"],
    ),
    "VP9, webm": Source(
        "page.webm",
        "1280x720",
        "30",
        4,
        ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M", *BT709, "-c:a", "libopus"],
    ),
    "two sounds, subtitles, chapters": Source(
        "film.mkv",
        "1280x720",
        "24000/1001",
        6,
        [*X264, "-c:s", "srt", *TWO_SOUNDS],
        (NOISE, TONE),
        texts=True,
    ),
    "24 fps, 61 s": Source("long.mp4", "640x360", "24", 61, X264),
}
SUBTITLES = "1\n00:00:01,000 --> 00:00:02,500\nA dog barks.\n\n2\n00:00:03,000 --> 00:00:05,000\nIt goes away.\n"
CHAPTERS = (
    ";FFMETADATA1\ntitle=Two dogs\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=3000\ntitle=First\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=3000\nEND=6000\ntitle=Second\n"
)


def ffmpeg(arguments: Sequence[str]) -> bytes:
    """Output of ffmpeg."""
    run = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments], capture_output=True)
    if run.returncode:
        raise click.ClickException(f"ffmpeg {' '.join(arguments)}: {run.stderr.decode(errors='replace').strip()}")
    return run.stdout


def make(source: Source, folder: Path) -> Path:
    """Make a video."""
    path = folder / source.file
    length = f"duration={source.seconds}"
    inputs = ["-f", "lavfi", "-i", f"testsrc2=size={source.size}:rate={source.rate}:{length}"]
    for sound in source.sounds:
        inputs += ["-f", "lavfi", "-i", sound.format(seconds=source.seconds)]
    maps = [word for number in range(len(source.sounds) + 1) for word in ("-map", str(number))]
    if source.texts:
        (folder / "texts.srt").write_text(SUBTITLES)
        (folder / "chapters.txt").write_text(CHAPTERS)
        place = len(source.sounds) + 1
        inputs += ["-i", str(folder / "texts.srt"), "-i", str(folder / "chapters.txt")]
        maps += ["-map", str(place), "-map_metadata", str(place + 1), "-map_chapters", str(place + 1)]
    ffmpeg([*inputs, *maps, *source.coding, "-threads", "2", str(path)])
    if source.turned:
        upright = path.rename(path.with_stem("upright"))
        ffmpeg(["-i", str(upright), "-c", "copy", "-metadata:s:v:0", f"rotate={source.turned}", str(path)])
        upright.unlink()
    return path


def probe(path: Path, *arguments: str) -> dict[str, Any]:
    """What ffprobe says, as JSON."""
    command = ["ffprobe", "-v", "error", "-of", "json", *arguments, str(path)]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def stream_name(stream: Mapping[str, Any]) -> str:
    """As ``audio aac deu (default)``."""
    tags = stream.get("tags", {})
    words = [stream["codec_type"], stream.get("codec_name", "unknown"), tags.get("language", ""), tags.get("title", "")]
    words.append("(default)" * stream["disposition"]["default"])
    return " ".join(word for word in words if word and word != "und")


def side_data(path: Path) -> str:
    """What the first picture says of a screen: kinds of side data, and their values."""
    found = probe(path, "-select_streams", "v:0", "-read_intervals", "%+#1", "-show_frames")
    kinds = [data for frame in found["frames"] for data in frame.get("side_data_list", [])]
    shown = [
        data
        for data in kinds
        if data.get("side_data_type") in ("Mastering display metadata", "Content light level metadata")
    ]
    return "; ".join(" ".join(map(str, data.values())) for data in shown) or "-"


def packet_times(path: Path) -> np.ndarray:
    """Seconds at which the pictures are shown, from the first one, in order."""
    found = probe(path, "-select_streams", "v:0", "-show_entries", "packet=pts_time")["packets"]
    times = np.sort([float(packet["pts_time"]) for packet in found])
    return np.asarray(times - times[0])


def view(path: Path) -> dict[str, str]:
    """A video as ffprobe and ffmpeg see it."""
    found = probe(path, "-show_streams", "-show_format", "-show_chapters")
    picture = next(stream for stream in found["streams"] if stream["codec_type"] == "video")
    turned = [data["rotation"] for data in picture.get("side_data_list", []) if "rotation" in data]
    colours = ("pix_fmt", "color_range", "color_space", "color_transfer", "color_primaries")
    chapters = [f"{part['tags'].get('title', '')} {float(part['start_time']):g}" for part in found["chapters"]]
    hashed = ffmpeg(["-i", str(path), "-map", "0:v:0", "-c", "copy", "-f", "streamhash", "-hash", "sha256", "-"])
    times = packet_times(path)
    return {
        "container": found["format"]["format_name"],
        "codec": f"{picture['codec_name']} {picture.get('profile', '')} {picture['codec_tag_string']}",
        "size": f"{picture['width']}x{picture['height']} {picture.get('sample_aspect_ratio', '')}",
        "frame rate": f"{picture['r_frame_rate']} ({picture['avg_frame_rate']})",
        "rotation": str(turned[0] if turned else 0),
        "colour": " ".join(picture.get(name, "-") for name in colours),
        "HDR": side_data(path),
        "streams": ", ".join(map(stream_name, found["streams"])),
        "chapters": ", ".join(chapters) or "-",
        "title": found["format"].get("tags", {}).get("title", "-"),
        "duration": f"{float(found['format']['duration']):.3f}",
        "pictures": f"{len(times)}, the last at {times[-1]:.3f}",
        "packets' sha256": hashed.decode().strip().rpartition("=")[2][:16],
        "picture begins at, ms": f"{1000 * float(picture['start_time']):.0f}",
    }


def begin_of_sound(path: Path, wanted: Sequence[str]) -> str:
    """Millisecond of a video's time at which its first sound track begins.

    Measured: `wanted`, ffmpeg's input of what was put there, is looked for in what ffmpeg decodes of the track.
    """
    plain = ["-ac", "1", "-ar", str(RATE), "-t", str(COMPARED), "-f", "f32le", "-"]
    # Silence where the track begins late; what lies before time 0 is left out.
    timed = ["-map", "0:a:0", "-af", f"aresample={RATE}:async=1:first_pts=0"]
    found = np.frombuffer(ffmpeg(["-copyts", "-i", str(path), *timed, *plain]), np.float32)
    put = np.frombuffer(ffmpeg([*wanted, *plain]), np.float32)
    place = int(np.argmax(correlate(found, put, method="fft"))) - (len(put) - 1)
    return f"{1000 * place / RATE:.2f}"


def pipeline_of(folder: Path) -> FoleyPipeline:
    """Tiny models with random weights."""
    models = make_registered(folder / "models", REAL)
    make_trained_adapter(models, "adapter", latents=216)
    return FoleyPipeline.from_pretrained(models, sampling=Sampling(steps=2))


def compare(name: str, pipeline: FoleyPipeline, folder: Path) -> list[dict[str, str]]:
    """Rows of the table for a source: field, before, after."""
    source = make(SOURCES[name], folder)
    request = GenerateRequest(source, ("music",), output_folder=folder / "out", options=GenerateOptions(steps=2))
    notes: list[str] = []
    wav, video = generate_files(request, notes.append, pipeline=pipeline)
    before, after = view(source), view(video)
    noise = ["-f", "lavfi", "-i", NOISE.format(seconds=SOURCES[name].seconds)]
    before["sound begins at, ms"] = begin_of_sound(source, noise)
    after["sound begins at, ms"] = begin_of_sound(video, ["-i", str(wav)])
    entry = read_json(folder / "out" / "generated.json")[wav.stem]
    after["note"] = "; ".join([*(note for note in notes if note.startswith("note")), *_left_out(entry)])
    source.unlink()
    return [
        {"source": name, "field": field, "before": before.get(field, "-"), "after": after[field]} for field in after
    ]


def _left_out(entry: Mapping[str, Any]) -> list[str]:
    return [f"picture {entry['video_tracks']['picture']}", *entry["video_tracks"].get("left_out", [])]


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(SOURCES)), help="these sources alone")
@click.option("--output", type=click.Path(path_type=Path), help="csv or json file for the table")
def main(only: tuple[str, ...], output: Path | None) -> None:
    """Print what of each source is there after `cafa generate`."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        pipeline = pipeline_of(Path(name))
        for source in only or SOURCES:
            click.echo(f"\n{source}")
            for row in compare(source, pipeline, Path(name)):
                mark = " " if row["before"] == row["after"] else "*"
                click.echo(f" {mark} {row['field']:<24} {row['before']}")
                if mark == "*":
                    click.echo(f"   {'':<24} {row['after']}")
                rows.append(row)
    if output is not None and output.suffix == ".csv":
        with output.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif output is not None:
        write_json(output, rows)


if __name__ == "__main__":
    main()
