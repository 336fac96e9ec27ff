"""The metrics that a table can print: direction, unit, decimals, and one line of what each means."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from cafa.common.errors import InputError

#: judge -> metrics that are made of it
METRICS_OF: dict[str, tuple[str, ...]] = {
    "classifier": ("FAD", "KAD", "KL", "IS", "Speech", "Music"),
    "clap": ("CLAP", "Acc", "Acc_margin", "FAD_CLAP", "KAD_CLAP"),
    "imagebind": ("IB",),
    "synchformer": ("DeSync",),
}


def judges_for(metrics: Collection[str]) -> frozenset[str]:
    """Judges that metrics need; the classifier, on which the reference set rests, is always one."""
    return frozenset({"classifier", *(judge for judge, own in METRICS_OF.items() if set(own) & set(metrics))})


@dataclass(frozen=True)
class Metric:
    """How a metric is read.

    Attributes
    ----------
    name
        As in tables and in the scores.
    better
        Which direction is better.
    of_sets
        True if it is defined for a set of clips only, False if every clip has a value and the table prints the mean.
    judge
        Of a metric of sets: the judge whose embeddings (or logits) it is made from.
    decimals
        In tables for people.
    unit
        For axes; empty if it has none.
    meaning
        One line for people.
    """

    name: str
    better: Literal["higher", "lower"]
    of_sets: bool
    decimals: int
    unit: str
    meaning: str
    judge: str = "classifier"

    @property
    def arrow(self) -> str:
        """Arrow in the direction that is better."""
        return "↑" if self.better == "higher" else "↓"


_ALL = (
    Metric("FAD", "lower", True, 2, "", "Frechet distance between the classifier's embeddings of all generated "
           "sounds and of all real sounds of the data set: how natural the sounds are as a set"),
    Metric("KAD", "lower", True, 2, "", "kernel distance between the same two sets (100 x squared maximum mean "
           "discrepancy): as FAD, but without bias on small sets"),
    Metric("FAD_CLAP", "lower", True, 4, "", "as FAD, on the sound embeddings of the text-audio judge (unit "
           "vectors: values are small): a second opinion on how natural the sounds are", "clap"),
    Metric("KAD_CLAP", "lower", True, 2, "", "as KAD, on the sound embeddings of the text-audio judge", "clap"),
    Metric("KL", "lower", False, 3, "nats", "divergence of the classifier's answer for the generated sound from "
           "its answer for the clip's real sound: is it the same kind of sound"),
    Metric("IS", "higher", True, 2, "", "inception score: is each sound one clear category, and are all "
           "categories there"),
    Metric("IB", "higher", False, 3, "", "similarity of the picture and the generated sound: do they show and "
           "sound the same thing"),
    Metric("CLAP", "higher", False, 3, "", "similarity of the prompt and the generated sound: does the sound "
           "follow the text"),
    Metric("Acc", "higher", False, 3, "", "share of sounds closer to the prompt than to the clip's own caption "
           "(a tie is not correct; chance 0.5)"),
    Metric("Acc_margin", "higher", False, 3, "", "by how much the sound is closer to the prompt than to the "
           "clip's own caption (difference of two cosines)"),
    Metric("DeSync", "lower", False, 3, "s", "seconds that picture and sound are apart, as a synchronisation "
           "judge hears it"),
    Metric("Speech", "lower", False, 3, "", "probability that speech is heard. Speech that nobody asked for is a leak "
           "of the training data: compare with the clips' own sound"),
    Metric("Music", "lower", False, 3, "", "probability that music is heard; as Speech"),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}


def metric_named(name: str) -> Metric:
    """Return the metric of a name, or say which names there are."""
    if name not in METRICS:
        raise InputError(f"metric must be one of {', '.join(METRICS)}, got {name!r}")
    return METRICS[name]
