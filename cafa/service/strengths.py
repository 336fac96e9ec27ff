"""Other strengths of video and text for models that are loaded already."""

import copy
from dataclasses import asdict, replace
from typing import Any

from cafa.generation.foley import FoleyPipeline


def with_strengths(pipeline: FoleyPipeline, gamma: float, guidance_scale: float | None) -> FoleyPipeline:
    """The same pipeline, sharing its models, at other strengths.

    Parameters
    ----------
    pipeline : FoleyPipeline
    gamma : float
        Strength of the video: the lower, the stronger; 1 = plain guidance.
    guidance_scale : float, optional
        Strength of the text; None: that of `pipeline`.
    """
    generator: Any = copy.copy(pipeline.generator)
    changed: dict[str, float] = {"asymmetric_scale": gamma}
    if guidance_scale is not None:
        changed["guidance_scale"] = guidance_scale
    generator.how = replace(generator.how, **changed)
    generator.identity = generator.identity | {"how": asdict(generator.how)}
    other = copy.copy(pipeline)
    other.generator = generator
    return other
