"""The levels of sounds, against FFmpeg's meter, and as a judge of a panel."""

import re
import subprocess

import numpy as np
import pytest
import soundfile

from cafa.common.errors import InputError
from metrics.judges.level_names import LEVELS, NAMES
from metrics.judges.levels import levels_of, open_levels
from metrics.judges.published import RealJudges


def _ebur128(path):
    """Integrated loudness and true peak as FFmpeg measures them."""
    command = ["ffmpeg", "-nostats", "-hide_banner", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    summary = subprocess.run(command, capture_output=True, text=True, check=True).stderr.split("Summary:")[1]
    found = [re.search(pattern, summary) for pattern in (r"I:\s+(\S+) LUFS", r"Peak:\s+(\S+) dBFS")]
    return [float(one[1]) for one in found]


def _sounds():
    generator = np.random.default_rng(0)
    time = np.arange(4 * 48000) / 48000
    yield "tone", 48000, 0.1 * np.sin(2 * np.pi * 997 * time)[None]
    yield "noise in two channels", 44100, generator.normal(0, 0.05, (2, 4 * 44100))
    quiet = generator.normal(0, 0.1, (1, 6 * 16000))
    quiet[:, 2 * 16000 :] *= 1e-3
    yield "noise, then a gate's silence", 16000, quiet
    # Faded in and out: how much an abrupt beginning overshoots is a matter of the meter's filter.
    fade = np.clip(np.minimum(time, time[::-1]) / 0.05, 0, 1)
    yield "between samples", 48000, (0.7 * fade * np.sin(2 * np.pi * 12000 * time + np.pi / 4))[None]


@pytest.mark.parametrize(("rate", "samples"), [pytest.param(*rest, id=name) for name, *rest in _sounds()])
def test_loudness_and_true_peak_are_those_of_ffmpeg(tmp_path, rate, samples):
    soundfile.write(tmp_path / "a.wav", samples.T, rate, subtype="FLOAT")
    loudness, peak, _, _ = levels_of(samples, rate)
    theirs = _ebur128(tmp_path / "a.wav")
    assert loudness == pytest.approx(theirs[0], abs=0.15)
    assert peak == pytest.approx(theirs[1], abs=0.3)


def test_silence_is_finite_and_channels_beyond_two_are_measured():
    assert levels_of(np.zeros((2, 8000)), 16000).tolist() == [-70.0, -100.0, 1.0, 0.0]
    six = np.full((6, 16000), 0.5) * np.sign(np.sin(np.arange(16000)))
    assert levels_of(six, 16000) == pytest.approx(levels_of(six[:1], 16000))
    with pytest.raises(InputError, match=r"0\.4 s"):
        levels_of(np.ones((1, 100)), 16000)


def test_a_panel_decodes_once_and_measures_only_what_is_scored(tmp_path):
    loud = np.concatenate((np.full(16000, 0.25), np.ones(16000)))  # the clipped second is not scored
    soundfile.write(tmp_path / "a.wav", loud, 16000, subtype="FLOAT")
    panel = RealJudges({LEVELS: open_levels()}, 1.0)
    sound = panel.prepare_audio(tmp_path / "a.wav", [LEVELS])
    columns = panel.embed_audio([sound, sound], [{}, {}], [LEVELS])[LEVELS][LEVELS]
    assert columns.shape == (2, len(NAMES))
    assert columns.dtype == np.float32
    assert columns[0, 3] == 0.0
    assert columns[0, 2] == 0.0
    assert panel.check["judges"][LEVELS]["good"]
    with pytest.raises(InputError, match="leave its columns out"):
        RealJudges({LEVELS: open_levels()}, 0.2)
