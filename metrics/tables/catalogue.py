"""The metrics that a table can print: one row each, with all that the packages know of it.

A metric of your own: ``METRICS.register(name, Metric(...))`` (docs/extending/metric.md).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from cafa.common.errors import InputError
from cafa.common.registry import Registry
from metrics.functional.frechet_infinity import MINIMUM
from metrics.judges.level_names import LEVELS
from metrics.tables.sample_metrics import (
    ClassProbability,
    Divergence,
    Level,
    PromptSimilarity,
    Rating,
    SampleInputs,
    SampleValues,
    acc,
    acc_margin,
    clap,
    desync_seconds,
    ib,
    kl,
)
from metrics.tables.set_metrics import (
    FRECHET,
    FRECHET_INFINITY,
    INCEPTION,
    KERNEL,
    SetMetric,
    frechet_infinity_of_pieces,
    frechet_of_pieces,
    kernel_of_pieces,
)

#: Fewest prompts with which extrapolated metrics are offered: some of them may be lost, and the line needs its own.
LEAST_FOR_INFINITY = MINIMUM + 5


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
        "FD_PaSST": Metric(
            "FD_PaSST",
            "lower",
            judge="passt",
            decimals=2,
            meaning="as FAD, on the embeddings of PaSST (FD-PASST of av-benchmark)",
            of_set=FRECHET,
            by_default=False,
        ),
        "KAD_PaSST": Metric(
            "KAD_PaSST",
            "lower",
            judge="passt",
            decimals=2,
            meaning="as KAD, on the embeddings of PaSST",
            of_set=KERNEL,
            by_default=False,
        ),
        "KL_PaSST": Metric(
            "KL_PaSST",
            "lower",
            judge="passt",
            decimals=3,
            unit="nats",
            meaning="as KL, on the answers of PaSST (KL-PASST-softmax of av-benchmark)",
            of_sample=Divergence("passt"),
            compares_with_own_sound=True,
            by_default=False,
        ),
        "IS_PaSST": Metric(
            "IS_PaSST",
            "higher",
            judge="passt",
            decimals=2,
            meaning="as IS, on the answers of PaSST (ISC-PASST of av-benchmark)",
            of_set=INCEPTION,
            by_default=False,
        ),
        "FD_VGG": Metric(
            "FD_VGG",
            "lower",
            judge="vggish",
            decimals=2,
            meaning="Frechet distance between VGGish's embeddings of all pieces of 0.96 s of all sounds (FD-VGG of "
            "av-benchmark, the FAD of Kilgour et al.; no last ReLU, no PCA)",
            of_set=frechet_of_pieces(128),
            by_default=False,
        ),
        "MS_CLAP": Metric(
            "MS_CLAP",
            "higher",
            judge="ms_clap",
            decimals=3,
            meaning="as CLAP, of Microsoft's CLAP of 2023: systems may have been trained on LAION's",
            of_sample=PromptSimilarity("ms_clap"),
            by_default=False,
        ),
        "CE": Metric(
            "CE",
            "higher",
            judge="audiobox",
            decimals=2,
            meaning="content enjoyment as people rate it, 1 to 10, predicted by "
            "Audiobox-Aesthetics; no reference is needed",
            of_sample=Rating("audiobox", 0),
            by_default=False,
        ),
        "CU": Metric(
            "CU",
            "higher",
            judge="audiobox",
            decimals=2,
            meaning="content usefulness as people rate it, 1 to 10, predicted by "
            "Audiobox-Aesthetics; no reference is needed",
            of_sample=Rating("audiobox", 1),
            by_default=False,
        ),
        "PC": Metric(
            "PC",
            "higher",
            judge="audiobox",
            decimals=2,
            meaning="production complexity as people rate it, 1 to 10, predicted by "
            "Audiobox-Aesthetics: more is not better by itself",
            of_sample=Rating("audiobox", 2),
            by_default=False,
        ),
        "PQ": Metric(
            "PQ",
            "higher",
            judge="audiobox",
            decimals=2,
            meaning="production quality as people rate it, 1 to 10, predicted by "
            "Audiobox-Aesthetics; no reference is needed",
            of_sample=Rating("audiobox", 3),
            by_default=False,
        ),
        "KAD_VGG": Metric(
            "KAD_VGG",
            "lower",
            judge="vggish",
            decimals=2,
            meaning="as KAD, on VGGish's embeddings of all pieces of 0.96 s of all sounds",
            of_set=kernel_of_pieces(128),
            by_default=False,
        ),
        "FAD_inf": Metric(
            "FAD_inf",
            "lower",
            judge="classifier",
            decimals=2,
            meaning="FAD of infinitely many sounds, from a straight line over 1 / n (FAD-inf of fadtk): systems with "
            "different n are comparable; may be slightly negative",
            of_set=FRECHET_INFINITY,
            least_rows=LEAST_FOR_INFINITY,
            by_default=False,
        ),
        "FAD_CLAP_inf": Metric(
            "FAD_CLAP_inf",
            "lower",
            judge="clap",
            decimals=4,
            meaning="as FAD_inf, on the sound embeddings of the text-audio judge",
            of_set=FRECHET_INFINITY,
            least_rows=LEAST_FOR_INFINITY,
            by_default=False,
        ),
        "FD_PaSST_inf": Metric(
            "FD_PaSST_inf",
            "lower",
            judge="passt",
            decimals=2,
            meaning="as FAD_inf, on the embeddings of PaSST",
            of_set=FRECHET_INFINITY,
            least_rows=LEAST_FOR_INFINITY,
            by_default=False,
        ),
        "FD_VGG_inf": Metric(
            "FD_VGG_inf",
            "lower",
            judge="vggish",
            decimals=2,
            meaning="as FAD_inf, on VGGish's embeddings of all pieces; whole sounds are drawn, 1 / n is of sounds",
            of_set=frechet_infinity_of_pieces(128),
            least_rows=LEAST_FOR_INFINITY,
            by_default=False,
        ),
        "LUFS": Metric(
            "LUFS",
            None,
            judge=LEVELS,
            decimals=1,
            unit="LUFS",
            meaning="integrated loudness (ITU-R BS.1770, EBU R 128), mean over sounds; silence counts as -70. "
            "Neither direction is better: EBU R 128 asks programmes for -23",
            of_sample=Level(0),
            by_default=False,
        ),
        "True_peak": Metric(
            "True_peak",
            None,
            judge=LEVELS,
            decimals=1,
            unit="dBTP",
            meaning="largest magnitude between samples too (ITU-R BS.1770, four times oversampling), mean over sounds; "
            "silence counts as -100. Neither direction is better: EBU R 128 allows -1 at most",
            of_sample=Level(1),
            by_default=False,
        ),
        "Silence": Metric(
            "Silence",
            None,
            judge=LEVELS,
            decimals=3,
            meaning="share of 50 ms in which no channel reaches -60 dB RMS of full scale, 0 to 1. Neither direction is "
            "better: compare with the clips' own sound",
            of_sample=Level(2),
            by_default=False,
        ),
        "Clipping": Metric(
            "Clipping",
            "lower",
            judge=LEVELS,
            decimals=4,
            meaning="share of values that are clipped: at full scale, three or more with one sign one after the other, "
            "0 to 1",
            of_sample=Level(3),
            by_default=False,
        ),
    },
)


def metric_named(name: str) -> Metric:
    """Return the metric of a name, or say which names there are."""
    if name not in METRICS:
        raise InputError(f"metric must be one of {', '.join(METRICS)}, got {name!r}")
    return METRICS[name]


def judges_for(metrics: Collection[str]) -> frozenset[str]:
    """Judges that metrics need; the classifier, on which the reference set rests, is always one."""
    return frozenset({"classifier", *(METRICS[name].judge for name in metrics)})
