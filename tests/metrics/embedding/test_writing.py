"""Tables of embeddings: rows come back in order, in groups that do not depend on batches."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from metrics.embedding.reading import CLIP_KEY, read_embeddings
from metrics.embedding.writing import GROUP_ROWS, open_tables
from tests.evaluation_clips import QuickPanel


def write(path: Path, batch: int, rows: np.ndarray) -> None:
    with open_tables(QuickPanel(), CLIP_KEY, {"classifier": path}, {"classifier": ("embedding",)}) as tables:
        for at in range(0, len(rows), batch):
            part = rows[at : at + batch]
            keys = [f"clip{at + number:04}" for number in range(len(part))]
            tables.add({"clip_id": keys}, {"classifier": {"embedding": part}})


@pytest.mark.parametrize("count", [0, 5, GROUP_ROWS, 600])
def test_groups_do_not_depend_on_batches(tmp_path: Path, count: int) -> None:
    rows = np.random.default_rng(0).standard_normal((count, 3)).astype(np.float32)
    for batch in (1, 7, 600):
        write(tmp_path / f"{batch}.parquet", batch, rows)
    file = pq.ParquetFile(tmp_path / "7.parquet")
    assert file.metadata.num_row_groups == -(-count // GROUP_ROWS)
    assert file.schema_arrow.metadata[b"judge"] == b"classifier"
    for batch in (1, 600):
        assert (tmp_path / f"{batch}.parquet").read_bytes() == (tmp_path / "7.parquet").read_bytes()
    if count:
        found = read_embeddings([tmp_path / "7.parquet"], CLIP_KEY, ("embedding",))
        np.testing.assert_array_equal(found.column("embedding"), rows)
