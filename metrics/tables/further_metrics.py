"""Metrics that are computed where they are asked for: of further judges, extrapolated ones, levels of the sound."""

from metrics.functional.frechet_infinity import MINIMUM
from metrics.judges.level_names import LEVELS
from metrics.tables.metric import Metric
from metrics.tables.sample_metrics import Divergence, Level, PromptSimilarity, Rating
from metrics.tables.set_metrics import (
    FRECHET,
    FRECHET_INFINITY,
    INCEPTION,
    KERNEL,
    frechet_infinity_of_pieces,
    frechet_of_pieces,
    kernel_of_pieces,
)

#: Fewest prompts with which extrapolated metrics are offered: some of them may be lost, and the line needs its own.
LEAST_FOR_INFINITY = MINIMUM + 5

FURTHER_METRICS: dict[str, Metric] = {
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
        None,
        judge="audiobox",
        decimals=2,
        meaning="production complexity as people rate it, 1 to 10, predicted by "
        "Audiobox-Aesthetics. Neither direction is better",
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
}
