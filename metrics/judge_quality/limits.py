"""What a canary demands of a judge, and how often that would be wrong.

A measure of few clips or pairs varies by chance. So a demand is only as strict as its sample allows: a judge whose
true value is `good` or better is refused with a probability of at most :data:`REFUSED`. The card also states the
other error: how often a judge that guesses would pass.

Shares of independent trials follow the binomial distribution. Means over the clips of a data set are bounded by
Hoeffding's inequality ("Probability inequalities for sums of bounded random variables", 1963): for a statistic that
compares `clips_each` clips at a time, n clips count as ``n // clips_each`` independent ones (section 5b there).
"""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

from scipy.stats import binom

#: largest probability of refusing a judge that is as good as stated
REFUSED = 0.001


@dataclass(frozen=True)
class Errors:
    """How often a demand is wrong, at most.

    Attributes
    ----------
    n : int
        Independent trials, or clips, behind the measure.
    good : float
        True value of a judge that should pass.
    refuses_good : float
        Probability that such a judge fails.
    passes_guessing : float
        Probability that a judge that guesses passes.
    """

    n: int
    good: float
    refuses_good: float
    passes_guessing: float


class Demand(Protocol):
    """What is demanded of a measure."""

    def threshold(self, n: int) -> float:
        """The value to reach with n clips; one that everything reaches where n is too small to demand more."""
        ...

    def errors(self, threshold: float, n: int) -> Errors:
        """How often `threshold` is wrong with n clips."""
        ...


@dataclass(frozen=True)
class Trials:
    """A share of right answers in independent trials, higher is better.

    Attributes
    ----------
    good, guessing : float
        Probability of a right answer, of a judge that should pass and of one that guesses.
    """

    good: float
    guessing: float

    def threshold(self, n: int) -> float:
        """See :class:`Demand`."""
        return float(binom.ppf(REFUSED, n, self.good)) / n

    def errors(self, threshold: float, n: int) -> Errors:
        """See :class:`Demand`."""
        needed = math.ceil(threshold * n - 1e-9)
        refuses, passes = binom.cdf(needed - 1, n, self.good), binom.sf(needed - 1, n, self.guessing)
        return Errors(n, self.good, float(refuses), float(passes))


@dataclass(frozen=True)
class Mean:
    """A mean over clips.

    Attributes
    ----------
    wanted : float
        The strictest demand, of a sample that is large enough.
    good, guessing : float
        Expected value of a judge that should pass, and of one that guesses.
    clips_each : int
        Clips that are compared at a time.
    span : float
        Largest value of a clip; the smallest is 0.
    """

    wanted: float
    good: float
    guessing: float
    clips_each: int
    span: float = 1.0

    @property
    def direction(self) -> Literal[1, -1]:
        """1 where higher is better."""
        return 1 if self.good > self.guessing else -1

    def threshold(self, n: int) -> float:
        """See :class:`Demand`."""
        slack = self.span * math.sqrt(math.log(1 / REFUSED) / (2 * max(n // self.clips_each, 1)))
        demanded = self.direction * min(self.direction * self.wanted, self.direction * self.good - slack)
        return min(max(demanded, 0.0), self.span)

    def errors(self, threshold: float, n: int) -> Errors:
        """See :class:`Demand`."""
        independent = max(n // self.clips_each, 1)

        def at_most(distance: float) -> float:
            return math.exp(-2 * independent * (distance / self.span) ** 2) if distance > 0 else 1.0

        refuses = at_most(self.direction * (self.good - threshold))
        return Errors(n, self.good, refuses, at_most(self.direction * (threshold - self.guessing)))
