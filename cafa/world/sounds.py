"""The sound of a clip: its events in a room."""

import numpy as np

from cafa.common.errors import InputError
from cafa.world.categories import check_category
from cafa.world.difficulty import Difficulty
from cafa.world.synth import band, clock, noise
from cafa.world.voices import VOICES

#: Samples per second of the world's sound.
SAMPLE_RATE = 16_000
#: No sample of a clip is louder.
PEAK = 0.95


def _room(dry: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Add a handful of early reflections; the direct sound stays where it is."""
    wet = dry.copy()
    size = rng.uniform(0.4, 1.6)
    for _ in range(5):
        delay = rng.uniform(0.006, 0.03) * size
        at = max(1, round(delay * sample_rate))
        wet[at:] += float(rng.uniform(-1.0, 1.0) * 0.35 * np.exp(-delay / 0.03)) * dry[:-at]
    return wet


def _tone(samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Background of the room at unit standard deviation: coloured noise, sometimes with mains hum."""
    low, high = rng.choice((40.0, 80.0, 160.0)), rng.choice((1500.0, 3000.0, 6000.0))
    hiss = band(noise(samples, rng), low, high, sample_rate, order=1)
    if rng.random() < 0.3:
        time = clock(samples / sample_rate, sample_rate)
        hum = np.sin(time * float(2 * np.pi * 50.0)) + 0.5 * np.sin(time * float(2 * np.pi * 100.0) + 1.0)
        hiss = hiss / hiss.std() + rng.uniform(0.2, 1.0) * hum
    return hiss / hiss.std()


def render_sound(
    category: str,
    event_times: np.ndarray,
    event_levels: np.ndarray,
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
    difficulty: Difficulty | None = None,
) -> np.ndarray:
    """Synthesise the sound of a clip.

    Parameters
    ----------
    category : str
        One of :data:`cafa.world.categories.CATEGORIES`; need not be what the clip shows.
    event_times : numpy.ndarray
        (events,) seconds in [0, `seconds`); each event's sound starts there, to the sample.
    event_levels : numpy.ndarray
        (events,) amplitude relative to a full event, in (0, 1].
    seconds : float
        Length.
    sample_rate : int
        Samples per second.
    rng : numpy.random.Generator
        Source of pitch, variation between events, room and background.
    difficulty : Difficulty, optional
        Gives the range of the pitch and the level of the background.

    Returns
    -------
    numpy.ndarray
        (round(seconds * sample_rate),) float32, peak at most 0.95.

    Raises
    ------
    InputError
        Unknown category, as many levels as times are not given, or a time outside the clip.
    """
    voice = VOICES[check_category(category)]
    d = difficulty or Difficulty()
    event_times, event_levels = np.asarray(event_times, float), np.asarray(event_levels, float)
    if event_times.shape != event_levels.shape or event_times.ndim != 1:
        raise InputError(f"event_times {event_times.shape} and event_levels {event_levels.shape} must be equal, 1-D")
    if ((event_times < 0) | (event_times >= seconds)).any():
        raise InputError(f"event times {event_times.tolist()} must lie in [0, {seconds}) seconds")
    samples = round(seconds * sample_rate)
    pitch = float(np.exp(rng.uniform(-1.0, 1.0) * np.log1p(d.pitch)))
    dry = np.zeros(samples, np.float32)
    for time, level in zip(event_times, event_levels, strict=True):
        sound = voice(pitch * float(np.exp(0.02 * rng.standard_normal())), sample_rate, rng)
        at = round(time * sample_rate)
        piece = sound[: samples - at]
        dry[at : at + len(piece)] += float(level) * piece
    wet = _room(dry, sample_rate, rng)
    wet += float(10.0 ** (-rng.uniform(*d.noise_db) / 20.0)) * _tone(samples, sample_rate, rng)
    wet *= rng.uniform(0.6, 0.9)
    peak = float(np.abs(wet).max())
    return (wet * min(1.0, PEAK / peak)).astype(np.float32, copy=False)
