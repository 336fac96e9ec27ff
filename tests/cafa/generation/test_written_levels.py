"""Loudness and true peak of every kind of file that `cafa generate` writes, as the program ffmpeg measures them."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter

from cafa.common.files import read_json
from cafa.generation.finish import Finish
from cafa.generation.foley import FoleyPipeline, FoleyResult
from cafa.generation.generate_files import GenerateOptions, GenerateRequest, generate_files
from cafa.generation.new_video import OF_NORMALISED
from cafa.generation.systems import Sampling
from cafa.media.codec_levels import after_codec, level_for_codec
from cafa.media.loudness import limit_peaks, measure_levels
from cafa.media.new_sound import CONTAINERS
from tests.cafa.media.test_loudness import knocks

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg program to measure with")
RATE, SECONDS = 44_100, 8
#: name -> how the ffmpeg program encodes the picture
VIDEOS = {
    "clip.mp4": ("-c:v", "libx264"),
    "clip.mkv": ("-c:v", "libx264"),
    "clip.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
}


#: what the model itself has made, by video: the same for every sound of our choice
Made = dict[Path, list[FoleyResult]]


class Sounding:
    """A loaded pipeline whose model makes a sound of our choice, of one channel or two."""

    def __init__(self, pipeline: FoleyPipeline, sound: np.ndarray, made: Made) -> None:
        self._pipeline, self._sound, self._made = pipeline, sound, made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)

    def generate_pairs(self, video: Path, *given: Any, **named: Any) -> list[FoleyResult]:
        if video not in self._made:
            self._made[video] = self._pipeline.generate_pairs(video, *given, **named)
        return [replace(result, waveform=self._sound) for result in self._made[video]]


def rain(channels: int) -> np.ndarray:
    """A steady noise of falling spectrum, which begins and ends at once."""
    white = np.random.default_rng(3).standard_normal((channels, RATE * SECONDS))
    sound = lfilter([1.0], [1.0, -0.9], white)
    return np.asarray(0.99 * sound / np.abs(sound).max(), np.float32)


@pytest.fixture(scope="module")
def pipeline(registered_models: Path) -> FoleyPipeline:
    return FoleyPipeline.from_pretrained(registered_models, sampling=Sampling(steps=2))


@pytest.fixture(scope="module")
def model_made() -> Made:
    return {}


@pytest.fixture(scope="module", params=VIDEOS)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("videos") / request.param
    picture = ("-f", "lavfi", "-i", f"testsrc=s=64x48:r=25:d={SECONDS}")
    subprocess.run(["ffmpeg", "-v", "error", *picture, *VIDEOS[request.param], str(path)], check=True)
    return path


def measured(path: Path) -> tuple[float, float]:
    """Integrated loudness and true peak, as FFmpeg's filter ebur128 finds them."""
    command = ["ffmpeg", "-nostats", "-i", str(path), "-vn", "-af", "ebur128=peak=true", "-f", "null", "-"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found = [
        re.findall(rf"{name}:\s+(-?[\d.]+) {unit}", printed)[-1] for name, unit in (("I", "LUFS"), ("Peak", "dBFS"))
    ]
    return float(found[0]), float(found[1])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("sound", "lufs", "limit"),
    [("rain", -23.0, -1.0), ("rain", -14.0, -3.0), ("knocks", -20.0, -1.0)],
)
def test_every_file_has_the_loudness_and_stays_below_the_limit(
    pipeline: FoleyPipeline,
    model_made: Made,
    video: Path,
    tmp_path: Path,
    channels: int,
    sound: str,
    lufs: float,
    limit: float,
) -> None:
    made = Sounding(pipeline, knocks(6, channels) if sound == "knocks" else rain(channels), model_made)
    options = GenerateOptions(steps=2, finish=Finish(lufs=lufs, true_peak=limit))
    request = GenerateRequest(
        video, ("music",), output_folder=tmp_path, options=options, write=("wav", "flac", "video")
    )
    said: list[str] = []
    files = generate_files(request, said.append, pipeline=made)  # type: ignore[arg-type]
    assert [path.suffix for path in files] == [".wav", ".flac", video.suffix]
    for path in files:
        loudness, peak = measured(path)
        assert loudness == pytest.approx(lufs, abs=0.5), path.suffix
        assert peak <= limit, path.suffix
    (entry,) = read_json(tmp_path / "generated.json").values()
    assert entry["sound"]["channels"] == channels
    written = entry["video_tracks"]
    assert (written["lufs"], written["true_peak"]) == pytest.approx(measured(files[-1]), abs=0.4)
    assert not any(line.startswith("note: the sound has") for line in said)


@pytest.mark.parametrize("codec", [CONTAINERS[".mp4"].sound, CONTAINERS[".webm"].sound, OF_NORMALISED], ids=str)
def test_levels_hold_after_a_codec_that_moves_peaks(codec: Any) -> None:
    loud = limit_peaks(8 * knocks(6, 1), RATE, -0.7)  # its peaks are at the limit, so its loudness has an end
    own = measure_levels(loud, RATE)
    assert own.true_peak == pytest.approx(-1.1, abs=0.1)
    assert measure_levels(*after_codec(loud, RATE, codec)).true_peak > -1.3, "the codec leaves the peaks alone"
    for wanted in (own.lufs, own.lufs + 6):
        made, found = level_for_codec(loud, RATE, codec, wanted, -1.0)
        assert found == measure_levels(*after_codec(made, RATE, codec)), "the same sound gives the same file"
        assert found.true_peak <= -1.3
        assert made.shape == loud.shape


def test_what_has_no_loudness_is_left_as_it_is() -> None:
    for sound in (np.full((1, 1000), 0.9, np.float32), np.zeros((2, RATE), np.float32)):
        made, found = level_for_codec(sound, RATE, OF_NORMALISED, -23.0, -1.0)
        assert made is sound
        assert found is None
