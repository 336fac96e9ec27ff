"""What Frechet distance, its extrapolation and the kernel distance say of small sets whose true distance is 0.

    python -m benchmarks.small_sets

Both sets are draws of one normal distribution, the reference set 15,000 rows as a test set has them. Frechet distances
are printed as shares of the total variance, so that numbers of dimensions can be compared; a few minutes on one core.
"""

import numpy as np

from metrics.functional.frechet import frechet_distance
from metrics.functional.frechet_infinity import frechet_infinity
from metrics.functional.kernel import kernel_distance

REFERENCE = 15_000
DIMENSIONS = (128, 512)
ROWS = (100, 500, 2000)


def main() -> None:
    """Print a row for each number of dimensions and of rows."""
    print("| dimensions | n | Frechet | extrapolated | r_squared | kernel |\n|--:|--:|--:|--:|--:|--:|")
    for width in DIMENSIONS:
        generator = np.random.default_rng(0)
        reference = generator.standard_normal((REFERENCE, width))
        for rows in ROWS:
            alike = generator.standard_normal((rows, width))
            plain = frechet_distance(alike, reference).value / width
            line = frechet_infinity(alike, reference)
            kernel = kernel_distance(alike, reference)
            fields = f"{plain:.3f} | {line.value / width:.3f} | {line.r_squared:.3f} | {kernel:.3f}"
            print(f"| {width} | {rows:,} | {fields} |", flush=True)


if __name__ == "__main__":
    main()
