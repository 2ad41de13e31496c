"""Leftovers that do not fit into DuckDB's memory are loaded in smaller parts, or dropped and read again; they never stop every later sync."""

from pathlib import Path

import duckdb
import pytest

from klaviyo_assets.sync import take_up as module
from klaviyo_assets.sync.load import SyncRow
from klaviyo_assets.sync.staging import Batch
from klaviyo_assets.warehouse.base import WarehouseBusy, WarehouseError


def out_of_memory() -> WarehouseError:
    error = WarehouseError("The file could not be written (Out of Memory Error: …).", "Try again.")
    error.__cause__ = duckdb.OutOfMemoryException("failed to allocate")
    return error


class Small:
    """Stands in for a loader whose memory takes so many files at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.loaded: list[Batch] = []

    def load(self, batch: Batch, row: SyncRow) -> None:
        if len(batch.files) > self.most:
            raise out_of_memory()
        self.loaded.append(batch)


@pytest.mark.parametrize("files", [1, 2, 5])
def test_a_batch_that_is_too_much_is_loaded_file_by_file_and_its_coverage_comes_last(files: int) -> None:
    loader, batch = Small(1), Batch(tuple(Path(f"{number}.parquet") for number in range(files)), ("covered",))  # type: ignore[arg-type]
    module._load(loader, batch, None)  # type: ignore[arg-type]
    assert [file for one in loader.loaded for file in one.files] == list(batch.files)
    assert [one.covered for one in loader.loaded] == [()] * (files - 1) + [("covered",)]


def test_what_does_not_fit_at_all_is_said_to_be_about_the_rows_and_trouble_with_the_file_is_not() -> None:
    with pytest.raises(WarehouseError) as caught:
        module._load(Small(0), Batch((Path("1.parquet"), Path("2.parquet")), ()), None)  # type: ignore[arg-type]
    assert module._is_about_the_rows(caught.value)
    assert module._is_about_the_rows(duckdb.InvalidInputException("no such column"))
    assert not module._is_about_the_rows(WarehouseBusy("Open elsewhere.", "Close it."))
    full = WarehouseError("No space left.", "Free some.")
    full.__cause__ = duckdb.IOException("No space left on device")
    assert not module._is_about_the_rows(full)
