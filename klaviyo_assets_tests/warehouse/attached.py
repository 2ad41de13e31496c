"""A warehouse from outside the package: an attached database without the capabilities of a DuckDB file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse.interface import Capabilities, Warehouse

_REFUSED = ("rowid", "set data type")
"""Refused in statements: this warehouse has no row numbers and cannot change the type of a column."""


class AttachedDatabase(Warehouse):
    """A DuckDB database, attached under its own name; it refuses everything that its capabilities do not list.

    Args:
        folder: Folder of the database and the state.
        capabilities: What it can do; nothing beyond plain SQL if None.
    """

    def __init__(self, folder: Path, capabilities: Capabilities | None = None) -> None:
        self.capabilities = capabilities or Capabilities()
        self._folder = folder

    @property
    def state_dir(self) -> Path:
        """A folder that is not next to the database."""
        folder = self._folder / "state"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def connection(self) -> Iterator[DuckDBPyConnection]:
        """Attach the database for one piece of work."""
        with duckdb.connect(":memory:", config={"threads": 2}) as connection:
            connection.execute(f"ATTACH '{self._folder / 'shop.db'}' AS lake")
            connection.execute("USE lake")
            connection.execute("SET TimeZone = 'UTC'")
            self.database = "lake"
            yield cast(DuckDBPyConnection, _Refusing(connection))


class _Refusing:
    """A connection that refuses what the warehouse cannot do."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection

    def execute(self, statement: str, *arguments: Any) -> DuckDBPyConnection:
        return self._connection.execute(_checked(statement), *arguments)

    def sql(self, statement: str) -> Any:
        return self._connection.sql(_checked(statement))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _checked(statement: str) -> str:
    if refused := [words for words in _REFUSED if words in statement.lower()]:
        raise duckdb.NotImplementedException(f"This warehouse has no {refused[0]}: {statement}")
    return statement
