"""Names and definitions of the tables, from the catalogue: created, extended and commented where they differ."""

from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.columns import ADDED_COLUMNS, Column
from klaviyo_assets.catalog.columns import DELETED_AT as DELETED_AT
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import SYNCED_AT
from klaviyo_assets.load.foreign_objects import RARE_TABLES, Ownership
from klaviyo_assets.load.migrations.change_type import collect_misfits, converted, put_misfits_beside
from klaviyo_assets.load.migrations.promote_extra import move_from_extra
from klaviyo_assets.load.row_places import RowPlaces
from klaviyo_assets.state import schema_version as layout
from klaviyo_assets.warehouse.base import Warehouse
from klaviyo_assets.warehouse.ddl import INSTANT, Columns, existing_columns, prepare_table, table_exists
from klaviyo_assets.warehouse.sql import quoted

_ADDED_COLUMNS: Columns = {column.name: (str(column.type), column.description) for column in ADDED_COLUMNS}

_SYNCS = {
    "id": ("VARCHAR", "Id of the sync."),
    "resource_type": ("VARCHAR", "Table that it synced."),
    "account_id": ("VARCHAR", "Klaviyo account, or unknown if the key may not ask."),
    "mode": ("VARCHAR", "incremental, full, range or repair."),
    "windows": ("JSON", "Spans of time fields that it set out to read."),
    "requests": ("BIGINT", "HTTP requests sent, repeated ones included."),
    "bytes": ("BIGINT", "Bytes of answers, decompressed."),
    "throttled": ("BIGINT", "Answers with status 429."),
    "seconds_waited": ("DOUBLE", "Seconds that requests waited for the rate limit, added up over all that waited at once."),
    "records_read": ("BIGINT", "Records received, before duplicates are dropped."),
    "rows_inserted": ("BIGINT", "Rows that were new."),
    "rows_updated": ("BIGINT", "Rows whose content changed."),
    "rows_deleted": ("BIGINT", "Rows marked as deleted."),
    "table_rows": ("BIGINT", "Rows of the table after the sync's latest commit, those marked as deleted included; null if no sync recorded it."),
    "table_newest": (INSTANT, "The latest _synced_at of the table then."),
    "started_at": (INSTANT, "When it started, on Klaviyo's clock."),
    "finished_at": (INSTANT, "When it ended, on Klaviyo's clock; for a killed one, when the next sync found it."),
    "outcome": ("VARCHAR", "running, succeeded, failed or killed."),
    "error_class": ("VARCHAR", "Class of the error that it failed with."),
    "error": ("VARCHAR", "What went wrong."),
    "run_id": ("VARCHAR", "Dagster run."),
}

_COVERAGE = {
    "account_id": ("VARCHAR", "Klaviyo account, or unknown."),
    "resource_type": ("VARCHAR", "Table."),
    "division": ("VARCHAR", "Part of the type that is read apart."),
    "field": ("VARCHAR", "Time field."),
    "span_start": (INSTANT, "Records whose field is from here on (-infinity: from the first) …"),
    "span_end": (INSTANT, "… and before this were all read."),
    "read_at": (INSTANT, "When that read began, on Klaviyo's clock."),
    "fingerprint": ("VARCHAR", "Of the options and columns that were read."),
    "settled": ("BOOLEAN", "Whether it was read after its last lookback age, so that it need not be read again."),
}

_MISSED = {
    "resource_type": ("VARCHAR", "Table."),
    "column_name": ("VARCHAR", "Column that rows had a value in, and that no row written since has one in."),
    "rows_before": ("BIGINT", "Rows that were looked at before, the latest ones."),
    "had_before": ("BIGINT", "How many of them had a value."),
    "since": (INSTANT, "When the first row without one was read."),
    "rows_since": ("BIGINT", "Rows written since that lack it, though they are new or had it before."),
}


@dataclass(frozen=True)
class Prepared:
    """What was missing when tables were prepared.

    Attributes:
        made: Tables that were created, unquoted; ``_layout`` also where it was empty.
        changed: Columns of the resource type's table that were added or have got another type.
    """

    made: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Tables:
    """The tables of one resource type in one schema, with their whole names; to be used while a connection is open.

    Args:
        warehouse: The database.
        schema: DuckDB schema.
        entry: The resource type.
    """

    warehouse: Warehouse
    schema: str
    entry: ResourceType

    @property
    def rows(self) -> str:
        """The table of the resource type."""
        return self.warehouse.qualified(self.schema, self.entry.name)

    @property
    def rebuilt(self) -> str:
        """The table that a full read fills before it is swapped in."""
        return self.warehouse.qualified(self.schema, self.rebuilt_name)

    @property
    def rebuilt_name(self) -> str:
        """Unquoted name of :attr:`rebuilt`."""
        return f"_{self.entry.name}_rebuilt"

    @property
    def syncs(self) -> str:
        """One row per attempt to sync."""
        return self.warehouse.qualified(self.schema, "_syncs")

    @property
    def coverage(self) -> str:
        """The spans that have been read."""
        return self.warehouse.qualified(self.schema, "_coverage")

    @property
    def missed(self) -> str:
        """The columns that have lost their values."""
        return self.warehouse.qualified(self.schema, "_missed")

    def prepare(self, connection: DuckDBPyConnection) -> Prepared:
        """Create what is missing, add columns that are new in the catalogue, and set types and comments that differ.

        Where a column of the resource type had to be added or converted, the coverage gets another fingerprint: whoever removed the column, what was
        read before is not in the table now.

        Raises:
            NewerLayout: If a later version of this library has written the schema.
            NotOurs: If another program uses our names in the schema.
        """
        Ownership(connection, self.warehouse, self.schema).check(
            dict.fromkeys((self.entry.name, self.rebuilt_name), self.entry.primary_key),
            {"_syncs": _SYNCS, "_coverage": _COVERAGE, "_missed": _MISSED, layout.NAME: layout.COLUMNS, **RARE_TABLES},
        )
        layout.refuse_newer(connection, self.warehouse, self.schema)
        made = tuple(name for name in (self.entry.name, "_syncs", "_coverage", "_missed") if not table_exists(connection, self.schema, name))
        if not layout.is_recorded(connection, self.warehouse, self.schema):
            made += (layout.NAME,)
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self.warehouse.database)}.{quoted(self.schema)}")
        self._prepare(connection, "_syncs", _SYNCS, "One row per sync of a resource type, failed and killed ones too.")
        self._prepare(connection, "_coverage", _COVERAGE, "The spans of time that have been read, by resource type and field.")
        self._prepare(connection, "_missed", _MISSED, "Columns that rows had a value in, and that rows written since lack.")
        retyped = self._retyped(connection)
        changed = prepare_table(connection, self.warehouse, self.schema, self.entry.name, self._columns(), self.entry.description, converted)
        for column in retyped:
            put_misfits_beside(connection, self.places(connection, types_change=True), column)
        if changed:
            move_from_extra(connection, self.places(connection), self.entry)
        # A column that `_extra` has kept the values for until now was just filled from there.
        kept = {column.name for column in self.entry.columns if column.was_in_extra}
        if lost := [column for column in changed if column not in (SYNCED_AT, DELETED_AT, *kept)]:
            connection.execute(f"UPDATE {self.coverage} SET fingerprint = ? WHERE resource_type = ?", [f"without {', '.join(lost)}", self.entry.name])
        self._prepare(connection, layout.NAME, layout.COLUMNS, "Which version of the tables' layout this schema has.")
        layout.record(connection, self.warehouse, self.schema)
        return Prepared(made, tuple(changed))

    def places(self, connection: DuckDBPyConnection, *, types_change: bool = False) -> RowPlaces:
        """Return the places of the rows for one transaction.

        Args:
            connection: The database.
            types_change: True if columns get another type in this transaction, which may rebuild the table.
        """
        capabilities = self.warehouse.capabilities
        rowid = capabilities.rowid and (capabilities.alter_type_using or not types_change)
        return RowPlaces.of(connection, self.rows, self.entry.primary_key, rowid=rowid)

    def create_rebuilt(self, connection: DuckDBPyConnection) -> None:
        """Create an empty table for a full read, in place of one that was left behind."""
        connection.execute(f"DROP TABLE IF EXISTS {self.rebuilt}")
        self._prepare(connection, self.rebuilt_name, self._columns(), self.entry.description)

    def _retyped(self, connection: DuckDBPyConnection) -> list[Column]:
        """Return the columns that are about to get another type, the values that do not fit it collected."""
        existing = existing_columns(connection, self.schema, self.entry.name)
        found = [column for column in self.entry.columns if column.name in existing and existing[column.name][0] != column.type]
        if found:
            Ownership(connection, self.warehouse, self.schema).refuse_indexes(self.entry.name, [column.name for column in found])
        for column in found:
            collect_misfits(connection, self.places(connection, types_change=True), column, existing[column.name][0])
        return found

    def _columns(self) -> Columns:
        columns = {
            column.name: (self.warehouse.capabilities.json_column if column.type == "JSON" else str(column.type), column.description)
            for column in self.entry.columns
        }
        return columns | _ADDED_COLUMNS

    def _prepare(self, connection: DuckDBPyConnection, name: str, columns: Columns, description: str) -> list[str]:
        return prepare_table(connection, self.warehouse, self.schema, name, columns, description)
