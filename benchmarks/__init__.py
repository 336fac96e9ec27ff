"""What this project costs beside the usual way of doing the same work, measured in one run.

``python -m benchmarks`` runs those that compare and writes docs/benchmarks.md; ``python -m benchmarks.NAME`` one of
them.

Importing any of them gives this process and those that it starts one thread of arithmetic each, before numpy and
torch read how many they may have: ratios then depend neither on what a shell had set nor on how many cores there are,
and threads that wait are not counted as work.
"""

import os

THREADS = 1

for _name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM"):
    os.environ[f"{_name}_THREADS" if _name.endswith("MAXIMUM") else f"{_name}_NUM_THREADS"] = str(THREADS)
