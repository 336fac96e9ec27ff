"""The page of columns names the columns that the code writes."""

import numpy as np
import pyarrow as pa
import pytest

from cafa.common import ledger
from cafa.features.store import FeatureFormat
from docs.generate import columns, text

TABLES = {table["title"]: table for table in columns.tables()}
WITH_SCHEMA = [title for title, table in TABLES.items() if "schema" in table]


@pytest.mark.parametrize("title", WITH_SCHEMA)
def test_columns_are_those_of_the_code(title: str) -> None:
    table = TABLES[title]
    described = list(table["columns"])
    keys = {"clip_id", "caption_id", "protocol"}  # stand before the judge's own columns in every file of embeddings
    if "JUDGES" in table["schema"]:
        described = [name for name in described if name not in keys]
    assert described == columns.names_in_code(table["schema"])


def test_columns_of_a_feature_file() -> None:
    schema: pa.Schema = FeatureFormat("latents", (2, 3), "float16", {"name": "none"}).schema
    assert schema.names == list(TABLES["Feature file"]["columns"])


def test_columns_of_event_times() -> None:
    from cafa.world import clips

    found = clips.event_times(["world_test-dog-barking-00000"], seed=0)
    assert list(found.columns) == list(TABLES["Event times of rendered clips"]["columns"])
    assert np.isfinite(found["event_times"][0]).all()


def test_every_column_has_a_meaning() -> None:
    page = columns.page()
    for title, table in TABLES.items():
        assert all(meaning.strip() for meaning in table["columns"].values()), title
        assert f"## {title}\n" in page


def test_reasons_are_those_of_the_ledger() -> None:
    page = text.reasons()
    assert all(f"| `{name}` | {reason.meaning} |" in page for name, reason in ledger.REASONS.items())


def test_metrics_are_those_of_the_catalogue() -> None:
    from metrics.tables.catalogue import METRICS

    page = text.metrics()
    assert all(f"| `{name}` | {METRICS[name].better or 'neither'} |" in page for name in METRICS)
