"""Judges without weights, which measure the sound itself: opened without a file, known by the version of what they do.

They stand beside pretrained judges and beside those that were trained here: a panel of either kind can have them.
"""

from collections.abc import Collection, Mapping
from typing import Any

from cafa.common.errors import WeightsError
from metrics.judges.kinds import JUDGES
from metrics.judges.published_judge import JudgeFiles, PublishedJudge


def measurements(judges: Collection[str]) -> list[str]:
    """Those of some judges that have no weights, in the order of the registry."""
    return [name for name, kind in JUDGES.items() if name in judges and not kind.weights]


def open_measurement(judge: str) -> PublishedJudge:
    """A judge without weights."""
    return JUDGES[judge].open(JudgeFiles({}, {}), ("audio",))


def check_version(judge: str, card: Mapping[str, Any], opened: PublishedJudge) -> None:
    """Refuse a judge that does not measure what it did when its card was written.

    Raises
    ------
    WeightsError
        If its version is another.
    """
    if card["weights_sha256"] != opened.weights_sha256:
        raise WeightsError(
            f"the judge {judge} is registered as {card['weights_sha256']!r}, and is {opened.weights_sha256!r} now: "
            f"register it again (`cafa judges register {judge}`)"
        )
