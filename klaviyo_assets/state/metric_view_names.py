"""The tables ``_properties`` and ``_metric_views``: what the views of metrics are made from. Names that they have given never change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.warehouse.ddl import Columns


@dataclass(frozen=True)
class Property:
    """A row of the table ``_properties``; its column comments explain each field."""

    name: str
    kind: str
    column: str | None


class _ByMetric(BookkeepingStore):
    """A table with some rows for each metric."""

    def _replace_metrics(self, metrics: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
        """Write the rows of some metrics, in the order of the columns, instead of those that these have had."""
        self.connection.execute(f"DELETE FROM {self.table} WHERE list_contains(?, metric_id)", [list(metrics)])
        if rows:
            # As a frame: there are thousands of rows at the first sync. `executemany` plans a statement for each of them, and DuckDB 1 tries to
            # import pandas for each item of a list that is a parameter.
            schema = {name: pl.Int64 if type_ == "BIGINT" else pl.String for name, (type_, _) in self.COLUMNS.items()}
            self.connection.register("rows_of_metrics", pl.DataFrame(rows, schema=schema, orient="row"))
            self.connection.execute(f"INSERT INTO {self.table} BY NAME FROM rows_of_metrics")
            self.connection.unregister("rows_of_metrics")


class Properties(_ByMetric):
    """The properties of the events of each metric."""

    NAME: ClassVar[str] = "_properties"
    DESCRIPTION: ClassVar[str] = "Properties that the events of each metric have, and the kind of their values. It only widens."
    COLUMNS: ClassVar[Columns] = {
        "metric_id": ("VARCHAR", "Metric."),
        "position": ("BIGINT", "Order in which the properties were found."),
        "property": ("VARCHAR", "Name of the property, as in event_properties."),
        "kind": ("VARCHAR", "What all its values are: null, integer, long, number, boolean, time, text, or json for anything else."),
        "column_name": ("VARCHAR", "Its column in the view; null if it has none."),
    }

    @property
    def is_empty(self) -> bool:
        """Whether the table, which exists, has no row."""
        return not self._rows(f"SELECT metric_id FROM {self.table} LIMIT 1")

    def read(self) -> dict[str, list[Property]]:
        """Return the properties by metric, in their order."""
        if not self.exists:
            return {}
        found: dict[str, list[Property]] = {}
        for metric_id, *values in self._rows(f"SELECT metric_id, property, kind, column_name FROM {self.table} ORDER BY metric_id, position"):
            found.setdefault(metric_id, []).append(Property(*values))
        return found

    def write(self, properties: Mapping[str, Sequence[Property]]) -> None:
        """Write the properties of some metrics, instead of those that these have had."""
        rows = [(id_, position, one.name, str(one.kind), one.column) for id_, found in properties.items() for position, one in enumerate(found)]
        self._replace_metrics(list(properties), rows)


@dataclass(frozen=True)
class MetricView:
    """A row of the table ``_metric_views``."""

    name: str
    definition: str


class MetricViewNames(_ByMetric):
    """The view of each metric."""

    NAME: ClassVar[str] = "_metric_views"
    DESCRIPTION: ClassVar[str] = "The view of each metric, which has a column for each property of its events."
    COLUMNS: ClassVar[Columns] = {
        "metric_id": ("VARCHAR", "Metric."),
        "view_name": ("VARCHAR", "Its view. The name remains when the metric is renamed."),
        "definition": ("VARCHAR", "Fingerprint of the view; it is replaced when this changes."),
    }

    def read(self) -> dict[str, MetricView]:
        """Return the views by metric."""
        if not self.exists:
            return {}
        return {metric_id: MetricView(*values) for metric_id, *values in self._rows(f"SELECT metric_id, view_name, definition FROM {self.table}")}

    def write(self, views: Mapping[str, MetricView]) -> None:
        """Write the views of some metrics."""
        self._replace_metrics(list(views), [(metric_id, view.name, view.definition) for metric_id, view in views.items()])
