"""The one list of judges: what the packages know of each. No network is imported here.

A judge of your own: ``JUDGES.register(name, JudgeKind(...))`` (docs/extending/judge.md).
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cafa.common.errors import InputError
from cafa.common.registry import Registry
from metrics.judges.level_names import LEVELS

if TYPE_CHECKING:
    from metrics.judges.published_judge import JudgeFiles, PublishedJudge

#: measure -> direction in which it is good, default threshold
Measures = Mapping[str, tuple[Literal[">=", "<="], float]]


#: of CLAP's embeddings of captions; the file of another judge that reads captions has its name before it
TEXT_FILE = "text.parquet"


#: what the training of a small form must be told
NEEDED = ("steps", "batch_size", "learning_rate")


@dataclass(frozen=True)
class MiniatureForm:
    """The small form of a judge, which the miniature trains on rendered clips.

    Attributes
    ----------
    network
        ``module:class``, a :class:`metrics.encoders.miniature.network.MiniatureNetwork`.
    batches
        ``module:function`` (clips, settings, silence) -> (function that makes a batch, loss).
    loop
        Defaults of its training: fields of :class:`cafa.training.loop_settings.LoopSettings`, at least those that have
        none there, `NEEDED`.
    measures
        What `cafa judges check` demands of it; they are measured by the judge's function in
        :data:`metrics.judge_quality.miniature.MEASURED`.
    """

    network: str
    batches: str
    loop: Mapping[str, Any]
    measures: Measures = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a training without defaults, before a configuration leaves it to them."""
        if lacking := [name for name in NEEDED if name not in self.loop]:
            raise InputError(f"the small form {self.network} has no default of {', '.join(lacking)} in its `loop`")


@dataclass(frozen=True)
class JudgeKind:
    """A judge.

    Attributes
    ----------
    name
        As in files, tables' cards and metrics.
    weights
        Rows of the table of weights that its published form needs, that of the network first; none if it is a
        measurement of the sound itself, which every panel can make.
    columns
        Columns of the embeddings of a sound, each a list of float32.
    opener
        ``module:function`` (JudgeFiles, parts) -> PublishedJudge: loads the published form.
    parts
        What it can be loaded for: of ``audio``, ``video`` and ``text``.
    video_column
        Whether a clip's picture has an embedding of its own, column ``video`` of the reference embeddings.
    picture_with_sound
        Whether it judges a sound together with the picture: what it makes of a clip's picture is kept for the sounds of
        every system, in `video_file`.
    miniature
        Its small form; None if it has only the published one. It is then loaded where a metric asks for it.
    """

    name: str
    weights: tuple[str, ...]
    columns: tuple[str, ...]
    opener: str
    parts: frozenset[str] = field(default_factory=lambda: frozenset({"audio"}))
    video_column: bool = False
    picture_with_sound: bool = False
    miniature: MiniatureForm | None = None

    def open(self, files: "JudgeFiles", parts: Sequence[str]) -> "PublishedJudge":
        """Load the published form for `parts`, which are some of its own."""
        module, _, function = self.opener.partition(":")
        opened: PublishedJudge = getattr(importlib.import_module(module), function)(files, parts)
        return opened

    @property
    def text_file(self) -> str | None:
        """Name of the file of the embeddings of captions; None if it reads none."""
        if "text" not in self.parts:
            return None
        return TEXT_FILE if self.name == "clap" else f"{self.name}.text.parquet"

    @property
    def video_file(self) -> str | None:
        """Name of the file of what a published judge keeps of clips' pictures; None if it keeps nothing."""
        if not self.picture_with_sound:
            return None
        return "video.arrow" if self.name == "synchformer" else f"{self.name}.video.arrow"


#: the judge that every table needs: coverage and the number of reference sounds are counted on its embeddings
CLASSIFIER = "classifier"

_QUICK = {"steps": 200, "batch_size": 24, "learning_rate": 2e-3, "warmup_steps": 10}

JUDGES: Registry[JudgeKind] = Registry(
    "judge",
    {
        "classifier": JudgeKind(
            "classifier",
            weights=("panns_cnn14_16k",),
            columns=("embedding", "logits"),
            opener="metrics.judges.published_judges.classifier:open_classifier",
            miniature=MiniatureForm(
                "metrics.encoders.miniature.classifier:MicroClassifier",
                "metrics.judges.training.batches:classifier",
                _QUICK,
                {"accuracy": (">=", 0.95)},
            ),
        ),
        "clap": JudgeKind(
            "clap",
            weights=("laion_clap", "roberta_vocab", "roberta_merges"),
            columns=("embedding",),
            opener="metrics.judges.published_judges.clap:open_clap",
            parts=frozenset({"audio", "text"}),
            miniature=MiniatureForm(
                "metrics.encoders.miniature.clap:MicroClap",
                "metrics.judges.training.batches:clap",
                _QUICK,
                {"matched_over_other": (">=", 0.95)},
            ),
        ),
        "imagebind": JudgeKind(
            "imagebind",
            weights=("imagebind_huge",),
            columns=("embedding",),
            opener="metrics.judges.published_judges.imagebind:open_imagebind",
            parts=frozenset({"audio", "video"}),
            video_column=True,
            miniature=MiniatureForm(
                "metrics.encoders.miniature.imagebind:MicroImageBind",
                "metrics.judges.training.batches:imagebind",
                {**_QUICK, "steps": 180},
                {"own_over_other": (">=", 0.85), "category_retrieval": (">=", 0.6)},
            ),
        ),
        "synchformer": JudgeKind(
            "synchformer",
            weights=("synchformer",),
            columns=("logits_first", "logits_last"),
            opener="metrics.judges.published_judges.synchformer:open_synchformer",
            parts=frozenset({"audio", "video"}),
            picture_with_sound=True,
            miniature=MiniatureForm(
                "metrics.encoders.miniature.synchformer:MicroSynchformer",
                "metrics.judges.training.batches:synchformer",
                {**_QUICK, "steps": 450, "batch_size": 8, "weight_decay": 0.02, "ema_decay": 0.98},
                {
                    "matched_error_seconds": ("<=", 0.15),
                    "matched_within_one_class": (">=", 0.8),
                    "dubbed_error_seconds": ("<=", 0.2),
                    "dubbed_within_one_class": (">=", 0.75),
                    "desync_true_seconds": ("<=", 0.05),
                },
            ),
        ),
        "passt": JudgeKind(
            "passt",
            weights=("passt",),
            columns=("embedding", "logits"),
            opener="metrics.judges.published_judges.passt:open_passt",
        ),
        "vggish": JudgeKind(
            "vggish",
            weights=("vggish",),
            columns=("embedding",),
            opener="metrics.judges.published_judges.vggish:open_vggish",
        ),
        "ms_clap": JudgeKind(
            "ms_clap",
            weights=("ms_clap", "gpt2_vocab", "gpt2_merges"),
            columns=("embedding",),
            opener="metrics.judges.published_judges.ms_clap:open_ms_clap",
            parts=frozenset({"audio", "text"}),
        ),
        "audiobox": JudgeKind(
            "audiobox",
            weights=("audiobox", "audiobox_config"),
            columns=("ratings",),
            opener="metrics.judges.published_judges.audiobox:open_audiobox",
        ),
        LEVELS: JudgeKind(
            LEVELS,
            weights=(),
            columns=(LEVELS,),
            opener="metrics.judges.levels:open_levels",
        ),
    },
)


def miniature_judges() -> dict[str, MiniatureForm]:
    """Judges that have a small form, by name."""
    return {name: kind.miniature for name, kind in JUDGES.items() if kind.miniature is not None}
