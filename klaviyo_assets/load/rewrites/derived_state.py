"""Whether what the load derives from JSON is up to date for all stored rows: computed columns, and the profile of properties."""

from collections.abc import Collection
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from klaviyo_assets.load.rows.computed import definitions
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.load.views.metric_views import MetricViews
from klaviyo_assets.state.computed_columns import ComputedColumns


@dataclass(frozen=True)
class DerivedState:
    """What is recorded about the derived values of one resource type, in the caller's transaction.

    Args:
        connection: The database.
        tables: The tables of the resource type.
    """

    connection: DuckDBPyConnection
    tables: Tables

    @property
    def outdated_columns(self) -> list[str]:
        """Computed columns that some rows lack, or that were computed by other definitions."""
        if not self.tables.entry.computed_columns:
            return []
        recorded = self._columns.definitions(self.tables.entry.name)
        return [name for name, definition in definitions(self.tables.entry).items() if recorded.get(name) != definition]

    @property
    def lacks_profile(self) -> bool:
        """Whether the properties of stored events are not recorded."""
        return self.tables.entry.has_metric_views and self._views.lack_profile

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to compute."""
        return not self.outdated_columns and not self.lacks_profile

    def forget_columns(self, added: Collection[str]) -> None:
        """Record that the rows have no values in some computed columns, and forget those that this version of the package does not know.

        Args:
            added: Columns that were just added to the table or converted, such as one that the user has dropped.
        """
        if self.tables.entry.computed_columns:
            self._columns.keep(self.tables.entry.name, definitions(self.tables.entry).keys() - {*added})

    def record_columns(self) -> None:
        """Record that the computed columns of all rows are filled."""
        self._columns.replace(self.tables.entry.name, definitions(self.tables.entry))

    def record_properties(self) -> None:
        """Record the properties of stored events if they are not recorded."""
        if self.tables.entry.has_metric_views:
            self._views.note_stored(self.tables)

    def record_new_table(self) -> None:
        """Record that a new table is up to date, since it has no rows."""
        if self.tables.entry.computed_columns:
            self.record_columns()
        self.record_properties()

    @property
    def _columns(self) -> ComputedColumns:
        return ComputedColumns(self.connection, self.tables.warehouse, self.tables.schema)

    @property
    def _views(self) -> MetricViews:
        return MetricViews(self.connection, self.tables.warehouse, self.tables.schema)
