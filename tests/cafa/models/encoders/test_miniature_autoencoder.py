import numpy as np
import pytest
from scipy import fft
from scipy.signal import stft

from cafa.common.errors import InputError
from cafa.media.mel import MelSettings, hann, log_mel, spectrum
from cafa.models.encoders.miniature_autoencoder import (
    AutoencoderSettings,
    MelAutoencoder,
    fit_autoencoder,
    griffin_lim,
)

MEL = MelSettings()


def knocks(times, seconds=1.6, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * MEL.sample_rate)) / MEL.sample_rate
    sound = 0.003 * rng.standard_normal(len(t))
    for when in times:
        after = t >= when
        sound[after] += 0.7 * np.sin(2 * np.pi * 900 * (t[after] - when)) * np.exp(-(t[after] - when) / 0.05)
    return sound.astype(np.float32)


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("autoencoder")
    rng = np.random.default_rng(1)
    mels = [log_mel(knocks(rng.uniform(0.1, 1.4, 3), seed=i), MEL) for i in range(20)]
    fit_autoencoder(iter(mels), AutoencoderSettings(channels=12), folder, {"seed": 0})
    return MelAutoencoder.load(folder)


def test_frame_times_do_not_drift():
    for when in (0.2, 0.8, 1.4):
        frame = int(np.argmax(log_mel(knocks([when]), MEL).max(1)))
        assert abs(frame * MEL.hop / MEL.sample_rate - when) < 0.03


def test_a_full_scale_sine_is_about_zero_decibels_of_log_magnitude():
    t = np.arange(16000) / 16000
    mel = log_mel(np.sin(2 * np.pi * 1000 * t), MEL)
    assert mel[10:-10].max(1).mean() == pytest.approx(0.0, abs=0.7)


def test_spectrum_agrees_with_scipy():
    sound = knocks([0.3])
    ours = np.abs(spectrum(sound, MEL))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    side = (MEL.window - MEL.hop) // 2
    padded = np.pad(sound, (side, MEL.window))
    _, _, theirs = stft(
        padded, nperseg=1024, noverlap=1024 - 320, window=window, boundary=None, padded=False, scaling="spectrum"
    )
    theirs = np.abs(theirs.T[: len(ours)]) * window.sum()
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_mel_wants_a_finite_mono_waveform():
    with pytest.raises(InputError, match="finite mono"):
        log_mel(np.zeros((2, 1600)), MEL)
    with pytest.raises(InputError, match="finite mono"):
        log_mel(np.full(1600, np.nan), MEL)


def test_round_trip_keeps_what_sounds_and_when(autoencoder):
    sound = knocks([0.25, 1.0], seed=99)
    mel = log_mel(sound, MEL)
    latents = autoencoder.encode(mel)
    assert latents.shape == (40, 12)
    assert np.abs(autoencoder.decode_mel(latents) - mel).mean() < 0.5
    back = autoencoder.decode(latents, seed=3)
    assert back.shape == sound.shape
    envelope = np.convolve(np.abs(back), np.ones(320) / 320, "same")
    for when in (0.25, 1.0):
        around = slice(int((when - 0.1) * 16000), int((when + 0.15) * 16000))
        before = slice(int((when - 0.2) * 16000), int((when - 0.1) * 16000))
        assert envelope[around].max() > 5 * envelope[before].mean()


def test_decoding_is_the_same_for_the_same_seed_only(autoencoder):
    latents = autoencoder.encode(log_mel(knocks([0.5]), MEL))
    assert np.array_equal(autoencoder.decode(latents, 1), autoencoder.decode(latents, 1))
    assert not np.array_equal(autoencoder.decode(latents, 1), autoencoder.decode(latents, 2))


def test_loud_latents_do_not_clip(autoencoder):
    assert np.abs(autoencoder.decode(30 * np.ones((40, 12), np.float32), 0)).max() <= 0.99 + 1e-6


def test_latents_have_about_unit_variance(autoencoder):
    rng = np.random.default_rng(5)
    mels = (log_mel(knocks(rng.uniform(0.1, 1.4, 3), seed=50 + i), MEL) for i in range(20))
    latents = np.concatenate([autoencoder.encode(mel) for mel in mels])
    assert latents.std() == pytest.approx(1.0, abs=0.25)


def by_the_book(magnitude, settings, iterations, seed):
    """Fast Griffin-Lim, piece by piece."""
    frames, window, hop = len(magnitude), settings.window, settings.hop
    places = np.arange(frames)[:, None] * hop + np.arange(window)
    taper, length = hann(window), (frames - 1) * hop + window
    weight = np.maximum(np.bincount(places.ravel(), np.tile(taper**2, frames), length), 1e-3).astype(np.float32)
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, magnitude.shape).astype(np.float32)
    angles = np.exp(1j * phases).astype(np.complex64)
    previous = np.zeros_like(angles)
    for iteration in range(iterations + 1):
        signal = np.zeros(length, np.float32)
        for frame, piece in enumerate(fft.irfft(magnitude * angles, n=window, axis=1) * taper):
            signal[frame * hop : frame * hop + window] += piece
        signal /= weight
        if iteration < iterations:
            rebuilt = fft.rfft(signal[places] * taper, axis=1)
            angles = rebuilt + 0.99 * (rebuilt - previous)
            angles /= np.maximum(np.abs(angles), 1e-9)
            previous = rebuilt
    side = (window - hop) // 2
    return signal[side : side + frames * hop]


@pytest.mark.parametrize("geometry", [{}, {"window": 800, "hop": 300}, {"window": 512, "hop": 512}])
@pytest.mark.parametrize("frames", [1, 3, 40])
def test_griffin_lim_has_the_bits_of_the_loop_over_pieces(geometry, frames):
    settings = MelSettings(**geometry)
    sound = np.random.default_rng(2).standard_normal(frames * settings.hop).astype(np.float32)
    magnitude = np.abs(spectrum(sound, settings)).astype(np.float32)
    for given in (magnitude, 0 * magnitude):
        made = griffin_lim(given, settings, 4, seed=3)
        assert made.dtype == np.float32
        assert np.array_equal(made, by_the_book(given, settings, 4, seed=3))
