"""The levels of sounds, against FFmpeg's meter, and as a judge of a panel."""

import re
import subprocess

import numpy as np
import pytest
import soundfile

from cafa.common.errors import InputError, WeightsError
from cafa.common.files import write_json
from metrics.judge_quality.published import CanarySettings, without_clips
from metrics.judge_quality.published import verdict as check_verdict
from metrics.judges import levels
from metrics.judges.level_names import LARGEST_ERROR, LEVELS, METER_ERROR, NAMES
from metrics.judges.levels import VERSION, levels_of, open_levels
from metrics.judges.published import RealJudges
from metrics.judges.registry import CARD, PretrainedSettings, are_pretrained, open_registered, register


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


def test_the_meter_is_measured_whenever_it_is_opened(monkeypatch):
    """EBU Tech 3341 allows 0.1 LU; a meter that is one LU off is no good judge."""
    verdict = open_levels().verdict()
    assert verdict["good"]
    assert 0 < verdict["measures"][METER_ERROR]["value"] < LARGEST_ERROR
    monkeypatch.setattr(levels, "levels_of", lambda samples, rate: levels_of(samples, rate) + 1)
    assert not open_levels().verdict()["good"]


def test_it_is_put_on_record_and_goes_with_either_kind_of_judges(tmp_path):
    card = register(LEVELS, PretrainedSettings(weights=tmp_path / "none"), tmp_path / LEVELS)
    assert (card["kind"], card["files"], card["weights_sha256"]) == ("measurement", {}, VERSION)
    for kind in ("pretrained", "classifier"):
        write_json(tmp_path / "classifier" / CARD, {"kind": kind})
        assert are_pretrained(tmp_path) == (kind == "pretrained")
    opened = open_registered(tmp_path, [LEVELS])
    assert open_registered(tmp_path, [LEVELS], parts=["text"]) == {}
    found = check_verdict(without_clips(opened), {}, CanarySettings(), {LEVELS: card})
    assert found["judges"][LEVELS]["measures"].keys() == {METER_ERROR}
    assert found["good"]
    strict = CanarySettings(thresholds={LEVELS: {METER_ERROR: 0.0}})
    assert not check_verdict(without_clips(opened), {}, strict, {LEVELS: card})["good"]
    write_json(tmp_path / LEVELS / CARD, {**card, "weights_sha256": "no weights (v0)"})
    with pytest.raises(WeightsError, match=r"registered as 'no weights \(v0\)'.*cafa judges register levels"):
        open_registered(tmp_path, [LEVELS])
