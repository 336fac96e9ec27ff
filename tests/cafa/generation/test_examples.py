"""The page of examples: playable, complete, chosen without listening."""

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cafa.cli import cli
from cafa.common.errors import InputError, MissingClipError
from cafa.generation.examples import (
    ExampleSources,
    ExamplesSettings,
    choose_rows,
    read_indices,
    write_examples,
)
from cafa.generation.examples_card import outline
from cafa.media.sound import write_sound

RATE, SECONDS, LABELS = 16000, 0.8, ("drum", "dog", "bell")
SYSTEMS = ("cafa", "text_only")


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
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
                    "caption": f"a <{label}> & more",
                    "label": label,
                    "own_label": own,
                    "own_caption": f"a <{own}> & more",
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
            index.loc[0, "status"] = "corrupt"
        index.to_parquet(sounds.parent / "0.parquet", index=False)
    return folder


class _Page(HTMLParser):
    """Sources of videos and any address the page could load."""

    def __init__(self) -> None:
        super().__init__()
        self.videos: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if tag == "video" and name == "src":
                self.videos.append(value or "")
            elif name in ("src", "href", "srcset", "data", "action", "poster"):
                self.addresses.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read_page(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text())
    return page


def test_page_plays_every_system_and_prompt_by_itself(folder, tmp_path):
    output = tmp_path / "examples.html"
    settings = {"clips": 2, "prompts_per_clip": 3, "systems": SYSTEMS, "descriptions": {"cafa": "the adapter"}}
    arguments = ["examples", "--settings", json.dumps(settings), "--prompts", f"{folder}/prompts.parquet"]
    arguments += ["--clips", f"{folder}/clips", "--samples-folder", f"{folder}/samples", "--output", str(output)]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "14 videos" in result.output  # 2 clips x (own sound + 3 prompts x 2 systems)
    page = read_page(output)
    assert len(page.videos) == 14
    pictures = [address for address in page.addresses if address.startswith("data:image/png;base64,")]
    assert len(pictures) == 14
    assert [address for address in page.addresses if address not in pictures] == ["#failures"]
    assert "://" not in re.sub(r"base64,[^\"]*", "", output.read_text())
    sounds = set()
    for number, source in enumerate(page.videos):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(base64.b64decode(source.removeprefix("data:video/mp4;base64,"), validate=True))
        with av.open(str(path)) as container:
            assert {stream.type for stream in container.streams} == {"video", "audio"}
            frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        heard = np.concatenate(frames, axis=1)[0]
        spectrum = np.abs(np.fft.rfft(heard[: RATE // 2]))
        sounds.add(round(spectrum.argmax() * 2))
        assert abs(len(heard) / RATE - SECONDS) < 0.2
    assert min(abs(pitch - 200) for pitch in sounds) <= 4  # the clips' own sound
    assert len(sounds) == 13  # both clips' own tone is the same; every sample has its own
    assert "a <drum> & more" in page.text


def sources(folder: Path, **more: Any) -> ExampleSources:
    return ExampleSources(folder / "clips", folder / "samples", **more)


def test_files_of_an_older_cut_are_not_read(folder, tmp_path):
    # One shard now; a second one, of clips and of samples, is left from before.
    shutil.copytree(folder / "samples", tmp_path / "samples")
    for shard in "07":
        for old in "01":
            shutil.copytree(folder / "clips" / old, tmp_path / "clips" / shard, dirs_exist_ok=True)
    shutil.copytree(tmp_path / "samples/cafa/0", tmp_path / "samples/cafa/7")
    shutil.copy(tmp_path / "samples/cafa/0.parquet", tmp_path / "samples/cafa/7.parquet")
    prompts = pd.read_parquet(folder / "prompts.parquet")
    settings = ExamplesSettings(systems=("cafa",), clips=1, prompts_per_clip=2)
    with pytest.raises(InputError, match=r"two indices below .*: say how many shards there are"):
        write_examples(prompts, sources(tmp_path, clip_shards=1), settings, tmp_path / "page")
    with pytest.raises(MissingClipError, match=r"is 2 times in .*: ingest it again, or say how many shards"):
        write_examples(prompts, sources(tmp_path, sample_shards=1), settings, tmp_path / "page")
    assert write_examples(prompts, sources(tmp_path, clip_shards=1, sample_shards=1), settings, tmp_path / "page") == 3
    with pytest.raises(InputError, match="1 of 2 shards are missing"):
        write_examples(prompts, sources(tmp_path, clip_shards=1, sample_shards=2), settings, tmp_path / "page")


def test_page_is_the_same_twice(folder, tmp_path):
    prompts = pd.read_parquet(folder / "prompts.parquet")
    settings = ExamplesSettings(systems=("cafa",), clips=1, prompts_per_clip=2)
    for name in ("one", "two"):
        assert write_examples(prompts, sources(folder), settings, tmp_path / name) == 3
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_choice_has_different_categories_and_only_what_all_systems_have(folder):
    prompts = pd.read_parquet(folder / "prompts.parquet")
    settings = ExamplesSettings(systems=SYSTEMS, clips=3, prompts_per_clip=2)
    for seed in range(5):
        again = settings.model_copy(update={"seed": seed})
        chosen = choose_rows(prompts, read_indices(sources(folder), SYSTEMS), again)
        assert {rows["own_label"].iloc[0] for rows in chosen} == set(LABELS)
        for rows in chosen:
            assert len(rows) == 2
            assert rows["clip_id"].nunique() == 1
            assert rows["own"].iloc[0] or rows["clip_id"].iloc[0] == "clip0"
            lost = (rows["clip_id"] == "clip0") & (rows["caption_id"] == "drum")
            assert not lost.any()
    with pytest.raises(MissingClipError, match="only 3 clips have 3 prompts in all of cafa, text_only, 4 were asked"):
        choose_rows(
            prompts,
            read_indices(sources(folder), SYSTEMS),
            settings.model_copy(update={"clips": 4, "prompts_per_clip": 3}),
        )


def test_refuses_what_cannot_be_shown(folder, tmp_path):
    prompts = pd.read_parquet(folder / "prompts.parquet")
    output = tmp_path / "page.html"

    def write(clips: str = "clips", **settings: object) -> None:
        merged = ExamplesSettings(**{"systems": ("cafa",), "clips": 1, "prompts_per_clip": 1, **settings})
        write_examples(prompts, ExampleSources(folder / clips, folder / "samples"), merged, output)

    with pytest.raises(InputError, match="at least one system"):
        write(systems=())
    with pytest.raises(InputError, match="nothing of nobody is there"):
        write(systems=("nobody",))
    with pytest.raises(MissingClipError, match="is 0 times in"):
        write(clips="samples")
    with pytest.raises(InputError, match=r"more than max_megabytes 0\.001"):
        write(max_megabytes=0.001)
    assert not output.exists()


def test_outline_follows_the_sound():
    sound = np.zeros(1600)
    sound[800:880] = -0.5
    path = outline(sound, bins=20)
    heights = [1 - float(point.split(" ")[1]) for point in path[1:-1].split("L")[:20]]
    assert [place for place, height in enumerate(heights) if height > 0] == [10]
    assert heights[10] == pytest.approx(0.96)
    assert "nan" not in outline(np.zeros(100))


def test_scores_events_and_failures_are_on_the_page(folder, tmp_path):
    prompts = pd.read_parquet(folder / "prompts.parquet")
    keys = prompts[["clip_id", "caption_id", "protocol"]]
    for system in SYSTEMS:
        rows = [keys.assign(metric=name, value=0.01 * np.arange(len(keys))) for name in ("DeSync", "CLAP")]
        pd.concat(rows).to_parquet(tmp_path / f"{system}.parquet")
    times = pd.DataFrame({"clip_id": [f"clip{n}" for n in range(4)], "event_times": [[0.2, 0.4, 5.0]] * 4})
    times.to_parquet(tmp_path / "times.parquet")
    settings = ExamplesSettings(systems=SYSTEMS, clips=1, prompts_per_clip=1)
    known = {"scores": tmp_path, "event_times": tmp_path / "times.parquet"}
    write_examples(prompts, sources(folder, **known), settings, tmp_path / "page.html")
    text = re.sub(r"base64,[^\"]*", "", (tmp_path / "page.html").read_text())
    # 1 clip: its own sound and 2 systems; 2 systems x 2 metrics of failures; the event at 5 s is after the end.
    assert text.count("<line ") == 2 * (3 + 4)
    assert text.count('x1="40.00"') == 3 + 4  # 0.2 s of 0.8 s, in 160 columns
    last, first = prompts.iloc[-1], prompts.iloc[1]  # the highest DeSync; the lowest CLAP of those that text_only has
    assert f'<span class="soft">{last["clip_id"]}</span>' in text
    assert "DeSync 0.11" in text
    assert text.count('href="#failure-') == 4
    assert all(f'id="failure-{number}"' in text for number in range(4))
    assert first["caption"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in text
    assert "corrupt" in text  # the sample that there is none of, with its reason
    with pytest.raises(InputError, match="there are no scores of cafa"):
        write_examples(prompts, sources(folder, scores=folder), settings, tmp_path / "page.html")
