"""Metrics of sets of sounds, with their bootstrap: one value of a system, from embeddings and the reference set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from metrics.functional.bootstrap import Estimate
from metrics.functional.frechet import frechet_distance, frechet_replicates, rank_deficiency
from metrics.functional.frechet_infinity import frechet_infinity, frechet_infinity_replicates, subset_sizes
from metrics.functional.inception import inception_replicates, inception_score, usable_splits
from metrics.functional.kernel import kernel_distance, kernel_replicates, median_distance


@dataclass(frozen=True)
class SetInputs:
    """What a metric of sets is made from.

    Attributes
    ----------
    embedding : ndarray, (rows, d)
        The judge's, of the system's sounds.
    logits : ndarray, (rows, classes)
        The judge's, where it has some.
    reference : ndarray, (clips of the data set, d)
        The judge's, of the real sounds.
    counts : ndarray of int16, (resamples, rows)
        How often each row is in each resample.
    prepared : object
        What `prepare` of the metric made of the reference set, once for all systems.
    splits, seed : int
        Settings of the inception score.
    """

    embedding: np.ndarray
    logits: np.ndarray
    reference: np.ndarray
    counts: np.ndarray
    prepared: Any = None
    splits: int = 10
    seed: int = 2020


@dataclass(frozen=True)
class SetMetric:
    """How a metric of sets is computed.

    Attributes
    ----------
    compute
        Value and replicates of a system.
    prepare
        Of the reference set, once for all systems; None if nothing is to be prepared.
    notes
        ``(inputs of the first system)`` -> facts for the protocol card, each under the name that follows the metric's:
        ``bandwidth`` is noted as ``KAD_bandwidth``.
    """

    compute: Callable[[SetInputs], Estimate]
    prepare: Callable[[np.ndarray], Any] | None = None
    notes: Callable[[SetInputs], Mapping[str, object]] | None = None


def _frechet(inputs: SetInputs) -> Estimate:
    value = frechet_distance(inputs.embedding, inputs.reference).value
    replicates = frechet_replicates(inputs.embedding, inputs.reference, inputs.counts)
    return Estimate(value, replicates, len(inputs.embedding), True, floor=0.0)


def _kernel(inputs: SetInputs) -> Estimate:
    value = kernel_distance(inputs.embedding, inputs.reference, bandwidth=inputs.prepared)
    replicates = kernel_replicates(inputs.embedding, inputs.reference, inputs.counts, bandwidth=inputs.prepared)
    return Estimate(value, replicates, len(inputs.embedding), True)


def _inception(inputs: SetInputs) -> Estimate:
    splits = usable_splits(len(inputs.embedding), inputs.splits)
    value = inception_score(inputs.logits, splits=splits, seed=inputs.seed).value
    replicates = inception_replicates(inputs.logits, inputs.counts, splits=splits, seed=inputs.seed)
    return Estimate(value, replicates, len(inputs.embedding), True, floor=1.0)


def _infinity(inputs: SetInputs, width: int | None = None) -> Estimate:
    """Extrapolated Frechet distance; with `width`, of pieces of that many values, which are drawn by sounds."""
    line = frechet_infinity(inputs.embedding, inputs.reference, width=width)
    replicates = frechet_infinity_replicates(inputs.embedding, inputs.reference, inputs.counts, width=width)
    facts = {"r_squared": float(f"{line.r_squared:.4g}")}
    return Estimate(line.value, replicates, len(inputs.embedding), True, facts=facts)


def _infinity_notes(inputs: SetInputs) -> Mapping[str, object]:
    sizes = subset_sizes(len(inputs.embedding))
    return {"subsets": f"{sizes[0]} to {sizes[-1]} sounds in {len(sizes)} sizes"}


def in_pieces(inputs: SetInputs, width: int) -> SetInputs:
    """Rows that hold several embeddings one after the other, as a row for each; a clip's are drawn together."""
    embedding, reference = inputs.embedding.reshape(-1, width), inputs.reference.reshape(-1, width)
    counts = inputs.counts.repeat(len(embedding) // len(inputs.embedding), axis=1)
    return replace(inputs, embedding=embedding, reference=reference, counts=counts)


def frechet_of_pieces(width: int) -> SetMetric:
    """Frechet distance where a sound has an embedding of `width` values for each of its pieces; n is of sounds."""

    def compute(inputs: SetInputs) -> Estimate:
        return replace(_frechet(in_pieces(inputs, width)), n=len(inputs.embedding))

    def notes(inputs: SetInputs) -> Mapping[str, object]:
        pieces = in_pieces(inputs, width)
        return {
            "pieces_of_a_sound": len(pieces.embedding) // len(inputs.embedding),
            "rank_deficiency": rank_deficiency(pieces.embedding, pieces.reference),
        }

    return SetMetric(compute, notes=notes)


def frechet_infinity_of_pieces(width: int) -> SetMetric:
    """As `frechet_of_pieces`, extrapolated to infinitely many sounds."""
    return SetMetric(lambda inputs: _infinity(inputs, width), notes=_infinity_notes)


def kernel_of_pieces(width: int) -> SetMetric:
    """Kernel distance where a sound has an embedding of `width` values for each of its pieces; n is of sounds."""

    def compute(inputs: SetInputs) -> Estimate:
        return replace(_kernel(in_pieces(inputs, width)), n=len(inputs.embedding))

    def prepare(reference: np.ndarray) -> float:
        return median_distance(reference.reshape(-1, width))

    return SetMetric(compute, prepare, notes=KERNEL.notes)


FRECHET = SetMetric(
    _frechet, notes=lambda inputs: {"rank_deficiency": rank_deficiency(inputs.embedding, inputs.reference)}
)
KERNEL = SetMetric(
    _kernel, prepare=median_distance, notes=lambda inputs: {"bandwidth": float(f"{inputs.prepared:.6g}")}
)
FRECHET_INFINITY = SetMetric(_infinity, notes=_infinity_notes)
INCEPTION = SetMetric(
    _inception,
    notes=lambda inputs: {
        "splits": usable_splits(len(inputs.embedding), inputs.splits),
        "splits_wanted": inputs.splits,
        "seed": inputs.seed,
    },
)
