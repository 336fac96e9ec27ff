"""Frechet distance: ours against scipy's matrix square root as published evaluators call it; ratios within a round.

Both ways start from the embeddings, which are made here: not negative, correlated, as those of PANNs are. With fewer
rows than dimensions, and with more of them; there what two covariances take, which both ways need, is printed too.
The two values are compared. Each way has a process of its own::

    python -m benchmarks.frechet

some four minutes at the real width, 2048.
"""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click
import numpy as np
import scipy.linalg

from benchmarks.report import Comparison, Report, finish, options, row, seconds_of
from benchmarks.rounds import Turn, Way, measure
from metrics.functional.frechet import frechet_distance

#: (rows, width, what the project aims at) of each comparison.
SIZES: dict[str, tuple[tuple[int, int, str], ...]] = {
    "tiny": ((20, 32, ""), (60, 32, "")),
    "reduced": ((1000, 2048, "60 times"), (15_000, 2048, "4.6 times")),
}
#: The values may differ by so much, relative.
TOLERANCE = 1e-5
#: Rows and width of what warms up.
SMALL = (50, 64)


def embeddings(rows: int, width: int, seed: int) -> np.ndarray:
    """float32 (rows, width), half of it 0."""
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).standard_normal((64, width)).astype(np.float32)
    hidden = generator.standard_normal((rows, 64), dtype=np.float32) + 0.1 * seed
    return np.maximum(hidden @ mixing / 8 + 0.3 * generator.standard_normal((rows, width), dtype=np.float32), 0)


def by_square_root(first: np.ndarray, second: np.ndarray) -> float:
    """The steps that av-benchmark, audioldm_eval and others share, with their guards."""
    means = [part.mean(axis=0) for part in (first, second)]
    covariances = [np.cov(part, rowvar=False) for part in (first, second)]
    root = _root(covariances[0] @ covariances[1])
    if not np.isfinite(root).all():
        offset = np.eye(len(root)) * 1e-6
        root = _root((covariances[0] + offset) @ (covariances[1] + offset))
    if np.iscomplexobj(root):
        root = root.real
    difference = means[0] - means[1]
    return float(difference @ difference + sum(np.trace(part) for part in covariances) - 2 * np.trace(root))


def _root(matrix: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # disp=False, as the peers write it
        root, _ = scipy.linalg.sqrtm(matrix, disp=False)
    return root


def ours(first: np.ndarray, second: np.ndarray) -> float:
    """Value of :func:`metrics.functional.frechet.frechet_distance`."""
    return frechet_distance(first, second).value


def two_covariances(first: np.ndarray, second: np.ndarray) -> float:
    """What both ways need where there are more rows than dimensions."""
    return float(sum(np.cov(part, rowvar=False)[0, 0] for part in (first, second)))


def in_turns(work: Callable[[np.ndarray, np.ndarray], float], sets: list[np.ndarray], turns: Iterator[Turn]) -> None:
    """The distance of two sets in each turn; that of two small ones warms up."""
    small = [embeddings(*SMALL, seed) for seed in (1, 2)]
    for turn in turns:
        turn.value = work(*(small if turn.warms_up else sets))


def compare(rows: int, width: int, goal: str, rounds: int) -> Comparison:
    """Both ways, in turns."""
    sets = [embeddings(rows, width, seed) for seed in (1, 2)]
    works = {"scipy's sqrtm": by_square_root, "ours": ours}
    if rows > width:
        works["two covariances alone"] = two_covariances
    ways = [Way(name, partial(in_turns, work, sets)) for name, work in works.items()]
    taken = measure(ways, rounds)
    values = [taken[name][-1].value for name in ("ours", "scipy's sqrtm")]
    difference = abs(values[0] - values[1]) / abs(values[1])
    if not difference < TOLERANCE:
        raise click.ClickException(f"the ways do not agree: {values}")
    peer = seconds_of(ways[0], taken[ways[0].name], "processor")
    goals = {"ours": goal}
    return Comparison(
        title=f"Frechet distance, {rows:,} x {width:,}",
        compared_with="scipy's matrix square root, called as av-benchmark and audioldm_eval call it",
        unit="distance",
        clock="processor",
        rows=tuple(row(way, taken[way.name], peer, "processor", goals.get(way.name, "")) for way in ways),
        note=f"From the embeddings. The two values differ by {difference:.0e}, relative.",
    )


@click.command()
@options(list(SIZES), rounds=3)
def main(size: str, rounds: int, output: Path | None) -> Report:
    """CPU seconds of a distance both ways, and their ratio."""
    comparisons = [compare(*shape, rounds) for shape in SIZES[size]]
    return finish("frechet", size, "cpu", rounds, {}, comparisons, output)


if __name__ == "__main__":
    main()
