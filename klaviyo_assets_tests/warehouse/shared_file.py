"""A DuckDB file with two concurrent writers in one process, like a warehouse without an exclusive writer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse.interface import Capabilities, Warehouse


class SharedFile(Warehouse):
    """The file. Another writer commits a change in the middle of the first transactions that reach a given statement.

    Args:
        folder: Folder of the file and the state.

    Attributes:
        before: The other writer commits before a statement that begins with this.
        change: SQL that it runs.
        times: How often it still does so.
    """

    def __init__(self, folder: Path) -> None:
        self.capabilities = Capabilities()
        self.database = "shop"
        self.before, self.change, self.times = "", "", 0
        self._folder = folder
        self._file = duckdb.connect(str(folder / "shop.db"), config={"threads": 2})

    @property
    def state_dir(self) -> Path:
        """A folder next to the file."""
        folder = self._folder / "state"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def connection(self) -> Iterator[DuckDBPyConnection]:
        """Open a second connection to the file."""
        with self._file.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            yield cast(DuckDBPyConnection, _Interrupted(cursor, self))

    def interrupt(self, statement: str) -> None:
        """Let the other writer commit if the statement begins as given."""
        if self.times and self.before and statement.startswith(self.before):
            self.times -= 1
            with self._file.cursor() as another:
                another.execute(self.change)


class _Interrupted:
    """A connection that lets the other writer commit before a statement."""

    def __init__(self, connection: DuckDBPyConnection, file: SharedFile) -> None:
        self._connection, self._file = connection, file

    def execute(self, statement: str, *arguments: Any) -> DuckDBPyConnection:
        self._file.interrupt(statement)
        return self._connection.execute(statement, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
