"""The names that models read, as temporary views: raw tables with all columns of the catalog, other models, and the engine's own views."""

from collections.abc import Iterable
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog import Catalog
from klaviyo_assets.catalog.columns import ADDED_COLUMNS
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.marts.library import LIVE_EVENTS, MART_RUN, TABLE_OF_VIEW, Models, marts_schema, schema_of, scope_of
from klaviyo_assets.marts.model import Scope
from klaviyo_assets.marts.run_context import RunContext
from klaviyo_assets.warehouse.ddl import ExistingColumns, SchemaColumns
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import instant_literal, quoted

CHANGED = "temp.mart_changed"
"""Temporary table with the groups that an incremental model computes again: their ``value`` as text, empty for null."""


def group_of(scope: Scope) -> str:
    """Return SQL for the group of a row as text, empty for null, since ``IN`` finds no nulls."""
    return "coalesce(profile_id, '')" if scope is Scope.PROFILE else "coalesce(day::VARCHAR, '')"


def is_changed(scope: Scope) -> str:
    """Return an SQL condition for rows of the groups in :data:`CHANGED`."""
    return f"{group_of(scope)} IN (SELECT value FROM {CHANGED})"


@dataclass(frozen=True)
class Sources:
    """The sources of models in one connection.

    A raw table that does not exist, or lacks columns because no sync has added them yet, is shown with all columns of the catalog, so that every
    model always runs.

    Args:
        connection: The database.
        warehouse: The same.
        schema: Schema of the raw tables.
        models: All models.
        catalog: All resource types.
        context: The run's.
        raw: Columns of the raw tables.
        built: Columns of the models' tables.
    """

    connection: DuckDBPyConnection
    warehouse: Warehouse
    schema: str
    models: Models
    catalog: Catalog
    context: RunContext
    raw: SchemaColumns
    built: SchemaColumns

    @classmethod
    def of(
        cls, connection: DuckDBPyConnection, warehouse: Warehouse, schema: str, models: Models, catalog: Catalog, context: RunContext
    ) -> "Sources":
        """Return the sources in a connection that has just been opened."""
        known = SchemaColumns(connection, schema), SchemaColumns(connection, marts_schema(schema))
        return cls(connection, warehouse, schema, models, catalog, context, *known)

    def create_views(self, names: Iterable[str], scope: Scope | None = None) -> None:
        """Create the views of some names; a name that is not one of our tables is left to DuckDB.

        Args:
            names: Names without a schema, in lower case.
            scope: Reduce the sources with this scope to the groups in :data:`CHANGED`.
        """
        for name in names:
            if (statement := self._select(name, scope)) is not None:
                self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS {statement}")

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return those of some models that have no table."""
        return [name for name in names if not self.columns_of(name)]

    def columns_of(self, model: str) -> ExistingColumns:
        """Return the columns of a model's table or view; empty if it does not exist."""
        if self.models[model].header.view is None:
            return self.built.of(model)
        return SchemaColumns(self.connection, self.schema_of(model)).of(model)

    def schema_of(self, model: str) -> str:
        """Return the schema of a model's table or view."""
        return schema_of(self.schema, self.models[model])

    def table(self, model: str) -> str:
        """Return the qualified name of a model's table or view."""
        return self.warehouse.qualified(self.schema_of(model), model)

    def lasting(self, name: str) -> str | None:
        """Return the statement of a source for a view that lasts; None for a name that is not one of our tables.

        It names schema and table only: the database may be renamed, copied or attached under another name.
        """
        if name in self.models:
            return f"SELECT * FROM {quoted(self.schema_of(name))}.{quoted(name)}"
        return self._raw(name, f"{quoted(self.schema)}.{quoted(name)}") if self._is_raw(name) else None

    def live_events(self) -> str:
        """Return SQL for the events that exist and are not in the future, with their day."""
        return (
            f"SELECT *, {self.context.day_of('datetime')} AS day FROM ({self._raw(TABLE_OF_VIEW[LIVE_EVENTS])}) "
            f"WHERE _deleted_at IS NULL AND datetime <= {instant_literal(self.context.now)}"
        )

    def _select(self, name: str, scope: Scope | None) -> str | None:
        reduced = f" WHERE {is_changed(scope)}" if scope is not None else ""
        if name == MART_RUN:
            return self.context.as_select
        if name == LIVE_EVENTS:
            return f"SELECT * FROM ({self.live_events()}){reduced}"
        if name in self.models:
            return f"SELECT * FROM {self.table(name)}{reduced if scope_of(self.models, name) is scope else ''}"
        return self._raw(name) if self._is_raw(name) else None

    def _is_raw(self, name: str) -> bool:
        return name in self.catalog or bool(self.raw.of(name))

    def _raw(self, name: str, table: str | None = None) -> str:
        existing = self.raw.of(name)
        missing = [f"NULL::{type_} AS {quoted(column)}" for column, type_ in _columns(self.catalog.get(name)).items() if column not in existing]
        if not existing:
            return f"SELECT {', '.join(missing)} WHERE false"
        return f"SELECT {', '.join(['*', *missing])} FROM {table or self.warehouse.qualified(self.schema, name)}"


def _columns(entry: ResourceType | None) -> dict[str, str]:
    """Return the types of the columns that the table of a resource type has, by name; those of a table of the user are as they are."""
    return {column.name.lower(): str(column.type) for column in (*entry.columns, *ADDED_COLUMNS)} if entry is not None else {}
