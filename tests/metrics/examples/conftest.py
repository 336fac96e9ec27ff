from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest

from cafa.media.sound import write_sound
from metrics.examples.settings import ExampleSources

RATE, SECONDS, LABELS = 16000, 0.8, ("drum", "dog", "bell")
SYSTEMS = ("cafa", "text_only")
#: Ends a script, and would run if it were HTML.
HOSTILE = "a </script><img src=x onerror=\"document.title='bad'\"> & more"


def write_video(path: Path, brightness: int) -> None:
    """A small silent video at 25 frames per second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for number in range(round(SECONDS * 25)):
            picture = np.full((32, 48, 3), (brightness + 5 * number) % 256, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def tone(hertz: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(SECONDS * RATE)) / RATE)).astype(np.float32)


def caption_of(label: str) -> str:
    return HOSTILE if label == "bell" else f"a <{label}> & more"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of three categories, two systems; one sample of one system failed."""
    folder = tmp_path_factory.mktemp("examples")
    prompts = []
    for number in range(4):
        shard, own = folder / f"clips/{number % 2}", LABELS[number % 3]
        shard.mkdir(parents=True, exist_ok=True)
        write_video(shard / f"clip{number}.mp4", 40 * number)
        write_sound(shard / f"clip{number}.flac", tone(200), RATE)
        for label in LABELS:
            prompts.append(
                {
                    "clip_id": f"clip{number}",
                    "caption_id": label,
                    "caption": caption_of(label),
                    "label": label,
                    "own_label": own,
                    "own_caption": caption_of(own),
                    "protocol": "matched" if label == own else "cross",
                }
            )
    frame = pd.DataFrame(prompts)
    frame.to_parquet(folder / "prompts.parquet", index=False)
    for pitch, system in enumerate(SYSTEMS):
        sounds = folder / f"samples/{system}/0"
        sounds.mkdir(parents=True)
        files = [f"{row.clip_id}--{row.caption_id}--{row.protocol}.flac" for row in frame.itertuples()]
        for number, name in enumerate(files):
            write_sound(sounds / name, tone(300 + 10 * pitch + 20 * number), RATE)
        index = frame.assign(file=files, seed=0, seconds=SECONDS, sample_rate=RATE, sha256="", status="ok", detail="")
        if system == "text_only":
            index.loc[0, "status"], index.loc[0, "detail"] = "corrupt", "<b>half a file</b>"
        index.to_parquet(sounds.parent / "0.parquet", index=False)
    _write_scores(frame, folder / "scores")
    times = pd.DataFrame({"clip_id": [f"clip{n}" for n in range(4)], "event_times": [[0.2, 0.4, 5.0]] * 4})
    times.to_parquet(folder / "times.parquet")
    return folder


def _write_scores(prompts: pd.DataFrame, folder: Path) -> None:
    """DeSync rises with the prompt's place for the first system and falls for the second; Acc is of other captions."""
    folder.mkdir()
    keys = prompts[["clip_id", "caption_id", "protocol"]]
    count = np.arange(len(keys))
    for sign, system in zip((1, -1), SYSTEMS, strict=True):
        rows = [
            keys.assign(metric="DeSync", value=0.5 + 0.01 * sign * count),
            keys.assign(metric="CLAP", value=0.1 * (count % 5)),
            keys.assign(metric="Acc", value=1.0)[keys["protocol"] == "cross"],
            keys.assign(metric="DeSync_windows", value=2.0),
        ]
        rows = [part.iloc[1:] if system == "text_only" and len(part) == len(keys) else part for part in rows]
        pd.concat(rows).to_parquet(folder / f"{system}.parquet")


@pytest.fixture
def sources(folder: Path) -> Callable[..., ExampleSources]:
    """Sources of the clips and samples, and of more where it is asked for."""

    def made(**more: Any) -> ExampleSources:
        return ExampleSources(folder / "clips", folder / "samples", **more)

    return made


@pytest.fixture
def known(folder: Path) -> dict[str, Path]:
    """Scores and event times."""
    return {"scores": folder / "scores", "event_times": folder / "times.parquet"}
