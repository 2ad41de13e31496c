"""What was erased is not stored again: hashes of the records' ids, and the filter before staging."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import polars as pl
from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse.base import Warehouse
from klaviyo_assets.warehouse.ddl import INSTANT, Columns, prepare_table
from klaviyo_assets.warehouse.sql import literal

_NAME = "_erased"

_COLUMNS: Columns = {
    "record": ("VARCHAR", "SHA-256 of the id of a record (a profile, a review) that is not stored again."),
    "erased_at": (INSTANT, "When it was erased, on the clock of the machine that did it."),
}


def mark_of(id_: str) -> str:
    """Return what stands for the id of an erased record: ids are long and random, so it does not lead back to one."""
    return hashlib.sha256(id_.encode()).hexdigest()


def erased(connection: DuckDBPyConnection, warehouse: Warehouse, schema: str) -> frozenset[str]:
    """Return the marks of what was erased from a schema."""
    there = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() "
        f"AND lower(schema_name) = lower({literal(schema)}) AND table_name = {literal(_NAME)}"
    ).fetchall()
    if not there:
        return frozenset()
    return frozenset(mark for (mark,) in connection.execute(f"SELECT record FROM {warehouse.qualified(schema, _NAME)}").fetchall())


def remember(connection: DuckDBPyConnection, warehouse: Warehouse, schema: str, ids: Iterable[str]) -> None:
    """Note the ids of records that are erased."""
    remember_marks(connection, warehouse, schema, {mark_of(id_) for id_ in ids})


def remember_marks(connection: DuckDBPyConnection, warehouse: Warehouse, schema: str, marks: Iterable[str]) -> None:
    """Note the marks of records that are erased; see :func:`mark_of`."""
    prepare_table(connection, warehouse, schema, _NAME, _COLUMNS, "What was erased and is not stored again.")
    now = datetime.now(UTC)
    for mark in sorted({*marks} - erased(connection, warehouse, schema)):
        connection.execute(f"INSERT INTO {warehouse.qualified(schema, _NAME)} VALUES (?, ?)", [mark, now])


def without_erased(frame: pl.DataFrame, key: Sequence[str], marks: frozenset[str]) -> pl.DataFrame:
    """Return a frame without the rows of people who were erased.

    Args:
        frame: Rows on their way to staging.
        key: Their primary key; rows with a ``profile_id`` are told by that.
        marks: See :func:`erased`.
    """
    if not marks:
        return frame
    owner = frame["profile_id"] if "profile_id" in frame.columns else frame.select(pl.concat_str(key, separator="/")).to_series()
    gone = {id_ for id_ in owner.unique().drop_nulls() if mark_of(id_) in marks}
    return frame.filter(~owner.is_in(list(gone)).fill_null(False)) if gone else frame
