"""Migrates the bookkeeping tables of older layouts to the current one, in the transaction that first opens them.

Layout 2 renames tables, columns and states, stores coverage per parent, and moves the windows that a repair reads again from the audit's table into
their own table.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from duckdb import DuckDBPyConnection

from klaviyo_assets.errors import NotOurs
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.field_rule_log import FieldRuleLog
from klaviyo_assets.state.null_rate_log import NullRateLog
from klaviyo_assets.state.requested_rereads import Rereads
from klaviyo_assets.state.schema_version import SchemaVersion
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.warehouse.ddl import Columns, SchemaColumns, table_exists
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import quoted

_RENAMED_TABLES = {"_missed": NullRateLog.NAME}

_RENAMED_COLUMNS: Mapping[str, Mapping[str, str]] = {
    SyncLog.NAME: {"windows": "slices"},
    CoverageStore.NAME: {"division": "subset", "span_start": "window_start", "span_end": "window_end", "settled": "final"},
    NullRateLog.NAME: {"had_before": "values_before", "since": "null_since", "rows_since": "null_rows"},
    FieldRuleLog.NAME: {"salt": "salt_fingerprint"},
    "_audits": {"differing": "mismatches"},
    "_audit_days": {"theirs": "klaviyo_count", "ours": "table_count", "read_again_at": "reread_at"},
}
"""New column names by old ones, by the table's current name."""

_AUDIT_STATES = {"differs": "mismatch", "struck": "reread_pending", "confirmed": "unresolved"}

_IDENTIFYING_COLUMNS: Mapping[str, tuple[str, ...]] = {
    SyncLog.NAME: ("id", "resource_type", "started_at", "outcome"),
    CoverageStore.NAME: ("resource_type", "field", "read_at", "fingerprint"),
    "_missed": ("resource_type", "column_name"),
    FieldRuleLog.NAME: ("resource_type", "field", "action"),
    "_audits": ("audited_at", "compared_from"),
    "_audit_days": ("metric_id", "day", "state", "audited_at"),
}
"""Columns that identify a table of an older layout as this library's, by its old name. Tables of other programs are not touched."""


@dataclass(frozen=True)
class LayoutMigration:
    """The migration of one schema, in the caller's transaction.

    Args:
        connection: The database.
        warehouse: The same.
        schema: DuckDB schema.
        known: The schema's columns, if they have been read; forgotten if the schema is migrated.
    """

    connection: DuckDBPyConnection
    warehouse: Warehouse
    schema: str
    known: SchemaColumns | None = None

    @property
    def is_needed(self) -> bool:
        """Whether the schema has a table with the name or columns of an older layout."""
        return any(self._is_ours(old) and self._is_older(old) for old in _IDENTIFYING_COLUMNS)

    def run(self) -> list[str]:
        """Migrate the schema, unless it is migrated already or has no bookkeeping tables.

        Returns:
            Messages for the user.

        Raises:
            NotOurs: If an index prevents renaming a column, or another program uses the new name of a table.
        """
        if not self.is_needed:
            return []
        notes = replace(self, known=None)._migrate()  # it reads the columns between its changes
        if self.known is not None:
            self.known.forget()
        return notes

    def _migrate(self) -> list[str]:
        self._reject_indexes()
        notes = self._notes_on_views()
        # Change all tables before any rows: DuckDB cannot commit the opposite order.
        has_audit_days = self._is_ours("_audit_days")
        had_coverage = self._is_ours(CoverageStore.NAME)
        for old in _IDENTIFYING_COLUMNS:
            if self._is_ours(old):
                self._rename(old)
        if had_coverage and "parent" not in self._columns(CoverageStore.NAME):
            self.connection.execute(f"ALTER TABLE {self._qualified(CoverageStore.NAME)} ADD COLUMN parent VARCHAR DEFAULT ''")
        if has_audit_days:
            self._migrate_audit_days()
        self._prepare_tables_of_later_layouts()
        return notes

    def columns_now(self, declared: Mapping[str, Columns]) -> dict[str, Collection[str]]:
        """Return the expected columns of each bookkeeping table; for a table of an older layout, the columns that it has.

        Args:
            declared: Columns of the current layout, by table.
        """
        older = {old: self._columns(old) for old in _IDENTIFYING_COLUMNS if self._is_ours(old) and self._is_older(old)}
        return {**declared, **older}

    def _rename(self, old: str) -> None:
        new = _RENAMED_TABLES.get(old, old)
        for before, after in self._columns_to_rename(old).items():
            self.connection.execute(f"ALTER TABLE {self._qualified(old)} RENAME COLUMN {quoted(before)} TO {quoted(after)}")
        if new != old:
            if table_exists(self.connection, self.schema, new):
                raise NotOurs(
                    f"{self.schema}.{new} was not made by klaviyo_assets, which needs this name for one of its own tables.",
                    f"Rename it: ALTER TABLE {self._qualified(new)} RENAME TO another_name.",
                )
            self.connection.execute(f"ALTER TABLE {self._qualified(old)} RENAME TO {quoted(new)}")

    def _migrate_audit_days(self) -> None:
        days, columns = self._qualified("_audit_days"), self._columns("_audit_days")
        if "reread_at" not in columns:
            self.connection.execute(f"ALTER TABLE {days} ADD COLUMN reread_at TIMESTAMP WITH TIME ZONE")
        rereads = Rereads(self.connection, self.warehouse, self.schema)
        rereads.prepare()
        for before, after in _AUDIT_STATES.items():
            self.connection.execute(f"UPDATE {days} SET state = ? WHERE state = ?", [after, before])
        # Layout 1 stored these in the audit's table, and only for days of events.
        self.connection.execute(
            f"INSERT INTO {rereads.table} (resource_type, field, window_start, window_end, expects_none, requested_by, requested_at) "
            f"SELECT 'events', 'datetime', day::TIMESTAMP AT TIME ZONE 'UTC', (day + 1)::TIMESTAMP AT TIME ZONE 'UTC', false, 'audit', "
            f"max(audited_at) FROM {days} WHERE state = 'reread_pending' AND reread_at IS NULL GROUP BY day"
        )

    def _prepare_tables_of_later_layouts(self) -> None:
        """Create tables that the older layout lacks, so they are not reported as lost, and record the current layout."""
        version = SchemaVersion(self.connection, self.warehouse, self.schema)
        if version.version is None:  # the first layout
            NullRateLog(self.connection, self.warehouse, self.schema).prepare()
        Rereads(self.connection, self.warehouse, self.schema).prepare()
        version.record()

    def _reject_indexes(self) -> None:
        """Fail if a user's index prevents DuckDB from renaming a column or table."""
        for old in _IDENTIFYING_COLUMNS:
            if not self._is_ours(old) or not self._is_older(old):
                continue
            found = self.connection.execute(
                "SELECT index_name, sql FROM duckdb_indexes() WHERE database_name = current_database() AND lower(schema_name) = lower(?) "
                "AND lower(table_name) = lower(?) ORDER BY ALL",
                [self.schema, old],
            ).fetchall()
            for name, sql in found:
                raise NotOurs(
                    f"The index {name} on {self.schema}.{old} prevents this version of klaviyo_assets from renaming columns of that table.",
                    f"Run DROP INDEX {self._qualified(name)}, then a sync; the new names are in the table's comments. To create it again: {sql}",
                )

    def _notes_on_views(self) -> list[str]:
        """Return a message for each view that reads a renamed table or column. Only the owner can change the view."""
        views = self.connection.execute(
            "SELECT schema_name, view_name, lower(sql) FROM duckdb_views() WHERE database_name = current_database() AND NOT internal ORDER BY ALL"
        ).fetchall()
        notes = []
        for old in _IDENTIFYING_COLUMNS:
            renamed = [f"{before} is now {after}" for before, after in self._columns_to_rename(old).items()] if self._is_ours(old) else []
            if old in _RENAMED_TABLES and renamed:
                renamed.insert(0, f"the table is now {_RENAMED_TABLES[old]}")
            notes += [
                f"The view {schema}.{view} reads {self.schema}.{old}, whose names have changed with this version: {', '.join(renamed)}. "
                "If it uses them, create it again with the new names."
                for schema, view, sql in views
                if renamed and old in sql
            ]
        return notes

    def _columns_to_rename(self, old: str) -> dict[str, str]:
        columns = self._columns(old)
        renamed = _RENAMED_COLUMNS[_RENAMED_TABLES.get(old, old)]
        return {before: after for before, after in renamed.items() if before in columns and after not in columns}

    def _is_older(self, old: str) -> bool:
        return old in _RENAMED_TABLES or bool(self._columns_to_rename(old))

    def _is_ours(self, old: str) -> bool:
        return {*_IDENTIFYING_COLUMNS[old]} <= self._columns(old)

    def _columns(self, table: str) -> set[str]:
        return {*(self.known or SchemaColumns(self.connection, self.schema)).of(table)}

    def _qualified(self, name: str) -> str:
        return self.warehouse.qualified(self.schema, name)
