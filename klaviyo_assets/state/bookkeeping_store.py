"""Base class of the bookkeeping tables, which declare a name, columns and comments and work in an open transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse.ddl import Columns, SchemaColumns, has_column, prepare_table, table_exists
from klaviyo_assets.warehouse.interface import Warehouse


@dataclass(frozen=True)
class BookkeepingStore:
    """A bookkeeping table of one schema. It does not open or commit anything, but works in the caller's transaction.

    Each subclass declares its table, and its methods are the only code that writes the table's rows, apart from ``state/layout_migration.py``, which
    converts the tables of older layouts, and ``publish/publisher.py``, which leaves some of them out of the copy for readers.

    Args:
        connection: The database, open.
        warehouse: The same.
        schema: DuckDB schema.
        known: The schema's columns, if they have been read.

    Attributes:
        NAME: The table's name, unquoted.
        COLUMNS: Type and comment of its columns, by name.
        DESCRIPTION: The table's comment.
    """

    connection: DuckDBPyConnection
    warehouse: Warehouse
    schema: str
    known: SchemaColumns | None = None

    NAME: ClassVar[str]
    COLUMNS: ClassVar[Columns]
    DESCRIPTION: ClassVar[str]

    @property
    def table(self) -> str:
        """The table's qualified name, quoted."""
        return self.warehouse.qualified(self.schema, self.NAME)

    @property
    def exists(self) -> bool:
        """Whether the table exists."""
        if self.known is not None:
            return bool(self.known.of(self.NAME))
        return table_exists(self.connection, self.schema, self.NAME)

    def prepare(self) -> None:
        """Create the table, or add missing columns and comments. The schema must exist."""
        prepare_table(self.connection, self.warehouse, self.schema, self.NAME, self.COLUMNS, self.DESCRIPTION, known=self.known)

    def resource_types(self) -> set[str]:
        """Return the resource types with rows in the table; empty if there is no such table or column."""
        if not has_column(self.connection, self.schema, self.NAME, "resource_type"):
            return set()
        return {name for (name,) in self._rows(f"SELECT DISTINCT resource_type FROM {self.table} WHERE resource_type IS NOT NULL")}

    def _rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql, list(parameters)).fetchall()

    def _count(self, condition: str, parameters: Sequence[object] = ()) -> int:
        ((count,),) = self._rows(f"SELECT count(*) FROM {self.table} WHERE {condition}", parameters)
        return int(count)
