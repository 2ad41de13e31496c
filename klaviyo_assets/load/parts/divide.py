"""Loads a batch in parts if DuckDB does not have enough memory for all of it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import duckdb
import polars as pl

from klaviyo_assets._internal import private_files
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.warehouse.diagnosis import is_out_of_memory
from klaviyo_assets.warehouse.interface import WarehouseError

_log = logging.getLogger("klaviyo_assets")


def load_divided(load: Callable[[Batch], None], batch: Batch, may_be_divided: Callable[[Exception], bool] | None = None) -> None:
    """Load a batch. If DuckDB runs out of memory, load each half, and so on down to single rows.

    Each part is its own transaction. Loading a row twice changes nothing, and only the last part writes the coverage, so a failure or a kill
    between two parts loses nothing.

    Args:
        load: Loads a batch in one transaction.
        batch: The batch.
        may_be_divided: Returns whether smaller parts may avoid an error; by default, only running out of memory.

    Raises:
        WarehouseError: If a single row cannot be loaded, or for any other error.
        duckdb.Error: In the same cases.
    """
    try:
        load(batch)
    except (duckdb.Error, WarehouseError) as error:
        if not (may_be_divided or ran_out_of_memory)(error):
            raise
        with _halves(batch) as halves:
            if not halves:
                raise
            _log.info("%d staged files do not fit in memory (%s); loading them in two parts", len(batch.files), error)
            for half in halves:
                load_divided(load, half, may_be_divided)


def load_and_finish(load: Callable[[Batch], None], finish: Callable[[Batch], None], batch: Batch) -> None:
    """Load a batch and finish a sync in one transaction. If DuckDB runs out of memory, load the batch in parts first.

    After a kill between the parts, the loaded rows remain and the sync is unfinished: the next sync reads everything again.

    Args:
        load: Loads a batch in one transaction.
        finish: Loads a batch and finishes the sync in one transaction.
        batch: The batch.

    Raises:
        WarehouseError: If a single row cannot be loaded, or for any other error.
        duckdb.Error: In the same cases.
    """
    try:
        finish(batch)
    except (duckdb.Error, WarehouseError) as error:
        if not (batch.files and ran_out_of_memory(error)):
            raise
        load_divided(load, batch)
        finish(replace(batch, files=()))


@contextmanager
def _halves(batch: Batch) -> Iterator[list[Batch]]:
    """Yield the two halves of a batch, the second with the coverage: split by file, or by row if there is one file. Empty for a single row.

    The half files exist until the context ends.
    """
    files, halves = batch.files, []
    if len(files) == 1:
        frame = pl.read_parquet(files[0])
        middle = frame.height // 2
        if middle:
            halves = [files[0].with_name(f"{files[0].stem}-{number}.parquet") for number in (1, 2)]
            for path, rows in zip(halves, (frame[:middle], frame[middle:]), strict=True):
                with private_files.new_file(path) as file:
                    rows.write_parquet(file, compression="zstd", compression_level=1)
        files = tuple(halves)
        del frame
    try:
        middle = len(files) // 2
        yield [replace(batch, files=files[:middle], covered=()), replace(batch, files=files[middle:])] if middle else []
    finally:
        for path in halves:
            path.unlink(missing_ok=True)


def ran_out_of_memory(error: Exception) -> bool:
    """Return whether DuckDB ran out of memory."""
    cause = error.__cause__ if isinstance(error, WarehouseError) else error
    return isinstance(cause, duckdb.Error) and is_out_of_memory(cause)
