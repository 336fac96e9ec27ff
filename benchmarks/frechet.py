"""Frechet distance: ours against scipy's matrix square root as published evaluators call it.

    OMP_NUM_THREADS=1 python benchmarks/frechet.py --rows 1000 --width 2048

Both ways start from the embeddings; what their covariances take, which both ways need where there are more rows than
dimensions, is printed beside. CPU seconds of this process, both values, and their ratio. The embeddings
are made here: not negative, correlated, as those of PANNs are.
"""

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
import scipy.linalg

from metrics.functional.frechet import frechet_distance


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


def cpu_seconds(work: Callable[[], float]) -> tuple[float, float]:
    """CPU seconds of this process, and the value."""
    begun = time.process_time()
    value = work()
    return time.process_time() - begun, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--width", type=int, default=2048)
    options = parser.parse_args()
    sets = [embeddings(options.rows, options.width, seed) for seed in (1, 2)]
    ours, value = cpu_seconds(lambda: frechet_distance(*sets).value)
    theirs, other = cpu_seconds(lambda: by_square_root(*sets))
    both, _ = cpu_seconds(lambda: float(sum(np.cov(part, rowvar=False)[0, 0] for part in sets)))
    print(f"{'rows':>7} {'width':>6} {'ours':>9} {'sqrtm':>9} {'ratio':>7} {'value':>16} {'relative difference':>20}")
    print(
        f"{options.rows:>7} {options.width:>6} {ours:>7.2f} s {theirs:>7.2f} s {theirs / ours:>7.1f} {value:>16.8f} "
        f"{abs(value - other) / abs(other):>20.2e}   (two covariances: {both:.2f} s)"
    )


if __name__ == "__main__":
    main()
