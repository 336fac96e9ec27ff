"""Metrics of single sounds: from the judges' embeddings of a sound, its clip and its captions to one value a row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import expit

from cafa.common.errors import InputError
from metrics.embedding.reading import Embeddings, same_judge
from metrics.functional.accuracy import PromptAccuracy, prompt_accuracy
from metrics.functional.desync import desync
from metrics.functional.divergence import kl_divergence
from metrics.functional.similarity import cosine_similarity
from metrics.judges.level_names import LEVELS

#: What reference embeddings are of: the clips' own sounds, their pictures, or captions.
ReferencePart = Literal["audio", "video", "text"]


class ReferenceEmbeddings:
    """Embeddings of the clips themselves and of captions, by judge; read where a metric asks for them, once.

    Parameters
    ----------
    read : callable (judge, part) -> Embeddings
        Raises `InputError` where there are none.
    """

    def __init__(self, read: Callable[[str, ReferencePart], Embeddings]) -> None:
        self._read = cache(read)

    def audio(self, judge: str) -> Embeddings:
        """Of the clips' own sounds: the judge's columns of a sound."""
        return self._read(judge, "audio")

    def video(self, judge: str) -> Embeddings:
        """Of the clips' pictures: column ``video``."""
        return self._read(judge, "video")

    def text(self, judge: str) -> Embeddings:
        """Of captions: column ``embedding``."""
        return self._read(judge, "text")


@dataclass(frozen=True)
class SampleInputs:
    """What the metrics of a system's sounds are made from.

    Attributes
    ----------
    rows : pandas.DataFrame
        clip_id, caption_id, protocol, caption, own_caption: one row per sound.
    generated : mapping of str to Embeddings
        By judge, of the sounds.
    reference : ReferenceEmbeddings
        Of the clips and captions.
    """

    rows: pd.DataFrame
    generated: Mapping[str, Embeddings]
    reference: ReferenceEmbeddings

    def with_reference(self, judge: str, part: ReferencePart = "audio") -> tuple[Embeddings, Embeddings]:
        """A judge's embeddings of the generated sounds and of the reference; refused if two judges made them."""
        generated, reference = self.generated[judge], getattr(self.reference, part)(judge)
        same_judge(generated, reference)
        return generated, reference

    @cached_property
    def accuracy(self) -> tuple[np.ndarray, PromptAccuracy | None]:
        """Rows whose prompt is another than the clip's own caption, and how well they fit it; None if there are none.

        Computed once: Acc and its margin are two views of it.
        """
        judge, text = self.with_reference("clap", "text")
        other = np.flatnonzero(self.rows["caption"] != self.rows["own_caption"])
        if not len(other):
            return other, None
        asked = self.rows.iloc[other]
        own = text.take(asked.drop(columns="caption").rename(columns={"own_caption": "caption"}), "embedding")
        sound, prompt = judge.take(self.rows, "embedding"), text.take(self.rows, "embedding")
        return other, prompt_accuracy(sound[other], prompt[other], own)


@dataclass(frozen=True)
class SampleValues:
    """Values of a metric.

    Attributes
    ----------
    values : ndarray, (rows,)
    rows : ndarray of int, optional
        Places of the rows that have a value; None: all.
    companions : mapping of str to ndarray
        Further values of the same rows, stored beside, which tables do not print.
    """

    values: np.ndarray
    rows: np.ndarray | None = None
    companions: Mapping[str, np.ndarray] = field(default_factory=dict)


def kl(inputs: SampleInputs) -> SampleValues:
    """Divergence of the classifier's answer for the sound from that for the clip's own sound."""
    generated, own = inputs.with_reference("classifier")
    return SampleValues(kl_divergence(own.take(inputs.rows, "logits"), generated.take(inputs.rows, "logits")))


@dataclass(frozen=True)
class Divergence:
    """As `kl`, of another judge that has logits."""

    judge: str

    def __call__(self, inputs: SampleInputs) -> SampleValues:
        """Values of all rows."""
        generated, own = inputs.with_reference(self.judge)
        return SampleValues(kl_divergence(own.take(inputs.rows, "logits"), generated.take(inputs.rows, "logits")))


@dataclass(frozen=True)
class PromptSimilarity:
    """As `clap`, of another judge that embeds captions."""

    judge: str

    def __call__(self, inputs: SampleInputs) -> SampleValues:
        """Values of all rows."""
        sound, text = inputs.with_reference(self.judge, "text")
        return SampleValues(
            cosine_similarity(sound.take(inputs.rows, "embedding"), text.take(inputs.rows, "embedding"))
        )


@dataclass(frozen=True)
class Rating:
    """One of the ratings that a judge gives a sound: column ``ratings``, and the place in it."""

    judge: str
    place: int

    def __call__(self, inputs: SampleInputs) -> SampleValues:
        """Values of all rows."""
        ratings = inputs.generated[self.judge].take(inputs.rows, "ratings")
        return SampleValues(ratings[:, self.place].astype(np.float64))


@dataclass(frozen=True)
class Level:
    """One of the levels of a sound, by its place in :data:`metrics.judges.level_names.NAMES`."""

    place: int

    def __call__(self, inputs: SampleInputs) -> SampleValues:
        """Values of all rows."""
        levels = inputs.generated[LEVELS].take(inputs.rows, LEVELS)
        return SampleValues(levels[:, self.place].astype(np.float64))


def class_probabilities(logits: np.ndarray, classes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Probability of single classes, each shape (n,), from a classifier's logits (n, classes).

    A probability is the sigmoid of the class's logit, as PANNs was trained: classes do not exclude each other.
    """
    return {name: expit(logits[:, place].astype(np.float64)) for name, place in classes.items()}


@dataclass(frozen=True)
class ClassProbability:
    """Probability of one class of the classifier; no value where the classifier has no such class."""

    name: str

    def __call__(self, inputs: SampleInputs) -> SampleValues | None:
        """Values of all rows."""
        judge, _ = inputs.with_reference("classifier")
        classes = judge.reported_classes
        if self.name not in classes:
            return None
        logits = judge.take(inputs.rows, "logits")
        return SampleValues(class_probabilities(logits, {self.name: classes[self.name]})[self.name])


def ib(inputs: SampleInputs) -> SampleValues:
    """Cosine of the clip's picture and the sound."""
    judge, clips = inputs.with_reference("imagebind", "video")
    return SampleValues(cosine_similarity(clips.take(inputs.rows, "video"), judge.take(inputs.rows, "embedding")))


def desync_seconds(inputs: SampleInputs) -> SampleValues:
    """Seconds that picture and sound are apart; beside it, how many windows that was measured in."""
    judge = inputs.generated["synchformer"]
    if judge.grid is None:
        raise InputError(f"{judge.source}: the metadata hold no `grid` of offsets in seconds")
    first, last = judge.take(inputs.rows, "logits_first"), judge.take(inputs.rows, "logits_last")
    offsets = desync(first, last, judge.grid)
    return SampleValues(offsets.seconds, companions={"DeSync_windows": offsets.windows.astype(np.float64)})


def clap(inputs: SampleInputs) -> SampleValues:
    """Cosine of the prompt and the sound."""
    judge, text = inputs.with_reference("clap", "text")
    return SampleValues(cosine_similarity(judge.take(inputs.rows, "embedding"), text.take(inputs.rows, "embedding")))


def acc(inputs: SampleInputs) -> SampleValues | None:
    """Whether the sound is closer to the prompt than to the clip's own caption, where these differ."""
    rows, accuracy = inputs.accuracy
    return None if accuracy is None else SampleValues(accuracy.correct.astype(np.float64), rows)


def acc_margin(inputs: SampleInputs) -> SampleValues | None:
    """By how much."""
    rows, accuracy = inputs.accuracy
    return None if accuracy is None else SampleValues(accuracy.margin, rows)
