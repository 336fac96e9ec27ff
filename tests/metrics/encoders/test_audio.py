import math
from pathlib import Path

import numpy as np
import pytest
import torch

from cafa.common.errors import ClipError, InputError
from metrics.encoders.audio import _sinc_kernel, prepare_waveform, resample, stack_mono
from metrics.judges.synthetic_signals import wave

STORED = Path(__file__).parent / "data" / "resample.npz"


@pytest.mark.parametrize(
    "name", ["44100_16000", "48000_16000", "44100_48000", "16000_48000", "22050_16000", "44100_32000"]
)
def test_resampling_is_torchaudios(name: str):
    """Stored: torchaudio 2.11 ``transforms.Resample`` on 31 ms of white noise."""
    rate, target = map(int, name.split("_"))
    ours = resample(torch.from_numpy(wave(0, rate, 0.031)), rate, target)
    np.testing.assert_allclose(ours.numpy(), np.load(STORED)[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("rate", "target"), [(44100, 16000), (44100, 48000), (44056, 16000), (48000, 44100), (48000, 16000)]
)
def test_leaving_out_the_zeros_of_a_filter_changes_nothing(rate: int, target: int):
    sound = torch.from_numpy(np.stack([wave(0, rate, 2.2), wave(1, rate, 2.2)]))
    divisor = math.gcd(rate, target)
    old, new = rate // divisor, target // divisor
    kernel, reach = _sinc_kernel(old, new)
    padded = torch.nn.functional.pad(sound[:, None], (reach, reach + old))
    whole = torch.nn.functional.conv1d(padded, kernel[:, None], stride=old).mT.flatten(1)
    found = resample(sound, rate, target)
    assert found.shape[1] == math.ceil(sound.shape[1] * target / rate)
    torch.testing.assert_close(found, whole[:, : found.shape[1]], atol=1e-7, rtol=0)


def test_resampling_keeps_leading_axes_and_equal_rates():
    sound = torch.from_numpy(np.stack([wave(0, 44100, 0.1), wave(1, 44100, 0.1)]))
    both = resample(sound, 44100, 16000)
    assert both.shape == (2, 1600)
    torch.testing.assert_close(both[1], resample(sound[1], 44100, 16000), atol=1e-6, rtol=0)
    assert resample(sound, 16000, 16000) is sound
    with pytest.raises(InputError, match="positive"):
        resample(sound, 0, 16000)


def test_a_tone_survives_and_what_is_above_the_new_nyquist_does_not():
    time = np.arange(48000) / 48000
    low, high = (torch.from_numpy(np.sin(2 * np.pi * f * time).astype(np.float32)) for f in (1000, 12000))
    middle = slice(1000, 15000)
    kept = resample(low, 48000, 16000)[middle]
    expected = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)[middle]
    assert np.abs(kept.numpy() - expected).max() < 0.01
    assert resample(high, 48000, 16000)[middle].abs().max() < 0.01


def test_preparing_averages_channels_removes_dc_and_cuts():
    left, right = wave(0, 16000, 1), wave(1, 16000, 1)
    stereo = np.stack([left, right]) + np.float32(0.25)
    prepared = prepare_waveform(stereo, 16000, 16000, seconds=0.5, remove_mean=True)
    mono = (left + right) / 2
    np.testing.assert_allclose(prepared, (mono - mono.mean())[:8000], atol=1e-6)
    kept = prepare_waveform(stereo, 16000, 16000, seconds=0.5)
    np.testing.assert_allclose(kept, mono[:8000] + 0.25, atol=1e-6)
    np.testing.assert_array_equal(prepare_waveform(left, 16000, 16000), left)


def test_the_whole_files_mean_is_removed_not_that_of_the_scored_seconds():
    ramp = np.linspace(0, 1, 16000, dtype=np.float32)
    prepared = prepare_waveform(ramp, 16000, 16000, seconds=0.5, remove_mean=True)
    assert prepared.mean() == pytest.approx(-0.25, abs=1e-3)


def test_short_sound_is_refused_not_padded():
    with pytest.raises(ClipError, match="short: sound has 16000 samples at 16000 Hz, 16160 are scored"):
        prepare_waveform(wave(0, 48000, 1), 48000, 16000, seconds=1.01)


def test_batches_must_be_of_one_length_finite_and_long_enough():
    sound = wave(0, 16000, 0.1)
    assert stack_mono([sound, np.stack([sound, sound])], 100).shape == (2, 1600)
    with pytest.raises(InputError, match=r"one length, found \[1599, 1600\]"):
        stack_mono([sound, sound[1:]], 100)
    with pytest.raises(InputError, match="no clips"):
        stack_mono([], 100)
    with pytest.raises(ClipError, match="short: sound has 1600 samples, this judge needs at least 1601"):
        stack_mono([sound], 1601)
    with pytest.raises(InputError, match="not finite"):
        stack_mono([np.where(np.arange(1600) == 7, np.nan, sound)], 100)
