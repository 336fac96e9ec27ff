"""Sounds of the rendered world: alignment, level, distinctness."""

import numpy as np
import pytest

from cafa.common.errors import InputError
from cafa.world.categories import CATEGORIES
from cafa.world.difficulty import Difficulty
from cafa.world.sounds import render_sound
from cafa.world.voices import VOICES


def test_every_category_has_a_voice():
    assert tuple(VOICES) == CATEGORIES


@pytest.mark.parametrize("category", CATEGORIES)
def test_sound_starts_at_the_event_and_not_before(category):
    times = np.array([0.5, 1.7])
    quiet = Difficulty(noise_db=(120.0, 120.0))
    sound = render_sound(category, times, np.ones(2), 3.2, 16_000, np.random.default_rng(0), quiet)
    assert sound.shape == (51_200,)
    assert sound.dtype == np.float32
    for time, before in zip(times, (0.1, 1.4), strict=True):
        level = np.abs(sound[round((time - 0.05) * 16_000) : round(time * 16_000)]).max()
        assert level < 1e-3, "silent until the event"
        start = np.abs(sound[round(time * 16_000) : round((time + 0.06) * 16_000)]).max()
        assert start > 0.1, "heard within 60 ms"
        assert np.abs(sound[round(before * 16_000) : round((time - 0.05) * 16_000)]).max() < 0.01


@pytest.mark.parametrize("category", CATEGORIES)
def test_sound_never_clips_and_is_a_function_of_the_seed(category):
    times, levels = np.array([0.1, 0.5, 0.9, 3.0]), np.ones(4)
    sounds = [render_sound(category, times, levels, 3.2, 16_000, np.random.default_rng(s)) for s in (1, 1, 2)]
    for sound in sounds:
        assert np.isfinite(sound).all()
        assert 0.1 < np.abs(sound).max() <= 0.95
    assert np.array_equal(sounds[0], sounds[1])
    assert not np.array_equal(sounds[0], sounds[2])


def test_level_scales_an_event():
    quiet = Difficulty(noise_db=(120.0, 120.0))
    args = ("playing tennis", np.array([0.5]))
    loud, soft = (
        render_sound(*args, np.array([level]), 1.0, 16_000, np.random.default_rng(3), quiet) for level in (1.0, 0.5)
    )
    assert np.abs(soft).max() == pytest.approx(0.5 * np.abs(loud).max(), rel=0.01)


def test_categories_differ_in_spectrum():
    bands = np.geomspace(60, 8000, 25)

    def features(category: str, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        sound = render_sound(category, np.array([0.2, 1.0]), np.ones(2), 1.6, 16_000, rng)
        frames = np.abs(np.fft.rfft(sound[:25_600].reshape(-1, 512) * np.hanning(512))) ** 2
        edges = np.searchsorted(np.fft.rfftfreq(512, 1 / 16_000), bands)
        power = np.log(np.add.reduceat(frames, np.minimum(edges, 255), axis=1) + 1e-2)
        return np.concatenate([power.mean(axis=0), power.std(axis=0)])

    centres = np.stack([np.mean([features(c, s) for s in range(4)], axis=0) for c in CATEGORIES])
    held_out = [(k, features(c, s)) for k, c in enumerate(CATEGORIES) for s in range(10, 13)]
    right = [((centres - x) ** 2).sum(axis=1).argmin() == k for k, x in held_out]
    assert np.mean(right) > 0.75


def test_wrong_arguments_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="unknown category"):
        render_sound("cat meowing", np.zeros(1), np.ones(1), 1.0, 16_000, rng)
    with pytest.raises(InputError, match="must be equal"):
        render_sound("dog barking", np.zeros(2), np.ones(1), 1.0, 16_000, rng)
    with pytest.raises(InputError, match="must lie in"):
        render_sound("dog barking", np.array([1.0]), np.ones(1), 1.0, 16_000, rng)
