"""The published copy as Parquet files: one per table, and one per month of a table with events.

Each export is a new folder; the link ``current`` is changed in one step once all its files are complete. Files of months that have not changed are
hard links to those of the export before. The export before the current one is kept for readers that are still in it; older ones are deleted.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets._internal import private_files
from klaviyo_assets.catalog import Catalog
from klaviyo_assets.warehouse.interface import WarehouseError
from klaviyo_assets.warehouse.sql import literal, quoted
from klaviyo_assets.warehouse.state_dir import owner_only_files

CURRENT = "current"
"""Name of the link to the latest export."""

_MANIFEST = "manifest.json"
_NO_MONTH = "__HIVE_DEFAULT_PARTITION__"
"""What Hive and DuckDB call the partition of rows without a value."""

_OPTIONS = "(FORMAT parquet, COMPRESSION zstd)"


@dataclass(frozen=True)
class _Part:
    """The rows of one file.

    Attributes:
        name: Its path in the export.
        query: SQL that selects them.
        state: What changes when they change: columns, number of rows, latest times; empty if that is not known.
    """

    name: str
    query: str
    state: str


@dataclass
class Export:
    """An export that has been written and is not current yet.

    Attributes:
        root: Folder of all exports.
        folder: Folder of this one.
        before: The export before, kept for its readers; None if there is none, or it may hold data that was removed since.
        written: Number of files that were written.
        kept: Number of files that were taken over from the export before.
    """

    root: Path
    folder: Path
    before: Path | None
    written: int = 0
    kept: int = 0
    files: dict[str, str] = field(default_factory=dict)

    def put_in_place(self) -> None:
        """Make the link ``current`` lead to this export, in one step, and delete older ones."""
        before = self.before
        new = self.root / f"{CURRENT}.new"
        new.unlink(missing_ok=True)
        new.symlink_to(self.folder.name)
        new.replace(self.root / CURRENT)
        for folder in self.root.iterdir():
            if folder.is_dir() and not folder.is_symlink() and folder not in {self.folder, before}:
                shutil.rmtree(folder)


def month_columns(catalog: Catalog) -> dict[str, str]:
    """Return the tables that are divided by month, those of types that only grow, each with the column whose months count."""
    return {name: field for name, entry in catalog.items() if (field := entry.replication.start_date_field) is not None}


def export(file: Path, root: Path, compactions: str, months: Mapping[str, str]) -> Export:
    """Write a published DuckDB file as Parquet files.

    JSON is written as text. Times keep their time zone (UTC).

    Args:
        file: The DuckDB file; it is opened for reading.
        root: Folder of the exports.
        compactions: Files of an export with another value are not taken over: they may hold data that was removed since.
        months: Tables that are divided by month, each with the column whose months count.

    Raises:
        OSError: If a file cannot be written.
        WarehouseError: If a file does not hold the rows that it should.
    """
    private_files.make_folder(root)
    before = _current(root)
    known = _manifest(before, compactions)
    if known is None:
        before, known = None, {}
    written = Export(root, root / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%fZ}", before)
    private_files.make_folder(written.folder)
    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for part in _parts(connection, months):
                path = written.folder / part.name
                private_files.make_folder(path.parent)
                if before is not None and part.state and known.get(part.name) == part.state and (before / part.name).is_file():
                    os.link(before / part.name, path)
                    written.kept += 1
                else:
                    _write(connection, part, path)
                    written.written += 1
                written.files[part.name] = part.state
        private_files.write(written.folder / _MANIFEST, json.dumps({"compactions": compactions, "files": written.files}).encode())
    except BaseException:
        shutil.rmtree(written.folder, ignore_errors=True)
        raise
    return written


def _write(connection: DuckDBPyConnection, part: _Part, path: Path) -> None:
    with owner_only_files():  # DuckDB writes to another file and renames it to this one
        ((rows,),) = connection.execute(f"COPY ({part.query}) TO {literal(str(path))} {_OPTIONS}").fetchall()
    ((stored,),) = connection.execute(f"SELECT coalesce(sum(num_rows), 0) FROM parquet_file_metadata({literal(str(path))})").fetchall()
    if rows != stored:
        raise WarehouseError(f"{path} holds {stored:,} of {rows:,} rows.", "Check the disk, then publish again.")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _parts(connection: DuckDBPyConnection, months: Mapping[str, str]) -> Iterator[_Part]:
    """Yield the parts of all tables of the database."""
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database() ORDER BY ALL"
    ).fetchall()
    for schema, table in tables:
        columns = connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = current_database() AND schema_name = ? AND table_name = ? ORDER BY column_index",
            [schema, table],
        ).fetchall()
        # As text: Parquet's JSON type would come back as bytes in some readers.
        chosen = ", ".join(f"{quoted(name)}::VARCHAR AS {quoted(name)}" if type_ == "JSON" else quoted(name) for name, type_ in columns)
        selected = f"SELECT {chosen} FROM {quoted(schema)}.{quoted(table)}"
        if (time := months.get(table, "")) in dict(columns):
            yield from _months(connection, schema, table, time, selected, json.dumps(columns))
        else:
            yield _Part(f"{schema}/{table}.parquet", selected, "")


def _months(connection: DuckDBPyConnection, schema: str, table: str, time: str, selected: str, columns: str) -> Iterator[_Part]:
    month = f"strftime({quoted(time)} AT TIME ZONE 'UTC', '%Y-%m')"
    found = connection.execute(
        f"SELECT {month} AS month, count(*), count(_deleted_at), max(_synced_at), max(_deleted_at) FROM {quoted(schema)}.{quoted(table)} "
        "GROUP BY month ORDER BY month"
    ).fetchall()
    for name, *facts in found:
        where = f"{quoted(time)} IS NULL" if name is None else _in_month(quoted(time), name)
        order = f"ORDER BY {quoted(time)}"
        yield _Part(f"{schema}/{table}/month={name or _NO_MONTH}/{table}.parquet", f"{selected} WHERE {where} {order}", f"{columns} {facts}")


def _in_month(time: str, month: str) -> str:
    start = f"TIMESTAMPTZ {literal(f'{month}-01 00:00:00+00')}"
    return f"{time} >= {start} AND {time} < {start} + INTERVAL 1 MONTH"


def _current(root: Path) -> Path | None:
    link = root / CURRENT
    return root / link.readlink() if link.is_symlink() else None


def _manifest(folder: Path | None, compactions: str) -> dict[str, str] | None:
    """Return the files of an export, and the states of their rows; None if that is not known, or they may hold data that was removed since."""
    if folder is None or not (folder / _MANIFEST).is_file():
        return None
    try:
        stored = json.loads((folder / _MANIFEST).read_bytes())
        return dict(stored["files"]) if stored["compactions"] == compactions else None
    except (KeyError, TypeError, ValueError):  # damaged by a crash
        return None
