"""What a card says of every value: how well the line of an extrapolated distance fits, for each system and take."""

import numpy as np
import pandas as pd
import pytest

from metrics.functional.frechet_infinity import frechet_infinity
from metrics.tables.compute import SystemData, Table, TableSettings, build_table
from metrics.tables.coverage import Coverage

CLIPS, WIDTH = 60, 4


def table(reference: np.ndarray, sounds: dict[str, np.ndarray]) -> Table:
    """FAD_inf of two systems, one of which is the mean of two takes."""
    settings = TableSettings(
        protocol="matched",
        systems=("near", "mean"),
        takes={"mean": ("take_0", "take_1")},
        metrics=("FAD_inf",),
        bootstrap={"resamples": 100, "set_resamples": 100},
    )
    rows = pd.DataFrame({"clip_id": [f"clip{n:02}" for n in range(CLIPS)], "caption_id": "own"})
    coverage = Coverage(rows, CLIPS, CLIPS, dict.fromkeys(sounds, rows.iloc[:0]))
    systems = {name: SystemData({}, {"classifier": values}, {}) for name, values in sounds.items()}
    return build_table(settings, coverage, systems, {"classifier": reference})


def test_the_fit_of_each_systems_line_stands_on_the_card() -> None:
    draw = np.random.default_rng(0)
    reference = draw.normal(size=(200, WIDTH))
    sounds = {
        name: draw.normal(scale, 1.0, (CLIPS, WIDTH)) for name, scale in [("near", 0), ("take_0", 1), ("take_1", 2)]
    }
    found = table(reference, sounds).notes["FAD_inf_r_squared"]
    assert list(found) == ["near", "take_0", "take_1"]
    assert len(set(found.values())) == 3
    for name, values in sounds.items():
        assert found[name] == pytest.approx(frechet_infinity(values, reference).r_squared, rel=1e-3)
