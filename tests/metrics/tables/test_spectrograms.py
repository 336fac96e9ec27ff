"""Spectrograms: what is drawn, of which clip, and where its events stand."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from cafa.common.errors import InputError
from cafa.common.tables import write_table
from cafa.data.prompts import SCHEMA
from cafa.media.sound import write_sound
from metrics.tables.spectrograms import SpectrogramSettings, choose_panels, draw_spectrograms

RATE = 16_000
SETTINGS = SpectrogramSettings(systems={"ours": "Ours", "theirs": "Theirs"})


@pytest.fixture
def prompts() -> pd.DataFrame:
    rows = []
    for clip in ("one", "two"):
        own = "dog" if clip == "one" else "bell"
        for caption_id, label in (("a", "dog"), ("b", "bell"), ("c", "rain")):
            rows.append((clip, caption_id, f"a {label}", label, own, "matched" if label == own else "cross"))
    return pd.DataFrame(rows, columns=["clip_id", "caption_id", "caption", "label", "own_label", "protocol"])


@pytest.fixture
def samples(prompts: pd.DataFrame, tmp_path: Path) -> Path:
    for system in SETTINGS.systems:
        folder = tmp_path / "samples" / system / "0"
        folder.mkdir(parents=True)
        rows = []
        for row in prompts.itertuples():
            sound = np.zeros(RATE, np.float32)
            sound[RATE // 2 : RATE // 2 + 400] = 0.5
            write_sound(folder / f"{row.clip_id}{row.caption_id}.flac", sound, RATE)
            status = "ok" if (system, row.clip_id, row.caption_id) != ("theirs", "two", "b") else "corrupt"
            rows.append((row.clip_id, row.caption_id, row.protocol, f"{row.clip_id}{row.caption_id}.flac", status))
        columns = ["clip_id", "caption_id", "protocol", "file", "status"]
        pd.DataFrame(rows, columns=columns).to_parquet(folder.with_suffix(".parquet"))
    return tmp_path / "samples"


def test_the_own_caption_comes_first_and_a_clip_without_it_is_not_shown(prompts: pd.DataFrame, samples: Path) -> None:
    clip, panels = choose_panels(prompts, samples, SETTINGS)
    assert clip == "one"  # the own caption of the other one failed for a system
    assert [panel.system for panel in (row[0] for row in panels)] == ["Ours", "Theirs"]
    assert panels[0][0].caption == "a dog"
    assert [panel.caption for panel in panels[0]] == [panel.caption for panel in panels[1]]
    assert all(panel.path.is_file() for row in panels for panel in row)
    with pytest.raises(InputError, match="clip two does not have samples of ours, theirs under 2 captions"):
        choose_panels(prompts, samples, SETTINGS.model_copy(update={"clip": "two"}))
    with pytest.raises(InputError, match=r"no clip has samples .* under 4 captions"):
        choose_panels(prompts, samples, SETTINGS.model_copy(update={"captions": 4}))


def test_the_figure_is_the_same_again_and_marks_events(prompts: pd.DataFrame, samples: Path, tmp_path: Path) -> None:
    first, second, plain = (tmp_path / name for name in ("1.svg", "2.svg", "plain.svg"))
    events = {"one": [0.25, 0.5]}
    assert draw_spectrograms(prompts, samples, SETTINGS, first, events) == "one"
    draw_spectrograms(prompts, samples, SETTINGS, second, events)
    draw_spectrograms(prompts, samples, SETTINGS, plain)
    assert first.read_bytes() == second.read_bytes() != plain.read_bytes()
    text = first.read_text()
    assert all(word in text for word in ("Ours", "Theirs", "“a dog”", "seconds"))
    picture = tmp_path / "figure.png"
    draw_spectrograms(prompts, samples, SETTINGS, picture)
    assert matplotlib.image.imread(picture).shape[1] == pytest.approx(8.4 * 150, abs=2)


def test_the_command_draws_it_from_files(
    prompts: pd.DataFrame, samples: Path, tmp_path: Path, command: Callable[[list[str]], str]
) -> None:
    own = [f"a {label}" for label in prompts["own_label"]]
    write_table(tmp_path / "p.parquet", prompts.assign(own_caption=own)[SCHEMA.names].to_dict("records"), SCHEMA)
    times = pd.DataFrame({"clip_id": ["one"], "event_times": [[0.25, 0.5]]})
    times.to_parquet(tmp_path / "times.parquet")
    output = tmp_path / "figure3.svg"
    arguments = ["spectrograms", "--prompts", str(tmp_path / "p.parquet"), "--samples-folder", str(samples)]
    arguments += ["--settings", SETTINGS.model_dump_json(), "--event-times", str(tmp_path / "times.parquet")]
    assert "clip one, 2 systems, 2 captions" in command([*arguments, "--output", str(output)])
    drawn = tmp_path / "direct.svg"
    draw_spectrograms(prompts, samples, SETTINGS, drawn, {"one": [0.25, 0.5]})
    assert output.read_bytes() == drawn.read_bytes()
