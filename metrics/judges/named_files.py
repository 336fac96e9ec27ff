"""Files of pretrained judges, from their names and settings as a configuration has them."""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metrics.judges.files import JudgeFile


def files_of_named_judges(judges: Collection[str], settings: Mapping[str, Any]) -> "Iterator[JudgeFile]":
    """Every file of some judges; see :func:`metrics.judges.files.files_of_judges`.

    Parameters
    ----------
    judges : collection of str
    settings : mapping
        Fields of :class:`metrics.judges.registry.PretrainedSettings`.

    Yields
    ------
    JudgeFile
    """
    # Imported when it is called: the judges' networks, for somebody who asks of them.
    from metrics.judges.files import files_of_judges
    from metrics.judges.registry import PretrainedSettings

    yield from files_of_judges(judges, PretrainedSettings.model_validate(settings))
