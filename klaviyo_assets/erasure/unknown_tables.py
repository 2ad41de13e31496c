"""Finds tables of this library whose resource type the erasing program does not know: it cannot know which of their rows are about a person."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog import Catalog
from klaviyo_assets.catalog.columns import ADDED_COLUMNS, SYNCED_AT
from klaviyo_assets.errors import SyncError
from klaviyo_assets.load.schema.tables import rebuilt_name_of
from klaviyo_assets.state.bookkeeping_copy import BookkeepingCopy
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.field_rule_log import FieldRuleLog
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.warehouse.ddl import existing_columns
from klaviyo_assets.warehouse.interface import Warehouse

_OUR_COLUMNS = {column.name for column in ADDED_COLUMNS}


@dataclass(frozen=True)
class UnknownTables:
    """The tables of one schema that syncs have filled and whose type is not in the catalog. Use it in a transaction.

    A table counts as ours if the bookkeeping names it. If another program has emptied the bookkeeping, the table still has our columns with their
    comments; a copy that a user has made of a table has no comments.

    Args:
        connection: The database.
        warehouse: The same.
        schema: DuckDB schema.
        catalog: The resource types that are known.
    """

    connection: DuckDBPyConnection
    warehouse: Warehouse
    schema: str
    catalog: Catalog

    def refuse(self) -> None:
        """Refuse to erase if there is such a table.

        Raises:
            SyncError: Naming the tables, and how to make their types known.
        """
        if names := self.names():
            raise SyncError(
                f"The schema {self.schema} has tables of resource types that this program does not know: {', '.join(names)}. It cannot tell which of "
                "their rows are about the person. Nothing was erased.",
                "Give erase the catalog with these types: --catalog MODULE:VARIABLE on the command line, catalog= in Python. If no code location "
                "syncs a table any more, drop it, or move it to another schema.",
            )

    def names(self) -> list[str]:
        """Return their names as they are written in the schema, ascending."""
        unknown = {*_tables_of(self._recorded()), *self._with_our_columns()} - {*_tables_of(self.catalog)}
        return [name for name in self._tables() if name.lower() in unknown]

    def _recorded(self) -> Iterator[str]:
        """Yield the resource types that the bookkeeping names."""
        for store in (SyncLog, CoverageStore, FieldRuleLog):
            yield from store(self.connection, self.warehouse, self.schema).resource_types()
        yield from BookkeepingCopy(self.warehouse, self.schema).types_with_rules

    def _with_our_columns(self) -> Iterator[str]:
        """Yield the tables that have our columns, with a comment, in lower case."""
        for table in self._tables():
            columns = existing_columns(self.connection, self.schema, table)
            if columns.keys() >= _OUR_COLUMNS and columns[SYNCED_AT][1] is not None:
                yield table.lower()

    def _tables(self) -> list[str]:
        rows = self.connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND lower(schema_name) = lower(?) ORDER BY ALL",
            [self.schema],
        ).fetchall()
        return [name for (name,) in rows]


def _tables_of(resource_types: Iterable[str]) -> Iterator[str]:
    """Yield the names of their tables, in lower case, since DuckDB does not distinguish case."""
    for name in resource_types:
        yield name.lower()
        yield rebuilt_name_of(name).lower()
