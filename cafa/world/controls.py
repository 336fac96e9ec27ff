"""Control systems of the rendered world: what perfect and absent synchronisation score.

Both make the asked category's sound with the world's own synthesiser, so their sound is as good as sound gets here.
"""

from collections.abc import Sequence

import numpy as np

from cafa.common.seeds import seed_for
from cafa.world.difficulty import Difficulty
from cafa.world.events import draw_event_times
from cafa.world.scene import SECONDS
from cafa.world.sounds import SAMPLE_RATE, render_sound


def oracle_sound(
    clip_id: str,
    caption_id: str,
    category: str,
    event_times: Sequence[float],
    event_levels: Sequence[float],
    seed: int,
    difficulty: Difficulty | None = None,
) -> np.ndarray:
    """Sound of `category` at the true event times of a clip.

    Parameters
    ----------
    clip_id, caption_id : str
        The sample's clip and caption; with `seed` they determine every draw.
    category : str
        What the caption asks for, one of :data:`cafa.world.categories.CATEGORIES`.
    event_times, event_levels : sequence of float
        The clip's row of :func:`cafa.world.clips.event_times`.
    seed : int
        Base seed.
    difficulty : Difficulty, optional
        The defaults where absent.

    Returns
    -------
    numpy.ndarray
        (51200,) float32 at 16 kHz, peak at most 0.95.
    """
    rng = np.random.default_rng(seed_for(seed, "oracle", clip_id, caption_id))
    times, levels = np.asarray(event_times, float), np.asarray(event_levels, float)
    return render_sound(category, times, levels, SECONDS, SAMPLE_RATE, rng, difficulty)


def shuffled_sound(
    clip_id: str, caption_id: str, category: str, seed: int, difficulty: Difficulty | None = None
) -> np.ndarray:
    """Sound of `category` at times drawn by the world's law, without regard to the clip.

    The category stays what the caption asks for: only the times are wrong.

    Parameters
    ----------
    clip_id, caption_id, category, seed, difficulty
        As in :func:`oracle_sound`.

    Returns
    -------
    numpy.ndarray
        (51200,) float32 at 16 kHz, peak at most 0.95.
    """
    rng = np.random.default_rng(seed_for(seed, "shuffled", clip_id, caption_id))
    times = draw_event_times(rng, SECONDS)
    levels = rng.uniform(*(difficulty or Difficulty()).level, len(times))
    return render_sound(category, times, levels, SECONDS, SAMPLE_RATE, rng, difficulty)
