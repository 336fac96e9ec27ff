"""A data set of many windows of a few real clips, a tenth of them damaged in twelve ways."""

import csv
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av

from cafa.media.mux import put_sound_under_video
from cafa.media.normalise import NormaliseSettings, normalise_clip
from cafa.media.sound import read_sound

SECONDS = 2.0


@dataclass(frozen=True)
class Way:
    """A way of being damaged.

    Attributes
    ----------
    stage : str
        Where it must be found: ``manifest`` or ``ingest``.
    reason : str
        What the ledger must say.
    damage : callable
        From a good file to the damaged one; None where the row is at fault, not the file.
    """

    stage: str
    reason: str
    damage: Callable[[Path, Path], object] | None = None


def _remux(source: Path, output: Path, kinds: tuple[str, ...] = ("video", "audio"), front: bool = False) -> None:
    """Copy streams without coding; `front`: the index before the media."""
    with (
        av.open(str(source)) as given,
        av.open(str(output), "w", options={"movflags": "faststart"} if front else {}) as made,
    ):
        chosen = [stream for stream in given.streams if stream.type in kinds]
        copies = {stream.index: made.add_stream_from_template(stream) for stream in chosen}
        for packet in given.demux(chosen):
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                made.mux(packet)


def _cut(source: Path, output: Path, part: float, front: bool) -> None:
    _remux(source, output, front=front)
    data = output.read_bytes()
    output.write_bytes(data[: int(len(data) * part)])


def _garble(source: Path, output: Path) -> None:
    """Random bytes over all of the media data."""
    data = bytearray(source.read_bytes())
    begin = data.index(b"mdat") + 4
    end = data.rindex(b"moov") - 4
    data[begin:end] = random.Random(1).randbytes(end - begin)
    output.write_bytes(data)


WAYS: dict[str, Way] = {
    "empty": Way("ingest", "empty_file", lambda source, output: output.touch()),
    "cut_at_30": Way("ingest", "truncated", lambda source, output: _cut(source, output, 0.3, True)),
    "cut_at_95": Way("ingest", "truncated", lambda source, output: _cut(source, output, 0.95, True)),
    "index_lost": Way("ingest", "truncated", lambda source, output: _cut(source, output, 0.9, False)),
    "random_bytes": Way("ingest", "corrupt", _garble),
    "text": Way("ingest", "not_media", lambda source, output: output.write_text("this is no film\n" * 500)),
    "no_sound": Way("ingest", "no_audio", lambda source, output: _remux(source, output, ("video",))),
    "no_picture": Way("ingest", "no_video", lambda source, output: _remux(source, output, ("audio",))),
    "folder": Way("ingest", "missing_file", lambda source, output: output.mkdir()),
    "short": Way("ingest", "short"),
    "bad_id": Way("manifest", "bad_id"),
    "same_id": Way("manifest", "duplicate_id"),
}


@dataclass(frozen=True)
class Row:
    """A row of the csv, and where and how it must end; ``ok`` at stage ``ingest`` if it is good."""

    line: int
    clip_id: str
    stage: str
    reason: str


def prepare(folder: Path, shared: Path, count: int = 9) -> dict[str, float]:
    """Copy the first `count` shared clips, as they are and with small pictures; returns their seconds by name.

    Most of the time would go into decoding large pictures.
    """
    folder.mkdir(parents=True)
    seconds = {}
    settings = NormaliseSettings(preset="ultrafast", short_side=96)
    for entry in list(csv.DictReader((shared / "clips" / "clips.csv").open()))[:count]:
        name = entry["clip_id"]
        seconds[name] = float(entry["seconds"])
        shutil.copyfile(shared / "clips" / entry["path"], folder / f"{name}.mp4")
        picture, sound = folder / "picture.mp4", folder / "sound.flac"
        normalise_clip(
            folder / f"{name}.mp4", start=0, duration=None, settings=settings, video_output=picture, sound_output=sound
        )
        waveform = read_sound(sound, sample_rate=44100)
        put_sound_under_video(picture, waveform, 44100, folder / f"small_{name}.mp4")
    return seconds


def make_data_set(
    folder: Path, prepared: Path, sources: dict[str, float], count: int, every: int = 10, seed: int = 0
) -> list[Row]:
    """Write ``clips.csv`` and ``raw/`` with `count` rows; one in `every` is damaged, the ways in turn.

    Good rows are windows of 2 s of hard links to the prepared clips; the first row of each clip, and one in twenty,
    to the one that is as it was.
    """
    raw = folder / "raw"
    raw.mkdir(parents=True)
    damaged = {}
    for name, way in WAYS.items():
        if way.damage is not None:
            damaged[name] = raw / f"damaged_{name}.mp4"
            way.damage(prepared / "keyboard.mp4", damaged[name])
    random_numbers = random.Random(seed)
    expected: list[Row] = []
    names = list(sources)
    with (folder / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["clip_id", "uri", "start", "duration", "label"])
        for number in range(count):
            source = names[number % len(names)]
            start = round(random_numbers.uniform(0, sources[source] - SECONDS - 0.1), 2)
            clip_id, target, stage, reason = f"clip{number:05d}", prepared / f"small_{source}.mp4", "ingest", "ok"
            if number < len(names) or number % 20 == 0:
                target = prepared / f"{source}.mp4"
            if number % every == every - 1:
                name = list(WAYS)[number // every % len(WAYS)]
                stage, reason = WAYS[name].stage, WAYS[name].reason
                target = damaged.get(name, target)
                start = sources[source] - 0.5 if name == "short" else 0.0
                clip_id = {"bad_id": f"../{clip_id}", "same_id": f"clip{number - 1:05d}"}.get(name, clip_id)
            uri = target.name
            if target.is_file():
                uri = f"row{number:05d}.mp4"
                os.link(target, raw / uri)
            table.writerow([clip_id, uri, start, SECONDS, source])
            expected.append(Row(number + 2, clip_id, stage, reason))
    return expected
