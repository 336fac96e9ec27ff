"""Does the sound follow the prompt rather than the picture (Acc)?

A clip is given the caption of another category. The generated sound is correct if a text-audio judge (CLAP) finds it
closer to the prompt than to the clip's own caption: ``cos(sound, prompt) > cos(sound, own caption)``. Higher is better;
chance is 0.5.

Conventions
-----------
A tie is not correct: the sound did not follow the prompt *rather than* the picture. The published text does not
say how ties count; they are counted and reported.

Metrics
-------
:func:`prompt_accuracy`

Source
------
CAFA (arXiv:2504.06778), section 5 and Table 1. The margin, a graded form of the same question, is ours.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metrics.functional.similarity import cosine_similarity


@dataclass(frozen=True)
class PromptAccuracy:
    """Accuracy of every clip.

    Attributes
    ----------
    correct
        Whether the prompt won, shape (n,), bool.
    margin
        ``cos(sound, prompt) - cos(sound, own caption)``, shape (n,), in [-2, 2].
    ties
        Clips whose margin is exactly 0 (counted as not correct).
    """

    correct: np.ndarray
    margin: np.ndarray
    ties: int


def prompt_accuracy(sound: ArrayLike, prompt: ArrayLike, own_caption: ArrayLike) -> PromptAccuracy:
    """Whether each sound is closer to its prompt than to the caption of its clip.

    Parameters
    ----------
    sound : array_like, shape (n, d)
        Embeddings of the generated sounds.
    prompt, own_caption : array_like, shape (n, d)
        Embeddings of the two captions.

    Returns
    -------
    PromptAccuracy

    Examples
    --------
    The first sound is closer to its prompt, the second to the caption of its clip.

    >>> import numpy as np
    >>> found = prompt_accuracy(np.eye(2), prompt=[[1, 0], [1, 0]], own_caption=[[0, 1], [0, 1]])
    >>> found.correct.tolist(), found.margin.tolist()
    ([True, False], [1.0, -1.0])
    """
    margin = cosine_similarity(sound, prompt) - cosine_similarity(sound, own_caption)
    return PromptAccuracy(margin > 0, margin, int((margin == 0).sum()))
