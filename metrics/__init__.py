"""Judging generated sound: encoders of the evaluation models, and metrics as functions of arrays.

The functions of :mod:`metrics.functional` are here, and are imported when they are first used::

    import metrics
    metrics.frechet_distance(generated, reference).value
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
