"""Divergence between a classifier's answers for a generated clip and for the clip's own sound (KL).

Lower is better; 0 where the classifier's answers are equal. Units: nats.

Conventions
-----------
Paired: row i of both arrays is the same clip. Logits, not probabilities.

Metrics
-------
:func:`kl_divergence`

Aliases
-------
"KL" in the CAFA tables and "KL-PANNS-softmax" in av-benchmark, there on the 527 logits of PANNs Cnn14.
audioldm_eval adds 1e-6 to the generated probabilities, which lowers the value; nothing is added here.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax

from metrics.functional.validation import as_rows, blocks_of, same_shape


def kl_divergence(reference_logits: ArrayLike, generated_logits: ArrayLike) -> np.ndarray:
    """KL(reference || generated) of the softmax of a classifier's logits, one value per clip.

    ``sum_c p_c (log p_c - log q_c)``, p of the reference sound, q of the generated one, natural logarithm.

    Parameters
    ----------
    reference_logits : array_like, shape (n, classes)
    generated_logits : array_like, shape (n, classes)

    Returns
    -------
    numpy.ndarray, shape (n,), >= 0

    Raises
    ------
    InputError
        If the shapes differ or a logit is not finite.

    Examples
    --------
    >>> kl_divergence([[0.0, 1.0], [2.0, 0.0]], [[0.0, 1.0], [0.0, 2.0]]).round(3).tolist()
    [0.0, 1.523]
    """
    reference = as_rows(reference_logits, "reference logits", dtype=None)
    generated = as_rows(generated_logits, "generated logits", dtype=None)
    same_shape(reference, generated, "reference and generated logits")
    values = np.empty(len(reference))
    for rows in blocks_of(len(reference)):
        log_p, log_q = (log_softmax(logits[rows].astype(np.float64), axis=1) for logits in (reference, generated))
        values[rows] = (np.exp(log_p) * (log_p - log_q)).sum(axis=1)
    return values.clip(min=0.0)
