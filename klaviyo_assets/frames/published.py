"""Opens the published copy for reading."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse import diagnosis
from klaviyo_assets.warehouse.diagnosis import FileFault
from klaviyo_assets.warehouse.interface import WarehouseError

_REPLACE = "If it is the published copy, delete it and materialize the asset published, which writes a new one; otherwise correct the path."

_ADVICE_ON_COPIES = {
    FileFault.NO_LOCKS: "Publish to a local disk, or mount the file system with lock support.",
    FileFault.LOG: (
        "If it is the published copy, delete it and the log, and materialize the asset published, which writes a new one; otherwise correct the path."
    ),
    FileFault.NEWER: "Upgrade duckdb here (pip install --upgrade duckdb), or publish with this version.",
    FileFault.OLDER: _REPLACE,
    FileFault.ENCRYPTED: "Correct the path: a published copy is not encrypted.",
    FileFault.FOREIGN: _REPLACE,
    FileFault.INCOMPLETE: _REPLACE,
    FileFault.DAMAGED: _REPLACE,
}
"""What to do about a copy; unlike the database, it can be written again from what is stored."""

_COPY_NOT_OPENED = (
    "{path} cannot be opened as a published copy ({text}).",
    "Correct the path; if it is the published copy, materialize the asset published, which writes it again.",
)


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
        raise diagnosis.diagnosed(path, error, _COPY_NOT_OPENED, advice=_ADVICE_ON_COPIES) from error
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()
