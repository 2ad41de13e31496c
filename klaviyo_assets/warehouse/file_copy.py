"""Copies a DuckDB file byte by byte while no program writes it, and verifies the copy."""

import shutil
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets._internal import os_errors, private_files
from klaviyo_assets.warehouse.interface import WarehouseError
from klaviyo_assets.warehouse.sql import quoted

_CHUNK = 8 << 20
"""Bytes that are copied at a time."""

_Contents = list[tuple[str, str, str, int]]


def copy(connection: DuckDBPyConnection, path: Path, target: Path) -> None:
    """Write all that was committed to a DuckDB file into a new file, for its owner only.

    A copy of the bytes takes seconds where ``COPY FROM DATABASE`` takes minutes, and it keeps everything that is in the file.

    Args:
        connection: The only connection to the file, in no transaction. It keeps other programs out until this function returns, and must be closed
            then: reading the file releases DuckDB's lock on it.
        path: The file.
        target: The new file; an existing one is replaced.

    Raises:
        WarehouseError: If there is no room for a second file, or it cannot be written or differs.
    """
    try:
        _refuse_without_room(path, target)
        connection.execute("FORCE CHECKPOINT")
        contents = _contents(connection)
        with path.open("rb") as source, private_files.new_file(target) as copied:
            shutil.copyfileobj(source, copied, _CHUNK)
    except OSError as error:
        what, advice = os_errors.meaning(error) or (error.strerror or str(error), "Check free disk space and permissions there")
        raise WarehouseError(f"{path} could not be copied to {target}: {what}.", f"{advice}, then run again.") from error
    with duckdb.connect(str(target), read_only=True) as copied_database:
        if _contents(copied_database) != contents:
            raise WarehouseError(f"The copy {target} of {path} does not have the same contents.", "Check the disk, then run again.")


def _refuse_without_room(path: Path, target: Path) -> None:
    size, free = path.stat().st_size, shutil.disk_usage(target.parent).free
    if free < size:
        raise WarehouseError(
            f"{path} cannot be copied to {target.parent}: that takes {size / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free.",
            "Free disk space, or choose another disk for the copy.",
        )


def _contents(connection: DuckDBPyConnection) -> _Contents:
    """Return the tables with their numbers of rows, and the views."""
    (database,) = connection.execute("SELECT current_database()").fetchall()[0]
    tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY ALL", [database]).fetchall()
    views = connection.execute(
        "SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = ? AND NOT internal ORDER BY ALL", [database]
    ).fetchall()
    counted = [
        ("table", schema, table, connection.execute(f"SELECT count(*) FROM {quoted(database)}.{quoted(schema)}.{quoted(table)}").fetchall()[0][0])
        for schema, table in tables
    ]
    return [*counted, *(("view", schema, view, 0) for schema, view in views)]
