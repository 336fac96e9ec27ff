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

from metrics.functional.validation import as_rows, same_shape


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
    reference = as_rows(reference_logits, "reference logits")
    generated = as_rows(generated_logits, "generated logits")
    same_shape(reference, generated, "reference and generated logits")
    log_p, log_q = log_softmax(reference, axis=1), log_softmax(generated, axis=1)
    return (np.exp(log_p) * (log_p - log_q)).sum(axis=1).clip(min=0.0)
