# What `import metrics` gives, each imported on first use. The one list: type checkers read it, and so does __init__.py.

from .functional.accuracy import PromptAccuracy as PromptAccuracy
from .functional.accuracy import prompt_accuracy as prompt_accuracy
from .functional.bootstrap import ClipBootstrap as ClipBootstrap
from .functional.bootstrap import Estimate as Estimate
from .functional.desync import DeSync as DeSync
from .functional.desync import desync as desync
from .functional.divergence import kl_divergence as kl_divergence
from .functional.frechet import FrechetDistance as FrechetDistance
from .functional.frechet import frechet_distance as frechet_distance
from .functional.inception import InceptionScore as InceptionScore
from .functional.inception import inception_score as inception_score
from .functional.kernel import kernel_distance as kernel_distance
from .functional.similarity import cosine_similarity as cosine_similarity
