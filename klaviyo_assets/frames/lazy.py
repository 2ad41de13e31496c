"""Lazy frames over a database that is open only while a part of a table is copied.

A lazy frame knows which columns and rows a query needs when the query runs. Then that part is written to a temporary Parquet file and the database
is closed again, so a long query keeps no sync waiting, and a table is never copied as a whole unless all of it is needed.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets.frames.kinds import as_text
from klaviyo_assets.warehouse import frame_copies

if TYPE_CHECKING:
    import polars as pl

Opened = Callable[[], AbstractContextManager[DuckDBPyConnection]]
"""Opens the database, and closes it at the end of the context."""

_BATCH = 50_000
"""Rows of a batch, if Polars asks for no other number."""


def lazy_frame(opened: Opened, query: str, state: Path) -> "pl.LazyFrame":
    """Return a lazy frame over the rows of a query.

    Each evaluation reads the table as it is then, in a thread of Polars. An error of it leaves Polars 2 as it is; Polars 1 raises a ``ComputeError``
    with its text.

    Args:
        opened: Opens the database.
        query: The query.
        state: The database's state folder, for temporary files.

    Raises:
        duckdb.Error: If the query is not valid.
        WarehouseError: If the database cannot be opened.
    """
    from polars.io.plugins import register_io_source

    with opened() as connection:
        query = as_text(connection, query)
        schema = connection.sql(f"{query} LIMIT 0").pl().schema

    def read(columns: list[str] | None, predicate: "pl.Expr | None", rows: int | None, batch: int | None) -> "Iterator[pl.DataFrame]":
        """Yield the rows that a query needs, from a temporary copy of them."""
        with opened() as connection:
            part = connection.sql(query).pl(lazy=True)
            if predicate is not None:
                part = part.filter(predicate)
            if columns is not None:
                part = part.select(columns)
            if rows is not None:
                part = part.head(rows)
            copy = frame_copies.new_copy(state)
            try:
                part.sink_parquet(copy)
            except BaseException as error:
                frame_copies.discard(copy)
                if (quoted := _quoted(error)) is not None:
                    raise quoted from None
                raise
        yield from _rows_of(copy, batch or _BATCH)

    return register_io_source(read, schema=schema)


def _quoted(error: BaseException) -> duckdb.Error | None:
    """Return DuckDB's error that an error of Polars 1 quotes; None for any other error."""
    import polars as pl

    if not isinstance(error, pl.exceptions.ComputeError):
        return None
    kind, _, text = str(error).rpartition("exception: ")[2].partition(": ")
    type_ = getattr(duckdb, kind, None)
    return type_(text) if isinstance(type_, type) and issubclass(type_, duckdb.Error) else None


def _rows_of(copy: Path, batch: int) -> "Iterator[pl.DataFrame]":
    """Yield the rows of a copy, and delete it."""
    import polars as pl
    from pyarrow import parquet

    try:
        with closing(parquet.ParquetFile(copy)) as file:
            empty = True
            for records in file.iter_batches(batch_size=batch):
                empty = False
                yield pl.DataFrame(pl.from_arrow(records))
            if empty:
                yield pl.read_parquet(copy)
    finally:
        frame_copies.discard(copy)
