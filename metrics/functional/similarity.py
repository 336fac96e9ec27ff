"""Cosine similarity of paired embeddings (CLAP score, ImageBind score).

Higher is better; from -1 to 1.

Conventions
-----------
Paired: row i of both arrays belongs together. Norms do not matter.

Metrics
-------
:func:`cosine_similarity`

Aliases
-------
* CLAP: cosine(text of the prompt, generated sound), LAION-CLAP (Wu et al. 2023, arXiv:2211.06687).
* IB: cosine(the clip's video, generated sound), ImageBind (Girdhar et al. 2023, arXiv:2305.05665); some papers
  print it times 100.
"""

import numpy as np
from numpy.typing import ArrayLike

from cafa.common.errors import InputError
from metrics.functional.validation import as_rows, same_shape


def cosine_similarity(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Cosine of the angle between row i of `first` and row i of `second`.

    Parameters
    ----------
    first, second : array_like, shape (n, d)

    Returns
    -------
    numpy.ndarray, shape (n,), in [-1, 1]

    Raises
    ------
    InputError
        If the shapes differ, or a row is all zeros and so has no direction.

    Examples
    --------
    >>> cosine_similarity([[1.0, 0.0], [1.0, 1.0]], [[2.0, 0.0], [1.0, -1.0]]).tolist()
    [1.0, 0.0]
    """
    a, b = as_rows(first, "first embeddings"), as_rows(second, "second embeddings")
    same_shape(a, b, "first and second embeddings")
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    if not norms.all():
        raise InputError(f"embedding of row {np.argmin(norms)} is all zeros: it has no direction to compare")
    return ((a * b).sum(axis=1) / norms).clip(-1.0, 1.0)
