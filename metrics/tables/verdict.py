"""Which value is best and which of two systems is better, by the numbers that a reader sees."""

from collections.abc import Mapping

from metrics.tables.catalogue import METRICS

#: In the place of a winner.
UNDECIDED, NO_DIRECTION = "undecided", "no direction"


def printed(value: float, decimals: int) -> str:
    """A value as tables print it; never a negative zero.

    Examples
    --------
    >>> printed(-0.001, 2), printed(-0.006, 2)
    ('0.00', '-0.01')
    """
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def better_of(metric: str, first: str, second: str, difference: float, interval: tuple[float, float]) -> str:
    """The better of two systems, by the printed difference, `first` minus `second`, and the printed interval.

    An interval that is printed as ``[0.00, 0.01]`` holds 0 for its reader, whatever the digits behind: nobody is better
    then. The same holds for the rest that is left of two equal values computed in another order.

    Parameters
    ----------
    metric : str
    first, second : str
        Names of the systems.
    difference : float
    interval : tuple of float
        low, high.

    Returns
    -------
    str
        `first`, `second`, ``undecided``, or ``no direction`` where neither direction of the metric is better.

    Examples
    --------
    >>> better_of("IS", "a", "b", 0.2, (0.1, 0.3)), better_of("IS", "a", "b", 1e-9, (1e-10, 2e-9))
    ('a', 'undecided')
    """
    facts = METRICS[metric]
    if facts.better is None:
        return NO_DIRECTION
    value, low, high = (float(printed(number, facts.decimals)) for number in (difference, *interval))
    if value == 0 or low <= 0 <= high:
        return UNDECIDED
    return first if (low > 0) == (facts.better == "higher") else second


def best_among(values: Mapping[str, float], metric: str) -> set[str]:
    """Keys of the best printed value; none if all have it, there is only one, or neither direction is better."""
    facts = METRICS[metric]
    shown = {key: float(printed(value, facts.decimals)) for key, value in values.items()}
    if facts.better is None or len(set(shown.values())) < 2:
        return set()
    best = (max if facts.better == "higher" else min)(shown.values())
    return {key for key, value in shown.items() if value == best}
