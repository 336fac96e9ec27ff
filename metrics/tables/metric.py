"""What a metric is: how it is computed and read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cafa.common.errors import InputError
from metrics.tables.sample_metrics import SampleInputs, SampleValues
from metrics.tables.set_metrics import SetMetric


@dataclass(frozen=True)
class Metric:
    """A metric: how it is computed and read. It is either of samples or of sets.

    Attributes
    ----------
    name
        As in tables and in the scores.
    better
        Which direction is better; None where neither is: such a column has no best value and names no winner.
    judge
        The judge whose embeddings (or logits) it is made from.
    decimals
        In tables for people.
    meaning
        One line for people.
    unit
        For axes; empty if it has none.
    of_sample
        Its value of every sound, of which a table prints the mean; None from it where these inputs give no value.
    of_set
        How it is computed of all sounds of a system; None if it is of samples.
    companion
        A score stored beside it that the protocol card needs.
    other_captions_only
        Whether it is defined only where the prompt is another than the clip's own caption.
    of_class
        Class that the classifier must have; None if any classifier will do.
    compares_with_own_sound
        Whether a metric of samples needs the judge's embeddings of the clips' own sounds; those of sets always do.
    least_rows
        Fewest prompts that it can be computed from.
    by_default
        Whether an evaluation that asks for no metric has it; others, and their judges, only where they are asked for.
    """

    name: str
    better: Literal["higher", "lower"] | None
    judge: str
    decimals: int
    meaning: str
    unit: str = ""
    of_sample: Callable[[SampleInputs], SampleValues | None] | None = None
    of_set: SetMetric | None = None
    companion: str | None = None
    other_captions_only: bool = False
    of_class: str | None = None
    compares_with_own_sound: bool = False
    least_rows: int = 0
    by_default: bool = True

    def __post_init__(self) -> None:
        if (self.of_sample is None) == (self.of_set is None):
            raise InputError(f"metric {self.name} is either of samples or of sets: give of_sample or of_set")

    @property
    def of_sets(self) -> bool:
        """Whether it is defined for a set of sounds only."""
        return self.of_set is not None

    @property
    def needs_reference(self) -> bool:
        """Whether its judge must embed the clips' own sounds."""
        return self.of_sets or self.compares_with_own_sound

    @property
    def arrow(self) -> str:
        """Arrow in the direction that is better; a dash where neither is."""
        return {"higher": "↑", "lower": "↓", None: "–"}[self.better]
