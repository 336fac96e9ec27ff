"""What a card says of every value: how well the line of an extrapolated distance fits, for each system and take."""

import gc
import weakref
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest

from metrics.functional.frechet_infinity import frechet_infinity
from metrics.tables.compute import SystemData, Table, TableSettings, build_table
from metrics.tables.coverage import Coverage

CLIPS, WIDTH = 60, 4


SETTINGS = TableSettings(
    protocol="matched",
    systems=("near", "mean"),
    takes={"mean": ("take_0", "take_1")},
    metrics=("FAD_inf",),
    bootstrap={"resamples": 100, "set_resamples": 100},
)


def coverage_of(systems: Iterable[str]) -> Coverage:
    """All rows of all systems."""
    rows = pd.DataFrame({"clip_id": [f"clip{n:02}" for n in range(CLIPS)], "caption_id": "own"})
    return Coverage(rows, CLIPS, CLIPS, dict.fromkeys(systems, rows.iloc[:0]))


def table(reference: np.ndarray, sounds: dict[str, np.ndarray]) -> Table:
    """FAD_inf of two systems, one of which is the mean of two takes."""
    systems = {name: SystemData({}, {"classifier": values}, {}) for name, values in sounds.items()}
    return build_table(SETTINGS, coverage_of(sounds), systems.__getitem__, {"classifier": reference})


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


def test_arrays_of_one_system_are_in_memory_at_a_time() -> None:
    """Each system is asked for once, and what the one before it gave is gone by then."""
    draw = np.random.default_rng(0)
    given: list[tuple[str, weakref.ref[np.ndarray]]] = []

    def systems(name: str) -> SystemData:
        gc.collect()
        assert [before for before, array in given if array() is not None] == []
        values = draw.normal(size=(CLIPS, WIDTH))
        given.append((name, weakref.ref(values)))
        return SystemData({}, {"classifier": values}, {})

    build_table(
        SETTINGS, coverage_of(["near", "take_0", "take_1"]), systems, {"classifier": draw.normal(size=(200, WIDTH))}
    )
    assert [name for name, _ in given] == ["near", "take_0", "take_1"]
