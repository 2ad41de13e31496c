"""A batch that needs too much memory is loaded in parts; any other error is raised at once, and nothing is loaded."""

from pathlib import Path

import duckdb
import pytest

from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.parts.divide import load_and_finish, load_divided
from klaviyo_assets.warehouse.interface import WarehouseError

BATCH = Batch(files=(Path("1.parquet"), Path("2.parquet")), covered=())
OUT_OF_MEMORY = duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate data")


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        (BATCH, duckdb.IOException("IO Error: Could not write file")),
        (BATCH, WarehouseError("The file is no database.", "Use another one.")),
        (Batch(files=(), covered=()), OUT_OF_MEMORY),
    ],
    ids=["another error of DuckDB", "no error of DuckDB", "nothing to divide"],
)
def test_an_error_that_parts_would_not_avoid_is_raised_and_nothing_is_loaded(batch: Batch, error: Exception) -> None:
    loaded: list[Batch] = []

    def finish(_: Batch) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        load_and_finish(loaded.append, finish, batch)

    assert caught.value is error
    assert loaded == []


def test_an_error_in_one_half_is_raised_and_the_next_half_is_not_loaded() -> None:
    tried: list[int] = []

    def load(batch: Batch) -> None:
        tried.append(len(batch.files))
        raise OUT_OF_MEMORY if len(batch.files) == 2 else duckdb.IOException("IO Error: Could not write file")

    with pytest.raises(duckdb.IOException, match="Could not write file"):
        load_divided(load, BATCH)

    assert tried == [2, 1]
