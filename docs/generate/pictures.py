"""Make the pictures of the site from the results of the miniature:

    python -m docs.generate.pictures results docs/images

`overview.png` (one clip, its events, and what systems make of it) and `world.png` (frames of the rendered world).
`figure4.svg`, of `make paper`, is copied. The pictures of the examples page and of the report are screenshots of these
pages; that of `cafa demo` is made by :mod:`docs.generate.demo_page`.
"""

import argparse
import shutil
from pathlib import Path

import av
import matplotlib
import numpy as np
import pandas as pd
import soundfile
from matplotlib import pyplot as plt

matplotlib.rcParams.update({"font.size": 9, "svg.fonttype": "path"})
CLIP, OTHER = "world_test-dog-barking-00003", "hammering_nails"
WORLD = ("dog-barking", "striking-bowling", "hammering-nails", "lions-roaring", "playing-tennis", "skateboarding")
FRAMES = 8
BLUE, GREY = "#1f5b8e", "#98a0a8"


def frames_of(video: Path) -> list[np.ndarray]:
    """All frames of a video, RGB."""
    with av.open(str(video)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def sample_of(results: Path, system: str, protocol: str, caption_id: str) -> tuple[np.ndarray, int, str]:
    """Sound, rate and caption of a system's sample."""
    wanted = {"clip_id": CLIP, "protocol": protocol, "caption_id": caption_id}
    for index in sorted((results / "samples" / "world_test" / system).glob("*.parquet")):
        rows = pd.read_parquet(index)
        rows = rows[(rows[list(wanted)] == pd.Series(wanted)).all(axis=1)]
        if len(rows):
            sound, rate = soundfile.read(index.with_suffix("") / rows.iloc[0]["file"], always_2d=True)
            return sound.mean(axis=1), rate, rows.iloc[0]["caption"]
    raise SystemExit(f"no sample of {system} for {wanted} below {results}")


def clip_file(results: Path, clip: str) -> Path:
    """The normalised clip."""
    return next((results / "clips" / "world_test").glob(f"*/{clip}.mp4"))


def event_times(results: Path) -> pd.Series:
    """Seconds of the events of every test clip."""
    tables = [path for path in (results / "world").glob("world_test.*.parquet") if ".ledger." not in path.name]
    return pd.read_parquet(tables[0]).set_index("clip_id")["event_times"]


def overview(results: Path, output: Path) -> None:
    """One clip with its own sound, and generated sounds for its own caption and for another one."""
    times = event_times(results)[CLIP]
    media = clip_file(results, CLIP)
    frames = frames_of(media)
    sound, rate = soundfile.read(media.with_suffix(".flac"), always_2d=True)
    rows = [("The clip and its own sound", sound.mean(axis=1), rate, GREY)]
    for name, system, protocol, caption in (
        ("CAFA, own caption", "cafa", "matched", "own"),
        ("CAFA, another caption", "cafa", "cross", OTHER),
        ("Text to audio, no video", "text_only", "cross", OTHER),
    ):
        wave, rate, text = sample_of(results, system, protocol, caption)
        rows.append((f"{name}: “{text}”", wave, rate, BLUE))
    seconds = len(rows[0][1]) / rate
    figure, axes = plt.subplots(5, 1, figsize=(9, 5.6), height_ratios=[1.5, 1, 1, 1, 1], layout="constrained")
    chosen = [frames[int((step + 0.5) * len(frames) / FRAMES)] for step in range(FRAMES)]
    axes[0].imshow(np.concatenate(chosen, axis=1), extent=(0, seconds, 0, seconds / FRAMES), aspect="auto")
    axes[0].set_axis_off()
    for axis, (title, wave, own_rate, colour) in zip(axes[1:], rows, strict=True):
        axis.plot(np.arange(len(wave)) / own_rate, wave / np.abs(wave).max(), color=colour, linewidth=0.6)
        for time in times:
            axis.axvline(time, color="#d9822b", linewidth=1, linestyle="--")
        axis.set_title(title, loc="left", fontsize=9)
        axis.set(xlim=(0, seconds), ylim=(-1.05, 1.05), yticks=[])
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(labelbottom=axis is axes[-1])
    axes[-1].set_xlabel("seconds (dashed: something hits, barks or rings in the picture)")
    figure.savefig(output, dpi=130)


def world(results: Path, output: Path) -> None:
    """Frames of six categories, at rest and at an event."""
    times = event_times(results)
    figure, axes = plt.subplots(2, len(WORLD), figsize=(9, 3.3), layout="constrained")
    for column, name in enumerate(WORLD):
        clip = f"world_test-{name}-00000"
        frames = frames_of(clip_file(results, clip))
        event = int(times[clip][0] * 25)
        for row, place in enumerate((max(event - 6, 0), min(event + 2, len(frames) - 1))):
            axes[row, column].imshow(frames[place])
            axes[row, column].set(xticks=[], yticks=[])
        axes[0, column].set_title(name.replace("-", " "), fontsize=8)
    axes[0, 0].set_ylabel("before", fontsize=8)
    axes[1, 0].set_ylabel("event", fontsize=8)
    figure.savefig(output, dpi=130)


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description="Pictures of the site from the results of the miniature.")
    parser.add_argument("results", type=Path)
    parser.add_argument("images", type=Path)
    arguments = parser.parse_args()
    overview(arguments.results, arguments.images / "overview.png")
    world(arguments.results, arguments.images / "world.png")
    shutil.copy(arguments.results / "whole_paper/figure4.svg", arguments.images / "figure4.svg")


if __name__ == "__main__":
    main()
