"""A DuckDB file written anew, so that nothing of rows which are gone stays in its free blocks."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

import duckdb

from klaviyo_assets.warehouse.base import WarehouseError, literal, quoted

_MEMORY = {"memory_limit": "512MB", "threads": "2"}

_OLD, _NEW = "old", "new"

# What a database consists of; the views of the same names list it, of all databases that are attached.
_KINDS = {"tables": "table_name", "views": "view_name", "indexes": "index_name", "sequences": "sequence_name"}


def compact(path: Path, spill: str) -> int:
    """Write a DuckDB file anew and put it in the old one's place; the caller keeps all others out.

    Tables, views, sequences, macros, comments and the format's version are kept, as is the file's mode. The new file is compared with the old one
    before it takes its place, which happens in one step: until then, and if anything goes wrong, the old one stays as it is.

    What the file system or the disk itself keep of the old file is out of reach.

    Args:
        path: The file.
        spill: Folder for what does not fit into memory; DuckDB makes and removes it. Else it would lie in the working folder.

    Returns:
        Bytes by which the file has become smaller; less than zero if it has grown.

    Raises:
        WarehouseError: If there is no room for a second file, or the file holds something that cannot be copied.
    """
    before = path.stat()
    free = shutil.disk_usage(path.parent).free
    if free < before.st_size:
        raise WarehouseError(
            f"{path} cannot be written anew: that takes up to {before.st_size / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free.",
            "Make room; the next sync tries again.",
        )
    partial = path.with_name(f"{path.name}.compacting")
    _remove(partial)
    try:
        _copy(path, partial, spill)
        partial.chmod(stat.S_IMODE(before.st_mode))
        _flush(partial)
        partial.replace(path)
    except duckdb.Error as error:
        raise WarehouseError(
            f"{path} could not be written anew ({str(error).splitlines()[0]}); it is as it was.",
            "See whether it holds tables or views of others that cannot be copied (COPY FROM DATABASE in DuckDB), and move those to another file.",
        ) from error
    finally:
        _remove(partial)
    return before.st_size - path.stat().st_size


def _copy(path: Path, partial: Path, spill: str) -> None:
    with duckdb.connect(":memory:", config={**_MEMORY, "temp_directory": spill}) as connection:
        connection.execute("SET preserve_insertion_order = true")
        connection.execute(f"ATTACH {literal(str(path))} AS {_OLD}")
        connection.execute(f"CHECKPOINT {_OLD}")
        ((version,),) = connection.execute(f"SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = '{_OLD}'").fetchall()
        # Tells that files of that version or later are written, such as "v1.5.0+"; a range like "v1.0.0 - v1.1.3" begins with the first.
        oldest = str(version).split("+")[0].split(" ")[0]
        connection.execute(f"ATTACH {literal(str(partial))} AS {_NEW} (STORAGE_VERSION {literal(oldest)})")
        connection.execute(f"COPY FROM DATABASE {_OLD} TO {_NEW}")
        _compare(connection, path)
        connection.execute(f"CHECKPOINT {_NEW}")
        for name in (_OLD, _NEW):
            connection.execute(f"DETACH {name}")
    if path.with_name(f"{path.name}.wal").exists():
        raise WarehouseError(f"{path} has a log that could not be written into it.", "Open and close the file in the DuckDB shell, then run again.")


def _compare(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    for kind, name in _KINDS.items():
        listed = f"SELECT schema_name, {name} FROM duckdb_{kind}() WHERE database_name = ? ORDER BY ALL"
        old, new = (connection.execute(listed, [database]).fetchall() for database in (_OLD, _NEW))
        if old != new:
            raise WarehouseError(f"{path} could not be written anew: not all of its {kind} were copied; it is as it was.", "Tell us which it holds.")
    tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ?", [_OLD]).fetchall()
    for table in tables:
        qualified = ".".join(quoted(part) for part in table)
        old, new = (connection.execute(f"SELECT count(*) FROM {database}.{qualified}").fetchall() for database in (_OLD, _NEW))
        if old != new:
            raise WarehouseError(f"{path} could not be written anew: {qualified} was not copied whole; it is as it was.", "Run again.")


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}.wal"):
        with suppress(FileNotFoundError):
            path.with_name(name).unlink()
