"""Sounds of other systems: any length that covers what is judged, with their channels and rate."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from cafa.generation.samples import make_samples
from cafa.generation.samples_system import SamplesSystem
from cafa.generation.sound_sources import PublishedSounds, ReferenceSounds
from cafa.generation.sources import PromptRow
from cafa.media.sound import read_sound, write_sound

RATE = 44100
JUDGED = 8.0
ROW = PromptRow("clip0", "a", "a sound", "sound", "matched")


def sound_of(seconds: float, channels: int = 1, rate: int = RATE) -> np.ndarray:
    return 0.2 * np.random.default_rng(1).standard_normal((round(seconds * rate), channels)).clip(-4, 4)


def made(folder: Path, source: PublishedSounds | ReferenceSounds) -> pd.Series:
    make_samples(
        [ROW],
        source,
        label="test",
        seed=1,
        batch_size=1,
        shard=(0, 1),
        folder=folder / "made" / "0",
        index=folder / "made" / "0.parquet",
        key="k",
    )
    return pd.read_parquet(folder / "made" / "0.parquet").iloc[0]


def published(folder: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> pd.Series:
    soundfile.write(folder / "clip0.wav", samples, rate, subtype=subtype)
    return made(folder, PublishedSounds(SamplesSystem(folder=str(folder), pattern="{clip_id}.wav"), RATE, JUDGED))


@pytest.mark.parametrize("seconds", [7.9, 8.0, 8.2, 9.75, 10.0, 20.0])
def test_every_length_that_covers_what_is_judged_is_taken(tmp_path: Path, seconds: float) -> None:
    row = published(tmp_path, sound_of(seconds))
    assert row["status"] == "ok"
    assert row["seconds"] == JUDGED
    assert soundfile.info(tmp_path / "made" / "0" / row["file"]).duration == pytest.approx(max(seconds, JUDGED))


def test_shorter_ones_are_lost(tmp_path: Path) -> None:
    row = published(tmp_path, sound_of(5.0))
    assert (row["status"], row["detail"]) == ("short", "clip0.wav holds 5.00 s of 8.0 s")


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"), [(48000, 2, "PCM_16"), (16000, 1, "PCM_24"), (44100, 6, "PCM_16")]
)
def test_samples_channels_and_rate_are_those_of_the_file(
    tmp_path: Path, rate: int, channels: int, subtype: str
) -> None:
    row = published(tmp_path, sound_of(8.0, channels, rate), rate, subtype)
    there, own_rate = soundfile.read(tmp_path / "clip0.wav", always_2d=True)
    copy, copied_rate = soundfile.read(tmp_path / "made" / "0" / row["file"], always_2d=True)
    assert own_rate == copied_rate == row["sample_rate"] == rate
    np.testing.assert_array_equal(copy, there)


def test_a_float_file_is_written_with_24_bits_and_what_is_not_judged_may_be_anything(tmp_path: Path) -> None:
    sound = sound_of(9.0, 2).astype(np.float32)
    sound[round(8.5 * RATE)] = np.nan
    row = published(tmp_path, sound, subtype="FLOAT")
    copy, _ = soundfile.read(tmp_path / "made" / "0" / row["file"])
    assert len(copy) == round(8.5 * RATE)
    np.testing.assert_allclose(copy, sound[: len(copy)], atol=2**-24)
    sound[round(7.5 * RATE)] = np.nan
    assert published(tmp_path, sound, subtype="FLOAT")["status"] == "not_finite"


def test_silence_is_counted_in_the_index(tmp_path: Path) -> None:
    tone = sound_of(8.0)
    assert published(tmp_path, np.zeros((8 * RATE, 2)))["finding"] == "silent"
    assert published(tmp_path, np.concatenate([tone, -tone], axis=1))["finding"] == "antiphase"
    assert published(tmp_path, tone)["finding"] == ""
    row = published(tmp_path, 3 * tone, subtype="FLOAT")
    assert row["over_full_scale"] > 0
    assert "scaled by" in row["detail"]


def test_a_mono_reference_has_the_bits_of_a_sound_written_by_a_model(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    soundfile.write(tmp_path / "0" / "clip0.flac", sound_of(8.0), RATE, subtype="PCM_24")
    row = made(tmp_path, ReferenceSounds(tmp_path, {"clip0": "0"}, RATE, JUDGED))
    write_sound(tmp_path / "as_before.flac", read_sound(tmp_path / "0" / "clip0.flac", sample_rate=RATE), RATE)
    assert (tmp_path / "made" / "0" / row["file"]).read_bytes() == (tmp_path / "as_before.flac").read_bytes()
