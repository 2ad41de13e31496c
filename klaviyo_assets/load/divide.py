"""Loads a batch in parts where DuckDB's memory does not take it as a whole."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import duckdb
import polars as pl

from klaviyo_assets._internal import private_files
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.warehouse.base import WarehouseError
from klaviyo_assets.warehouse.diagnosis import is_out_of_memory

_log = logging.getLogger("klaviyo_assets")


def load_divided(load: Callable[[Batch], None], batch: Batch, may_be_divided: Callable[[Exception], bool] | None = None) -> None:
    """Load a batch; where that fails for lack of memory, its first half and then its second one, down to single rows.

    Each part is a transaction of its own. Rows that are loaded twice change nothing, and the coverage comes with the last part, so a failure or a
    kill between two parts loses nothing.

    Args:
        load: Loads a batch in one transaction.
        batch: What is to be loaded.
        may_be_divided: Whether a failure is one that parts may avoid; lack of memory if None.

    Raises:
        WarehouseError: If a single row cannot be loaded, or for another reason.
        duckdb.Error: Likewise.
    """
    try:
        load(batch)
    except (duckdb.Error, WarehouseError) as error:
        if not (may_be_divided or ran_out_of_memory)(error):
            raise
        with _halves(batch) as halves:
            if not halves:
                raise
            _log.info("%d staged files cannot be loaded at once (%s); they are loaded in two parts", len(batch.files), error)
            for half in halves:
                load_divided(load, half, may_be_divided)


def load_and_finish(load: Callable[[Batch], None], finish: Callable[[Batch], None], batch: Batch) -> None:
    """Load a batch and finish a sync in one transaction; where that runs out of memory, load the batch in parts first.

    A kill between the parts leaves rows that are stored and a sync that is not finished: the next one reads everything again.

    Args:
        load: Loads a batch in one transaction.
        finish: The same, and also finishes the sync.
        batch: What is to be loaded.

    Raises:
        WarehouseError: If a single row cannot be loaded, or for another reason.
        duckdb.Error: Likewise.
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
    """Yield a batch in two parts, the second with the coverage: by files, or by the rows of a single file; nothing for a single row.

    The files that hold half of the rows of a single file exist as long as the context.
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
    """Return whether DuckDB did not have enough memory for the work."""
    cause = error.__cause__ if isinstance(error, WarehouseError) else error
    return isinstance(cause, duckdb.Error) and is_out_of_memory(cause)
