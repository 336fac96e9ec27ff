"""The page of examples as a file: complete, escaped, chosen without listening, the same twice."""

import base64
import json
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cafa.cli import cli
from cafa.common.errors import InputError, MissingClipError
from metrics.examples.drawing import BINS, peaks, spectrogram_image
from metrics.examples.page import write_examples
from metrics.examples.samples import choose_rows, read_indices
from metrics.examples.settings import ExampleSources, ExamplesSettings
from tests.metrics.examples.conftest import HOSTILE, LABELS, RATE, SECONDS, SYSTEMS

ADDRESSES = ("src", "href", "srcset", "action", "poster")
Sources = Callable[..., ExampleSources]


class _Page(HTMLParser):
    """Scripts of a page by their id, its elements, and any address it could load."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: dict[str, str] = {}
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []
        self._script = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._script = dict(attrs).get("id") or "code" if tag == "script" else ""
        self.addresses += [value or "" for name, value in attrs if name in ADDRESSES]

    def handle_endtag(self, tag: str) -> None:
        self._script = ""

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        else:
            self.text.append(data)


def read_page(path: Path) -> tuple[_Page, dict[str, Any]]:
    page = _Page()
    page.feed(path.read_text())
    return page, json.loads(page.scripts["data"])


def prompts_of(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "prompts.parquet")


def test_page_plays_every_system_and_prompt_by_itself(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "examples.html"
    settings = {"clips": 2, "prompts_per_clip": 3, "lost": 0, "systems": SYSTEMS}
    settings |= {"descriptions": {"cafa": "the adapter"}, "controls": ["text_only"]}
    arguments = ["examples", "--settings", json.dumps(settings), "--prompts", f"{folder}/prompts.parquet"]
    arguments += ["--clips", f"{folder}/clips", "--samples-folder", f"{folder}/samples", "--output", str(output)]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "14 videos" in result.output  # 2 clips x (own sound + 3 prompts x 2 systems)
    page, data = read_page(output)
    assert data["systems"] == [
        {"name": "cafa", "description": "the adapter", "control": False},
        {"name": "text_only", "description": "", "control": True},
    ]
    assert "the adapter" in page.text
    assert len(data["rows"]) == 6
    assert [address for address in page.addresses if not address.startswith("#")] == []
    assert "://" not in output.read_text().replace("http://www.w3.org/2000/svg", "")  # a name, no address
    sounds = [sound for row in data["rows"] for sound in (row["own"], *row["cells"])]
    assert len({sound["video"] for sound in sounds}) == 14  # 2 clips' own sounds, and 6 prompts x 2 systems
    pitches = set()
    for name in {sound["video"] for sound in sounds}:
        path = tmp_path / name
        path.write_bytes(base64.b64decode(page.scripts[name], validate=True))
        with av.open(str(path)) as container:
            assert {stream.type for stream in container.streams} == {"video", "audio"}
            frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        heard = np.concatenate(frames, axis=1)[0]
        pitches.add(round(np.abs(np.fft.rfft(heard[: RATE // 2])).argmax() * 2))
        assert abs(len(heard) / RATE - SECONDS) < 0.2
    assert min(abs(pitch - 200) for pitch in pitches) <= 4  # the clips' own sound
    assert len(pitches) == 13  # both clips' own tone is the same; every sample has its own
    for row in data["rows"]:
        assert row["size"] == [48, 32]
        assert page.scripts[row["still"]]
        assert all(page.scripts[sound["spectrogram"]] for sound in row["cells"])


def test_texts_of_users_are_escaped(folder: Path, sources: Sources, known: dict[str, Path], tmp_path: Path) -> None:
    settings = ExamplesSettings(
        systems=SYSTEMS, clips=3, prompts_per_clip=3, title=HOSTILE, descriptions={"cafa": HOSTILE}
    )
    write_examples(prompts_of(folder), sources(**known), settings, tmp_path / "page.html")
    page, data = read_page(tmp_path / "page.html")
    assert "img" not in page.tags
    assert "b" not in page.tags
    assert HOSTILE in [row["caption"] for row in data["rows"]]
    assert HOSTILE in page.text


def test_files_of_an_older_cut_are_not_read(folder: Path, tmp_path: Path) -> None:
    # One shard now; a second one, of clips and of samples, is left from before.
    shutil.copytree(folder / "samples", tmp_path / "samples")
    for shard in "07":
        for old in "01":
            shutil.copytree(folder / "clips" / old, tmp_path / "clips" / shard, dirs_exist_ok=True)
    shutil.copytree(tmp_path / "samples/cafa/0", tmp_path / "samples/cafa/7")
    shutil.copy(tmp_path / "samples/cafa/0.parquet", tmp_path / "samples/cafa/7.parquet")
    settings = ExamplesSettings(systems=("cafa",), clips=1, prompts_per_clip=2)

    def write(**shards: int) -> int:
        sources = ExampleSources(tmp_path / "clips", tmp_path / "samples", **shards)
        return write_examples(prompts_of(folder), sources, settings, tmp_path / "page")

    with pytest.raises(InputError, match=r"two indices below .*: say how many shards there are"):
        write(clip_shards=1)
    with pytest.raises(MissingClipError, match=r"is 2 times below .*: ingest it again, or say how many shards"):
        write(sample_shards=1)
    assert write(clip_shards=1, sample_shards=1) == 3
    with pytest.raises(InputError, match="1 of 2 shards are missing"):
        write(clip_shards=1, sample_shards=2)


def test_page_is_the_same_twice(folder: Path, sources: Sources, known: dict[str, Path], tmp_path: Path) -> None:
    settings = ExamplesSettings(systems=SYSTEMS, clips=1, prompts_per_clip=2)
    for name in ("one", "two"):
        write_examples(prompts_of(folder), sources(**known), settings, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_choice_has_different_categories_and_only_what_all_systems_have(folder: Path, sources: Sources) -> None:
    prompts, indices = prompts_of(folder), read_indices(sources(), SYSTEMS)
    own = dict(zip(prompts["clip_id"], prompts["own_label"], strict=True))
    settings = ExamplesSettings(systems=SYSTEMS, clips=3, prompts_per_clip=2)
    for seed in range(5):
        chosen = [key.split("/") for key in choose_rows(prompts, indices, settings.model_copy(update={"seed": seed}))]
        clips = [clip for clip, _, _ in chosen]
        assert clips == [clip for clip in clips[::2] for _ in "12"]
        assert {own[clip] for clip in clips} == set(LABELS)
        assert all(protocol == "matched" or clip == "clip0" for clip, _, protocol in chosen[::2])
        assert ["clip0", "drum", "matched"] not in chosen  # one system lost it
    with pytest.raises(MissingClipError, match="only 3 clips have 3 prompts in all of cafa, text_only, 4 were asked"):
        choose_rows(prompts, indices, settings.model_copy(update={"clips": 4, "prompts_per_clip": 3}))


def test_refuses_what_cannot_be_shown(folder: Path, sources: Sources, tmp_path: Path) -> None:
    output = tmp_path / "page.html"

    def write(more: ExampleSources, **settings: object) -> None:
        merged = ExamplesSettings(**{"systems": ("cafa",), "clips": 1, "prompts_per_clip": 1, **settings})
        write_examples(prompts_of(folder), more, merged, output)

    with pytest.raises(InputError, match="at least one system"):
        write(sources(), systems=())
    with pytest.raises(InputError, match="nothing of nobody is there"):
        write(sources(), systems=("nobody",))
    with pytest.raises(MissingClipError, match="is 0 times below"):
        write(ExampleSources(folder / "samples", folder / "samples"))
    with pytest.raises(InputError, match=r"more than max_megabytes 0\.001.*`media: beside`"):
        write(sources(), max_megabytes=0.001)
    with pytest.raises(InputError, match="FAD: metrics of sets, of which a single sound has no value"):
        write(sources(scores=folder / "scores"), scores=("FAD",))
    with pytest.raises(InputError, match="there are no scores of cafa"):
        write(sources(scores=folder))
    assert not output.exists()


def test_media_lie_beside_a_page_that_is_asked_for_it(folder: Path, sources: Sources, tmp_path: Path) -> None:
    settings = ExamplesSettings(systems=SYSTEMS, clips=2, prompts_per_clip=2, media="beside")
    write_examples(prompts_of(folder), sources(), settings, tmp_path / "page.html")
    first = {path.name for path in (tmp_path / "page_media").iterdir()}
    (tmp_path / "page_media/mine.txt").write_text("not the page's")
    smaller = settings.model_copy(update={"clips": 1})
    write_examples(prompts_of(folder), sources(), smaller, tmp_path / "page.html")
    data = read_page(tmp_path / "page.html")[1]
    names = {sound["video"] for row in data["rows"] for sound in (row["own"], row["cells"][0])}
    there = {path.name for path in (tmp_path / "page_media").iterdir()}
    assert names <= there
    assert there - {"mine.txt"} < first  # what only the first page showed is removed
    assert "mine.txt" in there
    assert data["folder"] == "./page_media/"
    assert (tmp_path / "page.html").stat().st_size < 60_000
    with pytest.raises(InputError, match="max_megabytes"):
        write_examples(
            prompts_of(folder), sources(), settings.model_copy(update={"max_megabytes": 0.01}), tmp_path / "other.html"
        )


def test_peaks_follow_the_sound() -> None:
    sound = np.zeros(1600)
    sound[800:880] = -0.5
    heights = list(base64.b64decode(peaks(sound, bins=20)))
    assert heights == [0] * 10 + [255] + [0] * 9
    assert set(base64.b64decode(peaks(np.zeros(100)))) == {0}


@pytest.mark.parametrize("at", [0.1, 0.35, 0.6, 0.9])
def test_columns_of_a_spectrogram_are_of_equal_time(at: float) -> None:
    sound = np.zeros(51_200)  # 201 windows in 160 columns
    sound[round(at * len(sound))] = 1.0
    picture = cv2.imdecode(np.frombuffer(spectrogram_image(sound), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] == BINS
    bright = picture.sum(axis=(0, 2)).astype(float)
    bright -= bright.min()
    centre = (bright * (np.arange(BINS) + 0.5)).sum() / bright.sum() / BINS
    assert centre == pytest.approx(at, abs=0.01)


def test_scores_events_and_failures(folder: Path, sources: Sources, known: dict[str, Path], tmp_path: Path) -> None:
    settings = ExamplesSettings(systems=SYSTEMS, clips=1, prompts_per_clip=1)
    write_examples(prompts_of(folder), sources(**known), settings, tmp_path / "page.html")
    page, data = read_page(tmp_path / "page.html")
    assert [metric["name"] for metric in data["metrics"]] == ["CLAP", "Acc", "DeSync"]  # those of single sounds
    assert data["metrics"][2]["unit"] == "s"
    assert data["metrics"][2]["arrow"] == "↓"
    assert all(row["events"] == [0.2, 0.4] for row in data["rows"])  # the event at 5 s is after the end
    by_key = {(row["clip"], row["caption"]): row for row in data["rows"]}
    prompts = prompts_of(folder)
    last = by_key["clip3", prompts["caption"].iloc[-1]]  # the highest DeSync of cafa
    assert last["cells"][0]["scores"][2] == pytest.approx(0.61)
    lost = by_key["clip0", prompts["caption"].iloc[0]]
    assert lost["cells"][0]["scores"][1] is None  # Acc is not of the clip's own caption
    assert lost["cells"][1]["lost"]["reason"] == "corrupt"
    assert "decoding fails" in lost["cells"][1]["lost"]["meaning"]
    assert page.tags.count("tr") == 1 + 5  # 2 systems x 2 metrics, and the lost one
    assert "worst DeSync" in page.text
    assert "0.610 s" in page.text
    assert "<b>half a file</b>" in page.text
    links = [address for address in page.addresses if address.startswith("#at=cell-")]
    assert len(links) == 5
    for number, link in enumerate(links):
        row, system = map(int, link.removeprefix("#at=cell-").split("-"))
        assert number in data["rows"][row]["cells"][system]["failures"]


def test_controls_have_no_worst_samples(folder: Path, sources: Sources, known: dict[str, Path], tmp_path: Path) -> None:
    settings = ExamplesSettings(systems=SYSTEMS, clips=1, prompts_per_clip=1, controls=("cafa",))
    write_examples(prompts_of(folder), sources(**known), settings, tmp_path / "page.html")
    data = read_page(tmp_path / "page.html")[1]
    assert [len(row["cells"][0].get("failures", [])) for row in data["rows"]] == [0] * len(data["rows"])
    assert sum(len(row["cells"][1].get("failures", [])) for row in data["rows"]) == 3


def test_what_judges_could_not_judge_has_its_reason(
    folder: Path, sources: Sources, known: dict[str, Path], tmp_path: Path
) -> None:
    for system in SYSTEMS:
        index = pd.read_parquet(folder / f"samples/{system}/0.parquet")
        index.loc[index.index[-1], "status"] = "not_finite"
        (tmp_path / f"judged/{system}/0").mkdir(parents=True)
        index.to_parquet(tmp_path / f"judged/{system}/0/index.parquet")
    settings = ExamplesSettings(systems=SYSTEMS, clips=1, prompts_per_clip=1, failures=0)
    more = sources(**known, judged=tmp_path / "judged")
    write_examples(prompts_of(folder), more, settings, tmp_path / "page.html")
    page, data = read_page(tmp_path / "page.html")
    cells = [cell for row in data["rows"] for cell in row["cells"] if "notJudged" in cell]
    assert [cell["notJudged"]["reason"] for cell in cells] == ["not_finite"] * 2
    assert all("video" in cell for cell in cells)
    assert page.tags.count("tr") == 1 + 3


def test_failures_whose_clip_is_not_there_are_listed_alone(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "clips", tmp_path / "clips")
    (tmp_path / "clips/0/clip0.mp4").unlink()
    settings = ExamplesSettings(systems=SYSTEMS, clips=1, prompts_per_clip=1)
    kept = prompts_of(folder)
    kept = kept[(kept["clip_id"] != "clip0") | (kept["caption_id"] == "drum")]
    write_examples(kept, ExampleSources(tmp_path / "clips", folder / "samples"), settings, tmp_path / "page.html")
    page, data = read_page(tmp_path / "page.html")
    assert "clip0" not in [row["clip"] for row in data["rows"]]
    assert "clip0" in page.text
    assert [address for address in page.addresses if address.startswith("#at=cell-")] == []
