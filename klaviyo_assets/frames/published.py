"""Opens the published copy for reading."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse import diagnosis
from klaviyo_assets.warehouse.interface import WarehouseError


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
        raise diagnosis.diagnosed(path, error) from error
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()
