"""Files of pretrained judges, looked at before a run: nothing is read of them."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from cafa.models.weights import WeightSource, read_weight_sources
from metrics.judges.kinds import JUDGES
from metrics.judges.published_files import weights_path
from metrics.judges.registry import PretrainedSettings


class JudgeFile(NamedTuple):
    """A file that a judge is registered from, its row of the table of weights, and why registration would refuse it."""

    judge: str
    path: Path
    source: WeightSource
    fault: str | None


def files_of_judges(judges: Collection[str], settings: PretrainedSettings) -> Iterator[JudgeFile]:
    """Every file of some judges, those of tokenizers included.

    Parameters
    ----------
    judges : collection of str
    settings : PretrainedSettings

    Yields
    ------
    JudgeFile
    """
    sources = read_weight_sources(settings.table)
    for judge in judges:
        for place, name in enumerate(JUDGES[judge].weights):
            source, fault = sources[name], None
            path = weights_path(settings.weights, source)
            if not path.is_file():
                fault = f"there is no {path}: download {source.url} (licence: {source.licence}) and put it there"
            elif place == 0 and source.sha256 is None and not settings.unverified:
                fault = f"the table of weights has no SHA-256 of {path}: write that of a file you trust there"
            yield JudgeFile(judge, path, source, fault)
