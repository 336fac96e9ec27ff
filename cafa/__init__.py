"""Controllable video-and-text-to-audio (foley) generation: media, features, models, training, generation.

The names that most users need are here, and are imported when they are first used (``__init__.pyi`` lists them)::

    from cafa import FoleyPipeline
"""

from lazy_loader import attach_stub

__version__ = "0.2.0"
__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
