"""Rewrites a DuckDB file without its free blocks, which hold data of deleted rows."""

import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import duckdb

from klaviyo_assets._internal import os_errors, private_files
from klaviyo_assets.warehouse import diagnosis
from klaviyo_assets.warehouse.file_attributes import NO_LINK, keep_attributes
from klaviyo_assets.warehouse.interface import WarehouseError
from klaviyo_assets.warehouse.sql import literal, quoted

_OLD_DATABASE, _NEW_DATABASE = "old", "new"

_HEADERS = 12_288
"""Bytes of a DuckDB file's headers."""

# Kinds of objects in a database; DuckDB lists those of all attached databases in duckdb_<kind>(), with their names in this column.
_NAME_COLUMNS = {"tables": "table_name", "views": "view_name", "indexes": "index_name", "sequences": "sequence_name"}


def compact(path: Path, spill: str, settings: Mapping[str, str]) -> int:
    """Write a new copy of a DuckDB file and replace the old one; the caller holds the file lock.

    Tables, views, sequences, macros, comments and the format's version are kept, as are the file's owner, group, mode and extended attributes (access
    control lists among them). The new file is compared with the old one before it takes its place, which happens in one step. Until then, and if
    anything fails, the old file stays unchanged.

    DuckDB keeps the old file locked until the new one has its name, so other programs wait. A program that opened the old file just before, and gets
    the lock just after, would commit to a deleted file. Therefore the header of the old file is overwritten before the lock is released, and DuckDB
    refuses that file.

    Remains of the old file in the file system or on the disk itself are not removed.

    Args:
        path: The file; this process does not have it open.
        spill: Folder for what does not fit into memory; DuckDB creates and removes it. By default it would be in the working folder.
        settings: DuckDB's settings for the work: memory and threads.

    Returns:
        Bytes by which the file has become smaller; less than zero if it has grown.

    Raises:
        WarehouseError: If there is no room for a second file, its owner could not be kept, or the file holds something that cannot be copied.
    """
    before = path.stat()
    _refuse_other_owners(path, before)
    free = shutil.disk_usage(path.parent).free
    if free < before.st_size:
        raise WarehouseError(
            f"{path} cannot be rewritten: that takes up to {before.st_size / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free.",
            "Free disk space; the next sync tries again.",
        )
    partial = path.with_name(f"{path.name}.compacting")
    _remove(partial)
    try:
        with ExitStack() as cleanup, duckdb.connect(":memory:", config={**settings, "temp_directory": spill}) as connection:
            _copy(connection, path, partial)
            keep_attributes(path, partial, before)
            _flush(partial)
            old = os.open(path, os.O_RDWR | NO_LINK)
            cleanup.callback(os.close, old)  # after DuckDB has closed it: closing it would release DuckDB's lock
            partial.replace(path)
            _invalidate(old, path.parent)
    except duckdb.Error as error:
        if diagnosis.elsewhere(error) is not None:
            raise diagnosis.diagnosed(path, error) from error
        raise WarehouseError(
            f"{path} could not be rewritten ({str(error).splitlines()[0]}); it was left as it was.",
            "See whether it holds tables or views of others that cannot be copied (COPY FROM DATABASE in DuckDB), and move those to another file.",
        ) from error
    except OSError as error:
        what, advice = os_errors.meaning(error) or (error.strerror or str(error), "Check free disk space and permissions there")
        raise WarehouseError(f"{path} could not be rewritten: {what}.", f"{advice}; the next sync tries again.") from error
    finally:
        _remove(partial)
    return before.st_size - path.stat().st_size


def _copy(connection: duckdb.DuckDBPyConnection, path: Path, partial: Path) -> None:
    """Copy a database; the old one stays attached and therefore locked, the new one is closed."""
    connection.execute("SET preserve_insertion_order = true")
    connection.execute(f"ATTACH {literal(str(path))} AS {_OLD_DATABASE}")
    connection.execute(f"CHECKPOINT {_OLD_DATABASE}")
    ((version,),) = connection.execute(f"SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = '{_OLD_DATABASE}'").fetchall()
    # The oldest version that can read the file, as in "v1.5.0+" or "v1.0.0 - v1.1.3".
    oldest = str(version).split("+")[0].split(" ")[0]
    connection.execute(f"ATTACH {literal(str(partial))} AS {_NEW_DATABASE} (STORAGE_VERSION {literal(oldest)})")
    connection.execute(f"COPY FROM DATABASE {_OLD_DATABASE} TO {_NEW_DATABASE}")
    _compare(connection, path)
    connection.execute(f"CHECKPOINT {_NEW_DATABASE}")
    connection.execute(f"DETACH {_NEW_DATABASE}")
    log = path.with_name(f"{path.name}.wal")
    if log.exists() and log.stat().st_size:
        raise WarehouseError(f"{path} has a log that could not be written into it.", "Open and close the file in the DuckDB shell, then run again.")


def _refuse_other_owners(path: Path, facts: os.stat_result) -> None:
    """Refuse a file of another owner: the new file would belong to this user and lock the owner out."""
    if hasattr(os, "geteuid") and os.geteuid() not in {0, facts.st_uid}:
        raise WarehouseError(
            f"{path} cannot be rewritten: it belongs to another user (uid {facts.st_uid}, this process runs as {os.geteuid()}).",
            "Run this as that user, or as root, who can give the new file to that user.",
        )


def _invalidate(old: int, folder: Path) -> None:
    """Overwrite the header of a deleted file, so that DuckDB refuses it.

    Only if the new name will survive a crash of the machine, and the old file has no other name (a backup's hard link).

    Args:
        old: The old file, open.
        folder: Folder of the new file.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        return  # a file system whose folders cannot be flushed
    if os.fstat(old).st_nlink == 0:
        os.pwrite(old, bytes(_HEADERS), 0)


def _compare(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    for kind, name in _NAME_COLUMNS.items():
        listed = f"SELECT schema_name, {name} FROM duckdb_{kind}() WHERE database_name = ? ORDER BY ALL"
        old, new = (connection.execute(listed, [database]).fetchall() for database in (_OLD_DATABASE, _NEW_DATABASE))
        if old != new:
            raise WarehouseError(
                f"{path} could not be rewritten: not all of its {kind} were copied; it was left as it was.", "Report which objects it holds."
            )
    tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ?", [_OLD_DATABASE]).fetchall()
    for table in tables:
        qualified = ".".join(quoted(part) for part in table)
        old, new = (connection.execute(f"SELECT count(*) FROM {database}.{qualified}").fetchall() for database in (_OLD_DATABASE, _NEW_DATABASE))
        if old != new:
            raise WarehouseError(f"{path} could not be rewritten: {qualified} was not copied completely; it was left as it was.", "Run again.")


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}.wal"):
        private_files.remove_file(path.with_name(name))
