"""The interface of a warehouse, and its optional capabilities."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.warehouse.sql import quoted


class WarehouseError(KlaviyoAssetsError):
    """The database cannot be used."""


class WarehouseBusy(WarehouseError):
    """Another program, or another sync, has the database open; a later attempt may succeed."""


@dataclass(frozen=True)
class Capabilities:
    """What a warehouse can do beyond plain DuckDB SQL.

    The defaults work for every warehouse: they cost more work and give the same tables.

    Attributes:
        exclusive_writer: True if an open connection keeps all other processes out of the database. Without it, a transaction may fail because another
            one has changed the same rows, and is repeated.
        rowid: True if tables have DuckDB's ``rowid``, which does not change within a transaction. Without it, rows are found by primary key.
        alter_type_using: True if ``ALTER COLUMN … SET DATA TYPE … USING`` works. Without it, the table is rebuilt.
        json_column: How a column of JSON is declared: its type and, where the warehouse has them, storage options.
        views: True if it can have views with comments in a schema of their own.
        can_compact: True if :meth:`Warehouse.compact_if_requested` removes the data of deleted rows. Without it, that is up to the warehouse.
        can_copy: True if :meth:`Warehouse.copy_to` writes a copy of the database as a DuckDB file.
    """

    exclusive_writer: bool = False
    rowid: bool = False
    alter_type_using: bool = False
    json_column: str = "JSON"
    views: bool = False
    can_compact: bool = False
    can_copy: bool = False


class Warehouse(Protocol):
    """A database that DuckDB reads and writes, and that holds the tables.

    Implementations subclass it; they need :attr:`capabilities`, :attr:`state_dir` and :meth:`connection`, which sets :attr:`database`.

    Attributes:
        capabilities: What it can do.
        database: The database's name in SQL; known while a connection is open. A file ``klaviyo.duckdb`` is called ``klaviyo``, so that a table of
            a schema of the same name must be named with it: ``klaviyo.events`` would be ambiguous.
    """

    capabilities: Capabilities
    database: str

    @property
    @abstractmethod
    def state_dir(self) -> Path:
        """Folder on this machine for what belongs to the database but is not in it: locks, staged files, the account's identity. It exists."""

    @abstractmethod
    def connection(self) -> AbstractContextManager[DuckDBPyConnection]:
        """Open the database for one short piece of work, and always close it. The database is the current one; the time zone is UTC.

        Raises:
            WarehouseError: If it cannot be opened.
        """

    @contextmanager
    def transaction(self, *, frees_space: bool = True) -> Iterator[DuckDBPyConnection]:
        """Open the database for one transaction; an error rolls all of it back.

        Args:
            frees_space: As for :meth:`transaction_in`.

        Raises:
            WarehouseError: If the database cannot be opened, or fails.
        """
        with self.connection() as connection, self.transaction_in(connection, frees_space=frees_space):
            yield connection

    @contextmanager
    def transaction_in(self, connection: DuckDBPyConnection, *, frees_space: bool = True) -> Iterator[None]:
        """Begin a transaction in an open connection and commit it; an error rolls all of it back.

        Args:
            connection: The connection.
            frees_space: False if a later transaction of the same work frees the space of deleted rows: looking for them takes a while.
        """
        # The order of rows does not matter. Keeping that of many staged files would take a single thread, and memory for waiting rows.
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("BEGIN TRANSACTION")
        try:
            yield
            if frees_space:
                self.before_commit(connection)
        except BaseException:
            with suppress(duckdb.Error):  # the first error is the one to report
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def qualified(self, schema: str, table: str) -> str:
        """Return a table's full name, quoted; only while a connection is open."""
        return ".".join(quoted(part) for part in (self.database, schema, table))

    def before_commit(self, connection: DuckDBPyConnection) -> None:
        """Hook before each commit: free the space of deleted rows if that is worth the work."""
        return

    def before_append(self, connection: DuckDBPyConnection) -> None:
        """Hook in a transaction that only appends rows from here on, many and wide ones."""
        return

    def copies_in_use(self) -> int:
        """Delete temporary copies of tables that no process uses any more, and return how many are in use."""
        return 0

    def request_compaction(self) -> None:
        """Request that the data of deleted rows be removed; called before the commit that deletes them, if the warehouse can compact."""
        return

    def compact_if_requested(self) -> None:
        """Remove the data of deleted rows if that is still requested; called if the warehouse can compact.

        Raises:
            WarehouseError: If that cannot be done now; it stays requested.
        """
        return

    @property
    def compactions(self) -> str:
        """A text that changes whenever the data of deleted rows was removed: copies from before may still hold it."""
        return ""

    def copy_to(self, target: Path) -> None:
        """Write a copy of the database as a DuckDB file, for its owner only; called if the warehouse can copy.

        Args:
            target: The new file; an existing one is replaced.

        Raises:
            WarehouseError: If it cannot be written, or the warehouse cannot copy.
        """
        raise WarehouseError("This kind of warehouse cannot be copied to a DuckDB file.", f"Write {target.name} with the warehouse's own tools.")
