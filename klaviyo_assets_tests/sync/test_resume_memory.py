"""Loads that exceed DuckDB's memory are split; staged files that cannot be loaded at all are deleted and their records read again."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec
import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.parts.divide import load_divided, ran_out_of_memory
from klaviyo_assets.staging.manifest import new_manifest
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.sync import resume as module
from klaviyo_assets.sync.resume import ResumeConditions, resume
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.interface import WarehouseBusy, WarehouseError
from klaviyo_assets_tests.accounts import query

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MB = 1_000_000


def _text(size: int) -> str:
    return random.Random(size).randbytes(size // 2).hex()


def out_of_memory() -> WarehouseError:
    error = WarehouseError("The file could not be written (Out of Memory Error: …).", "Try again.")
    error.__cause__ = duckdb.OutOfMemoryException("failed to allocate")
    return error


@pytest.mark.parametrize("files", [1, 2, 5])
def test_a_batch_too_large_for_memory_is_loaded_in_parts_with_the_coverage_last(files: int) -> None:
    loaded: list[Batch] = []

    def load(batch: Batch) -> None:
        if len(batch.files) > 1:
            raise out_of_memory()
        loaded.append(batch)

    batch = Batch(tuple(Path(f"{number}.parquet") for number in range(files)), ("covered",))  # type: ignore[arg-type]
    load_divided(load, batch)
    assert [file for one in loaded for file in one.files] == list(batch.files)
    assert [one.covered for one in loaded] == [()] * (files - 1) + [("covered",)]


@pytest.mark.parametrize("error", [WarehouseBusy("Open elsewhere.", "Close it."), duckdb.IOException("No space left on device")])
def test_other_failures_are_not_retried_in_parts(error: Exception) -> None:
    tries: list[Batch] = []

    def load(batch: Batch) -> None:
        tries.append(batch)
        raise error

    with pytest.raises(type(error)):
        load_divided(load, Batch((Path("1.parquet"), Path("2.parquet")), ()))
    assert len(tries) == 1


def test_out_of_memory_is_about_the_rows_but_file_errors_are_not() -> None:
    assert module._is_about_the_rows(out_of_memory())
    assert module._is_about_the_rows(duckdb.InvalidInputException("no such column"))
    assert not module._is_about_the_rows(WarehouseBusy("Open elsewhere.", "Close it."))
    full = WarehouseError("No space left.", "Free some.")
    full.__cause__ = duckdb.IOException("No space left on device")
    assert not module._is_about_the_rows(full)


class SmallDatabase:
    """A database with little memory, and the loader of a sync that has begun."""

    def __init__(self, folder: Path, limit: str) -> None:
        self.folder = folder / "staged"
        self.warehouse = LocalFile(DuckDBResource(database=str(folder / "klaviyo.duckdb"), connection_config={"memory_limit": limit}))
        self.loader = Loader(self.warehouse, EVENTS, "klaviyo")
        self.row = SyncLogEntry("a-sync", "events", "unknown", "incremental", NOON, None)
        self.loader.begin(self.row)
        self.row = replace(self.row, id="b-sync")
        self.loader.begin(self.row)

    def stage(self, *sizes: list[int]) -> Staging:
        """Stage a file for each list of record sizes (bytes), as the first sync."""
        manifest = new_manifest(
            sync_id="a-sync", resource_type="events", account_id="unknown", fingerprint="fingerprint", read_at=NOON, resumable=True
        )
        staging = Staging(self.folder / "a-sync", manifest)
        for number, file in enumerate(sizes):
            records = [{"id": f"{number}-{place}", "attributes": {"event_properties": {"note": _text(size)}}} for place, size in enumerate(file)]
            staging.add_lookup(PageDecoder(EVENTS).page(msgspec.json.encode({"data": records})).stamped(NOON))
            staging.write()
        return staging

    def rows(self) -> int:
        ((rows,),) = query(self.warehouse, "SELECT count(*) FROM events")
        return int(rows)


@pytest.mark.long
def test_a_load_that_exceeds_memory_is_split(tmp_path: Path) -> None:
    small = SmallDatabase(tmp_path, "30MiB")
    batch = small.stage([MB] * 4, [MB] * 4).batch()
    with pytest.raises(WarehouseError) as caught:
        small.loader.load(batch, small.row)
    assert ran_out_of_memory(caught.value)
    assert small.rows() == 0

    load_divided(lambda part: small.loader.load(part, small.row), batch)

    assert small.rows() == small.loader.progress.counts.inserted == 8
    assert sorted(path.name for path in small.folder.rglob("*.parquet")) == ["000001.parquet", "000002.parquet"]


@pytest.mark.long
def test_leftovers_that_cannot_be_loaded_do_not_block_the_next_sync(tmp_path: Path) -> None:
    small, notes = SmallDatabase(tmp_path, "30MiB"), list[str]()
    columns = small.stage([20 * MB]).manifest.columns
    conditions = ResumeConditions("unknown", key_seen=True, fingerprint="fingerprint", columns=columns, latest=NOON)

    assert not resume(small.folder, small.loader, small.row, conditions, notes.append).loaded

    assert notes == ["The staged files of an interrupted sync of events cannot be loaded (OutOfMemoryException); their records are read again."]
    assert not list(small.folder.iterdir())
    small.loader.load(small.stage([1000] * 10).batch(), small.row)
    assert small.rows() == 10
