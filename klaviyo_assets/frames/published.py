"""Opens the published copy for reading."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets._internal import os_errors
from klaviyo_assets.warehouse import diagnosis
from klaviyo_assets.warehouse.interface import WarehouseBusy, WarehouseError


@contextmanager
def published_copy(path: Path) -> Iterator[DuckDBPyConnection]:
    """Open a published copy; no sync waits for that.

    Args:
        path: The file.

    Raises:
        WarehouseError: If it does not exist or cannot be opened.
    """
    if not path.is_file():
        raise WarehouseError(f"There is no published copy {path} yet.", "Materialize the asset published first.")
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise _diagnosed(path, error) from error
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def _diagnosed(path: Path, error: duckdb.Error) -> WarehouseError:
    """Return what is wrong with a copy; unlike the database, it can be written again from what is stored."""
    found = diagnosis.diagnosed(path, error)
    if isinstance(found, WarehouseBusy) or diagnosis.is_open_in_this_process(error) or os_errors.named_in(str(error)) is not None:
        return found
    return WarehouseError(
        found.summary,
        "If it is the published copy, delete it and materialize the asset published, which writes a new one; otherwise correct the path.",
    )
