"""What every place that holds the tables must offer."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path

from duckdb import DuckDBPyConnection

from klaviyo_assets._internal.sanitize import one_line
from klaviyo_assets.warehouse.sql import literal as literal
from klaviyo_assets.warehouse.sql import quoted as quoted


class WarehouseError(Exception):
    """The database cannot be used.

    Args:
        summary: What happened and where, one sentence.
        advice: What the user can do next.
    """

    def __init__(self, summary: str, advice: str) -> None:
        self.summary = one_line(summary)
        self.advice = one_line(advice)
        super().__init__(f"{self.summary} What to do: {self.advice}")


class WarehouseBusy(WarehouseError):
    """Another program, or another sync, has the database open; that may be over by the next try."""


class Warehouse(ABC):
    """A DuckDB database that holds the tables.

    Attributes:
        json_column: How a column of JSON is declared.
        database: The database's name in SQL; known while a connection is open. A file ``klaviyo.duckdb`` is called ``klaviyo``, so that a table of
            a schema of the same name must be named with it: ``klaviyo.events`` would be ambiguous.
    """

    json_column = "JSON"
    database: str

    def qualified(self, schema: str, table: str) -> str:
        """Return a table's whole name, quoted; only while a connection is open."""
        return ".".join(quoted(part) for part in (self.database, schema, table))

    @property
    @abstractmethod
    def state_dir(self) -> Path:
        """Folder for what belongs to the database but not in it: locks, staged files, the account's identity."""

    @abstractmethod
    def connection(self) -> AbstractContextManager[DuckDBPyConnection]:
        """Open the database for one short piece of work, alone, and close it on every path.

        Raises:
            WarehouseError: If it cannot be opened.
        """

    def reclaim(self, connection: DuckDBPyConnection) -> None:  # noqa: B027 (a place that looks after itself has nothing to do)
        """Let go of the space of deleted rows where that is worth its work; called before each commit."""

    def only_append(self, connection: DuckDBPyConnection) -> None:  # noqa: B027
        """Get ready for a transaction that from here on only appends rows, many and wide."""

    def copies_in_use(self) -> int:
        """Return how many temporary copies of tables other work still reads, having deleted those that nobody does."""
        return 0

    def ask_for_compaction(self) -> None:  # noqa: B027 (a place without a file of its own has nothing to do)
        """Note that what rows held before must not stay anywhere; called before the commit that changes them."""

    def compact_if_asked(self) -> None:  # noqa: B027
        """Write the database anew, without what rows held before, if that has been asked for and not been done.

        Raises:
            WarehouseError: If that cannot be done now; it stays asked for.
        """
