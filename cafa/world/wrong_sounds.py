"""Clips whose sound does not belong to their picture, as collections from the web have them; which they are is known.

Of the wrong sounds about half are of another category (music laid over a video, a voice off screen), the others of the
right category at other times (a sound track that was moved). Both are at times that the picture knows nothing of.
"""

import numpy as np

from cafa.common.errors import InputError
from cafa.common.seeds import seed_for
from cafa.world.categories import CATEGORIES

#: What the sound of a clip is: its own, or one of the two wrong ones.
RIGHT, OTHER_CATEGORY, OTHER_TIMES = "right", "other_category", "other_times"
WRONG = (OTHER_CATEGORY, OTHER_TIMES)


def kind_of_sound(clip_id: str, seed: int, share: float) -> str:
    """Whether a clip gets its own sound.

    Parameters
    ----------
    clip_id : str
        With `seed` it decides the draw; a larger `share` makes more sounds wrong and none right.
    seed : int
        Base seed.
    share : float
        Probability of a wrong sound, 0 to 1.

    Returns
    -------
    str
        :data:`RIGHT`, :data:`OTHER_CATEGORY` or :data:`OTHER_TIMES`.

    Raises
    ------
    InputError
        If the share is no share.
    """
    if not 0 <= share <= 1:
        raise InputError(f"the share of wrong sounds is from 0 to 1, got {share}")
    rng = _rng(seed, clip_id)
    return str(rng.choice(WRONG)) if rng.random() < share else RIGHT


def wrong_category(clip_id: str, category: str, seed: int) -> str:
    """The category that is heard in place of `category`, any of the others."""
    return str(_rng(seed, clip_id, "category").choice([name for name in CATEGORIES if name != category]))


def _rng(seed: int, clip_id: str, *part: str) -> np.random.Generator:
    return np.random.default_rng(seed_for(seed, "wrong sound", clip_id, *part))
