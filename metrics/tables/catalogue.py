"""The metrics that a table can print: one row each, with all that the packages know of it.

A metric of your own: ``METRICS.register(name, Metric(...))`` (docs/extending/metric.md).
"""

from collections.abc import Collection

from cafa.common.registry import Registry
from metrics.tables.further_metrics import FURTHER_METRICS
from metrics.tables.metric import Metric
from metrics.tables.sample_metrics import ClassProbability, acc, acc_margin, clap, desync_seconds, ib, kl
from metrics.tables.set_metrics import FRECHET, INCEPTION, KERNEL

__all__ = ["METRICS", "Metric", "judges_for"]

METRICS: Registry[Metric] = Registry(
    "metric",
    {
        "FAD": Metric(
            "FAD",
            "lower",
            judge="classifier",
            decimals=2,
            unit="",
            meaning="Frechet distance between the classifier's embeddings of all generated sounds and of all "
            "real sounds of the data set: how natural the sounds are as a set",
            of_set=FRECHET,
        ),
        "KAD": Metric(
            "KAD",
            "lower",
            judge="classifier",
            decimals=2,
            unit="",
            meaning="kernel distance between the same two sets (100 x squared maximum mean discrepancy): as "
            "FAD, but without bias on small sets",
            of_set=KERNEL,
        ),
        "FAD_CLAP": Metric(
            "FAD_CLAP",
            "lower",
            judge="clap",
            decimals=4,
            unit="",
            meaning="as FAD, on the sound embeddings of the text-audio judge (unit vectors: values are small): "
            "a second opinion on how natural the sounds are",
            of_set=FRECHET,
        ),
        "KAD_CLAP": Metric(
            "KAD_CLAP",
            "lower",
            judge="clap",
            decimals=2,
            unit="",
            meaning="as KAD, on the sound embeddings of the text-audio judge",
            of_set=KERNEL,
        ),
        "KL": Metric(
            "KL",
            "lower",
            judge="classifier",
            decimals=3,
            unit="nats",
            meaning="divergence of the classifier's answer for the generated sound from its answer for the "
            "clip's real sound: is it the same kind of sound",
            of_sample=kl,
            compares_with_own_sound=True,
        ),
        "IS": Metric(
            "IS",
            "higher",
            judge="classifier",
            decimals=2,
            unit="",
            meaning="inception score: is each sound one clear category, and are all categories there",
            of_set=INCEPTION,
        ),
        "IB": Metric(
            "IB",
            "higher",
            judge="imagebind",
            decimals=3,
            unit="",
            meaning="similarity of the picture and the generated sound: do they show and sound the same thing",
            of_sample=ib,
        ),
        "CLAP": Metric(
            "CLAP",
            "higher",
            judge="clap",
            decimals=3,
            unit="",
            meaning="similarity of the prompt and the generated sound: does the sound follow the text",
            of_sample=clap,
        ),
        "Acc": Metric(
            "Acc",
            "higher",
            judge="clap",
            decimals=3,
            unit="",
            meaning="share of sounds closer to the prompt than to the clip's own caption (a tie is not correct; "
            "chance 0.5)",
            of_sample=acc,
            companion="Acc_margin",
            other_captions_only=True,
        ),
        "Acc_margin": Metric(
            "Acc_margin",
            "higher",
            judge="clap",
            decimals=3,
            unit="",
            meaning="by how much the sound is closer to the prompt than to the clip's own caption (difference "
            "of two cosines)",
            of_sample=acc_margin,
            other_captions_only=True,
        ),
        "DeSync": Metric(
            "DeSync",
            "lower",
            judge="synchformer",
            decimals=3,
            unit="s",
            meaning="seconds that picture and sound are apart, as a synchronisation judge hears it",
            of_sample=desync_seconds,
            companion="DeSync_windows",
        ),
        "Speech": Metric(
            "Speech",
            "lower",
            judge="classifier",
            decimals=3,
            unit="",
            meaning="probability that speech is heard. Speech that nobody asked for is a leak of the training "
            "data: compare with the clips' own sound",
            of_sample=ClassProbability("Speech"),
            of_class="Speech",
        ),
        "Music": Metric(
            "Music",
            "lower",
            judge="classifier",
            decimals=3,
            unit="",
            meaning="probability that music is heard; as Speech",
            of_sample=ClassProbability("Music"),
            of_class="Music",
        ),
        **FURTHER_METRICS,
    },
)


def judges_for(metrics: Collection[str]) -> frozenset[str]:
    """Judges that metrics need; the classifier, on which the reference set rests, is always one."""
    return frozenset({"classifier", *(METRICS[name].judge for name in metrics)})
