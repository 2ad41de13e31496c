"""Queries of one table for checks and metadata: duplicate keys, unknown attributes, drift, a masked preview."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import polars as pl
from duckdb import DuckDBPyConnection

from klaviyo_assets._internal.sanitize import markdown
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import EXTRA, SYNCED_AT
from klaviyo_assets.load.access.incomplete_rows import count_incomplete
from klaviyo_assets.load.schema.tables import DELETED_AT, Tables
from klaviyo_assets.privacy.columns_with_rules import columns_with_rules
from klaviyo_assets.quality.drift import Drift, DriftFinder
from klaviyo_assets.quality.null_rates import null_rate_drifts
from klaviyo_assets.state.field_rule_log import FieldRuleLog
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.warehouse.ddl import SchemaColumns, table_exists
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import key_columns, key_is_null, key_text, key_value

MASK = "•••"
_MAX_TEXT_LENGTH = 60


@dataclass(frozen=True)
class KeyFindings:
    """Violations of the primary key.

    Attributes:
        rows: Rows that were checked.
        nulls: Rows without a key.
        duplicates: Keys that more than one row has.
        touched_only: True if only keys of rows that the last sync wrote were checked.
    """

    rows: int
    nulls: int
    duplicates: list[str]
    touched_only: bool


@dataclass(frozen=True)
class Inspector:
    """Reads one resource type's table.

    Args:
        connection: An open connection of the warehouse.
        warehouse: The database.
        entry: The resource type.
        schema: DuckDB schema.

    Example:
        >>> with inspecting(warehouse, CATALOG["lists"], "klaviyo") as inspector:
        ...     print(inspector.preview())
    """

    connection: DuckDBPyConnection
    warehouse: Warehouse
    entry: ResourceType
    schema: str

    @property
    def _tables(self) -> Tables:
        return Tables(self.warehouse, self.schema, self.entry)

    def nothing_to_check(self) -> str | None:
        """Return why there are no rows to check, as a sentence; None if the table has rows."""
        name = f"{self.schema}.{self.entry.name}"
        if not table_exists(self.connection, self.schema, self.entry.name):
            return f"The table {name} does not exist."
        if not self.connection.execute(f"SELECT 1 FROM {self._tables.rows} LIMIT 1").fetchall():
            return f"The table {name} is empty."
        return None

    def primary_key(self, touched_since: datetime | None = None) -> KeyFindings:
        """Find keys that are null or not unique, in the whole table or among the rows written since."""
        table, key, columns = self._tables.rows, key_value(self.entry.primary_key), key_columns(self.entry.primary_key)
        touched = f"WHERE {SYNCED_AT} >= ?" if touched_since else ""
        parameters = [touched_since] if touched_since else []
        among = f"WHERE {key} IN (SELECT {columns} FROM {table} {touched})" if touched_since else ""
        ((rows, nulls),) = self.connection.execute(
            f"SELECT count(*), count(*) FILTER ({key_is_null(self.entry.primary_key)}) FROM {table} {touched}", parameters
        ).fetchall()
        duplicates = self.connection.execute(
            f"SELECT {key_text(self.entry.primary_key)} FROM {table} {among} GROUP BY {columns} HAVING count(*) > 1 ORDER BY 1 LIMIT 1000",
            parameters,
        ).fetchall()
        return KeyFindings(rows, nulls, [str(name) for (name,) in duplicates], touched_only=bool(touched_since))

    def unknown_attributes(self) -> list[Drift]:
        """Return the attributes in ``_extra``."""
        return DriftFinder(self.connection, self._tables.rows, self.entry).unknown()

    def drifts(self) -> list[Drift]:
        """Return where the records differ from Klaviyo's schema, apart from the effects of field rules."""
        tables = self._tables
        with_rules = columns_with_rules(self.entry, FieldRuleLog(self.connection, tables.warehouse, tables.schema).fields(self.entry.name))
        return [*DriftFinder(self.connection, tables.rows, self.entry, with_rules).drifts(), *null_rate_drifts(self.connection, tables, with_rules)]

    def fetched_by_id(self) -> int | None:
        """Return how many records the last sync fetched one by one because a response lacked included resources; None if it is not known."""
        return SyncLog(self.connection, self.warehouse, self.schema).fetched_by_id(self.entry.name)

    def incomplete(self) -> int:
        """Return how many rows name included resources that are not stored."""
        tables = self._tables
        names = {column.name for column in tables.entry.included_columns}
        if not names <= set(SchemaColumns(self.connection, self.schema).of(self.entry.name)):
            return 0  # no sync of this version has added the columns yet
        return count_incomplete(self.connection, tables)

    def preview(self, rows: int = 5) -> str:
        """Return the latest rows as a Markdown table, with personal data masked and long text cut."""
        frame = self.connection.sql(
            f"SELECT * EXCLUDE ({EXTRA}) FROM {self._tables.rows} WHERE {DELETED_AT} IS NULL ORDER BY {SYNCED_AT} DESC LIMIT {int(rows)}"
        ).pl()
        return _markdown(frame, {column.name for column in self.entry.columns if column.personal})


@contextmanager
def inspecting(warehouse: Warehouse, entry: ResourceType, schema: str) -> Iterator[Inspector]:
    """Open the database to read one resource type's table.

    Args:
        warehouse: The database.
        entry: The resource type.
        schema: DuckDB schema.

    Raises:
        WarehouseError: If the database cannot be opened or read.
    """
    with warehouse.connection() as connection:
        yield Inspector(connection, warehouse, entry, schema)


def _markdown(frame: pl.DataFrame, masked: set[str]) -> str:
    lines = ["| " + " | ".join(frame.columns) + " |", "|" + " --- |" * frame.width]
    for record in frame.iter_rows(named=True):
        cells = [_cell(value, masked=name in masked) for name, value in record.items()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: object, *, masked: bool) -> str:
    if value is None:
        return ""
    if masked:
        return MASK
    return markdown(str(value), _MAX_TEXT_LENGTH)
