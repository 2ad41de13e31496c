"""Names and definitions of the tables, from the catalog. Creates missing tables and columns, and updates types and comments."""

from collections.abc import Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.columns import ADDED_COLUMNS, COMPUTED, WITHIN, Column
from klaviyo_assets.catalog.columns import DELETED_AT as DELETED_AT
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import SYNCED_AT
from klaviyo_assets.load.migrations.change_type import collect_unconvertible, converted, keep_unconvertible_in_extra
from klaviyo_assets.load.migrations.fill_within import fill_within
from klaviyo_assets.load.migrations.promote_extra import move_from_extra
from klaviyo_assets.load.parts.row_places import RowPlaces
from klaviyo_assets.load.schema.foreign_objects import Ownership
from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.state.changed_periods import ChangedPeriods
from klaviyo_assets.state.computed_columns import ComputedColumns
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.erasures import Erasures
from klaviyo_assets.state.field_rule_log import FieldRuleLog
from klaviyo_assets.state.layout_migration import LayoutMigration
from klaviyo_assets.state.metric_view_names import MetricViewNames, Properties
from klaviyo_assets.state.null_rate_log import NullRateLog
from klaviyo_assets.state.requested_rereads import Rereads
from klaviyo_assets.state.schema_version import SchemaVersion
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.state.tombstones import Tombstones
from klaviyo_assets.state.unanswered import Unanswered
from klaviyo_assets.warehouse.ddl import Columns, SchemaColumns, prepare_table, table_exists
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import quoted

_ADDED_COLUMNS: Columns = {column.name: (str(column.type), column.description) for column in ADDED_COLUMNS}

_ALWAYS_CREATED: Sequence[type[BookkeepingStore]] = (SyncLog, CoverageStore, NullRateLog, Rereads)
"""Bookkeeping tables of every schema, in the order in which they are created; ``_layout`` comes last."""

_ON_DEMAND: Sequence[type[BookkeepingStore]] = (
    Tombstones,
    Erasures,
    FieldRuleLog,
    ComputedColumns,
    Properties,
    MetricViewNames,
    ChangedPeriods,
    Unanswered,
)
"""Bookkeeping tables that only some schemas have."""


@dataclass(frozen=True)
class Prepared:
    """Changes made while the tables were prepared.

    Attributes:
        made: Tables that were created, unquoted; also ``_layout`` if it was empty.
        changed: Columns of the resource type's table that were added or changed their type.
        notes: Messages for the user about the migration from an older layout.
    """

    made: tuple[str, ...]
    changed: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tables:
    """The tables of one resource type in one schema, with qualified names. Use it while a connection is open.

    Args:
        warehouse: The database.
        schema: DuckDB schema.
        entry: The resource type.
        selected: SQL condition for rows that syncs read: complete reads mark no others as deleted.
    """

    warehouse: Warehouse
    schema: str
    entry: ResourceType
    selected: str = "true"

    @property
    def rows(self) -> str:
        """The table of the resource type."""
        return self.warehouse.qualified(self.schema, self.entry.name)

    @property
    def parent_column(self) -> str:
        """Column of a child type with the id of the parent, for SQL."""
        return quoted(self.entry.required_parent.column)

    @property
    def rebuilt(self) -> str:
        """The table that a full read fills before it is swapped in."""
        return self.warehouse.qualified(self.schema, self.rebuilt_name)

    @property
    def rebuilt_name(self) -> str:
        """Unquoted name of :attr:`rebuilt`."""
        return rebuilt_name_of(self.entry.name)

    def prepare(self, connection: DuckDBPyConnection, known: SchemaColumns | None = None) -> Prepared:
        """Create missing tables, add columns that are new in the catalog, and correct types and comments.

        If a column of the resource type had to be added or converted, the fingerprint of the coverage changes, since the table lacks the values that
        were read before.

        Args:
            connection: The database, in a transaction.
            known: The schema's columns, for later queries of the same transaction.

        Raises:
            NewerLayout: If a later version of this library has written the schema.
            NotOurs: If another program uses our names in the schema.
        """
        place, known = (connection, self.warehouse, self.schema), known or SchemaColumns(connection, self.schema)
        version, migration = SchemaVersion(*place, known), LayoutMigration(*place, known)
        stores: Sequence[type[BookkeepingStore]] = (*_ALWAYS_CREATED, SchemaVersion, *_ON_DEMAND)
        declared = {store.NAME: store.COLUMNS for store in stores}
        version.reject_newer()
        Ownership(*place, known).check(dict.fromkeys((self.entry.name, self.rebuilt_name), self.entry.primary_key), migration.columns_now(declared))
        notes = migration.run()
        made = tuple(name for name in (self.entry.name, *(store.NAME for store in _ALWAYS_CREATED)) if not known.of(name))
        if version.version is None:
            made += (version.NAME,)
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self.warehouse.database)}.{quoted(self.schema)}")
        for store in _ALWAYS_CREATED:
            store(*place, known).prepare()
        retyped = self._retyped(connection, known)
        changed = self._prepare(connection, self.entry.name, known)
        for column in retyped:
            keep_unconvertible_in_extra(connection, self.places(connection, types_change=True), column)
        if changed:
            move_from_extra(connection, self.places(connection), self.entry)
            fill_within(connection, self.places(connection), self.entry, changed)
        # Columns with values in `_extra` or inside another column were just filled from there; computed ones are filled by the recompute of the sync.
        filled = {column.name for column in self.entry.columns if column.was_in_extra or column.path[0] in (WITHIN, COMPUTED)}
        if lost := [column for column in changed if column not in (SYNCED_AT, DELETED_AT, *filled)]:
            CoverageStore(*place).change_fingerprint(self.entry.name, f"without {', '.join(lost)}")
        version.record()
        return Prepared(made, tuple(changed), tuple(notes))

    def places(self, connection: DuckDBPyConnection, *, types_change: bool = False) -> RowPlaces:
        """Return the places of the rows for one transaction.

        Args:
            connection: The database.
            types_change: True if this transaction changes column types, which may rebuild the table.
        """
        capabilities = self.warehouse.capabilities
        rowid = capabilities.rowid and (capabilities.alter_type_using or not types_change)
        return RowPlaces.of(connection, self.rows, self.entry.primary_key, rowid=rowid)

    def ids_of(self, connection: DuckDBPyConnection, other: ResourceType) -> list[str] | None:
        """Return the ids of another type's records that are not marked as deleted, ascending; None if it has no table.

        A record of a child type may be in several rows, one for each of its own parents; its id is returned once.
        """
        if not table_exists(connection, self.schema, other.name):
            return None
        table, id_ = self.warehouse.qualified(self.schema, other.name), quoted(other.id_column or "id")
        rows = connection.execute(f"SELECT DISTINCT {id_} FROM {table} WHERE {DELETED_AT} IS NULL ORDER BY {id_}").fetchall()
        return [value for (value,) in rows]

    def create_rebuilt(self, connection: DuckDBPyConnection) -> None:
        """Create an empty table for a full read, replacing one left by an interrupted read."""
        connection.execute(f"DROP TABLE IF EXISTS {self.rebuilt}")
        self._prepare(connection, self.rebuilt_name)

    def _retyped(self, connection: DuckDBPyConnection, known: SchemaColumns) -> list[Column]:
        """Return the columns that change their type, after collecting the values that cannot be converted."""
        existing = known.of(self.entry.name)
        found = [column for column in self.entry.columns if column.name in existing and existing[column.name][0] != column.type]
        if found:
            Ownership(connection, self.warehouse, self.schema).reject_indexes(self.entry.name, [column.name for column in found])
        for column in found:
            collect_unconvertible(connection, self.places(connection, types_change=True), column, existing[column.name][0])
        return found

    def _columns(self) -> Columns:
        columns = {
            column.name: (self.warehouse.capabilities.json_column if column.type == "JSON" else str(column.type), column.description)
            for column in self.entry.columns
        }
        return {**columns, **_ADDED_COLUMNS}

    def _prepare(self, connection: DuckDBPyConnection, name: str, known: SchemaColumns | None = None) -> list[str]:
        return prepare_table(connection, self.warehouse, self.schema, name, self._columns(), self.entry.description, convert=converted, known=known)


def rebuilt_name_of(resource_type: str) -> str:
    """Return the unquoted name of the table that a full read of a resource type fills before it is swapped in."""
    return f"_{resource_type}_rebuilt"
