"""One view per metric with a typed column for each property that its events have.

The profile of the properties is widened by each load, and views are replaced in the same transaction. Where views are possible, a metric has one once
its name is known and one of its events has a property.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.types.events import EVENTS
from klaviyo_assets.catalog.types.metrics import METRICS
from klaviyo_assets.load.parts.row_ranges import row_ranges
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.load.views.property_kinds import COLUMN_TYPES, PropertyKind
from klaviyo_assets.load.views.property_names import snake_case, unique_name, without_column
from klaviyo_assets.load.views.property_profile import MetricProfile, note_frame
from klaviyo_assets.load.views.staged_properties import KindsByMetric, StagedProperties
from klaviyo_assets.state.metric_view_names import MetricView, MetricViewNames, Properties, Property
from klaviyo_assets.warehouse.ddl import table_exists
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import literal, quoted

_FIRST_COLUMNS = {
    "id": "Klaviyo's id of the event.",
    "datetime": "When the event took place, in whole seconds.",
    "profile_id": "The profile that the event belongs to, if it still exists.",
}
"""Columns of each view before those of the properties."""

_LAST_COLUMNS = {"event_properties": "All properties exactly as Klaviyo sent them, also those without a column."}
"""Columns after them."""


def views_schema(schema: str) -> str:
    """Return the schema of the views of metrics, given that of the tables."""
    return f"{schema}_metrics"


def views_are_possible(warehouse: Warehouse, schema: str) -> bool:
    """Return whether a warehouse can have the views. If the database has the schema's name, a view that refers to ``schema.events`` is ambiguous."""
    return warehouse.capabilities.views and warehouse.database.lower() != schema.lower()


@dataclass(frozen=True)
class _Metric:
    """What is known about a metric."""

    id: str
    name: str
    integration: str | None

    @property
    def identified(self) -> str:
        """The end of the comment of its view."""
        return f", id {self.id}, that still exist in Klaviyo."


@dataclass(frozen=True)
class MetricViews:
    """The views of the metrics of one schema, in the caller's transaction.

    Args:
        connection: The database.
        warehouse: The same.
        schema: Schema of the tables.

    Example:
        >>> MetricViews(connection, warehouse, "klaviyo").note_files(files)
    """

    connection: DuckDBPyConnection
    warehouse: Warehouse
    schema: str

    @property
    def are_possible(self) -> bool:
        """Whether the warehouse can have the views."""
        return views_are_possible(self.warehouse, self.schema)

    @property
    def lack_profile(self) -> bool:
        """Whether the views are possible, and the properties of stored events are not recorded, since the table is missing or was emptied."""
        if not self.are_possible:
            return False
        return not self._properties.exists or (self._properties.is_empty and self._some_event_has_properties)

    @property
    def _some_event_has_properties(self) -> bool:
        if not table_exists(self.connection, self.schema, EVENTS.name):
            return False
        events = self.warehouse.qualified(self.schema, EVENTS.name)
        query = f"SELECT id FROM {events} WHERE event_properties IS NOT NULL AND event_properties::VARCHAR <> '{{}}' LIMIT 1"
        return bool(self.connection.execute(query).fetchall())

    def note_staged(self, files: Sequence[Path], found: StagedProperties) -> None:
        """Widen the profile to staged events, and replace the views that it changes.

        Args:
            files: Their files.
            found: What was found when files were written; files of an interrupted sync are read.
        """
        known = found.of(files)
        self.note_files(files) if known is None else self._note_found(known)

    def note_files(self, files: Sequence[Path]) -> None:
        """Do the same for files of which nothing is known."""
        self.note(pl.read_parquet(file, columns=["metric_id", "event_properties"]) for file in files)

    def note_stored(self, tables: Tables) -> None:
        """Widen the profile to all stored events if there is none: an earlier version of this library has stored them, or it was dropped."""
        if self.lack_profile:
            rows = tables.places(self.connection).rows
            parts = row_ranges(self.connection, rows, ["event_properties"])
            self.note(self.connection.sql(f"SELECT metric_id, event_properties FROM {rows} WHERE {part.condition}").pl() for part in parts)

    def note_rewritten(self, frame: pl.DataFrame) -> None:
        """Widen the profile to stored events that were rewritten. If there is none, :meth:`note_stored` makes it from all events."""
        if not self.lack_profile:
            self.note([frame])

    def note(self, frames: Iterable[pl.DataFrame]) -> None:
        """Widen the profile to the events of some frames, one after another, and replace the views that it changes."""
        self._widen(lambda profiles: {metric_id for frame in frames for metric_id in note_frame(profiles, frame)})

    def _note_found(self, found: KindsByMetric) -> None:
        self._widen(
            lambda profiles: {metric_id for metric_id, kinds in found.items() if profiles.setdefault(metric_id, MetricProfile()).widen(kinds)}
        )

    def _widen(self, widen: Callable[[dict[str, MetricProfile]], set[str]]) -> None:
        if not self.are_possible:
            return
        stored = self._properties.read()
        profiles = {metric: MetricProfile({one.name: PropertyKind(one.kind) for one in found}) for metric, found in stored.items()}
        changed = widen(profiles)
        self._properties.prepare()
        if changed:
            self._properties.write({metric_id: _with_columns(profiles[metric_id], stored.get(metric_id, [])) for metric_id in sorted(changed)})
            self.refresh()

    def forget(self, is_forgotten: Callable[[str], bool]) -> None:
        """Delete properties from the profile and the views, for the erasure of a person whom their names name.

        Args:
            is_forgotten: Whether a property is deleted, by its name.
        """
        stored = self._properties.read()
        kept = {metric_id: [one for one in properties if not is_forgotten(one.name)] for metric_id, properties in stored.items()}
        if changed := {metric_id: properties for metric_id, properties in kept.items() if properties != stored[metric_id]}:
            self._properties.write(changed)
        self.refresh()

    def refresh(self) -> None:
        """Replace the views that do not match the profile or the metric's name, and make those that are missing."""
        if not self.are_possible or not table_exists(self.connection, self.schema, EVENTS.name):
            return
        properties, known, objects = self._properties.read(), self._names.read(), self._objects()
        written: dict[str, MetricView] = {}
        taken = {view.name.lower() for view in known.values()} | objects.keys()
        for metric in self._metrics(properties):
            view = known.get(metric.id) or self._found_again(metric) or MetricView(unique_name(_view_name(metric, taken), taken), "")
            taken.add(view.name.lower())
            if objects.get(view.name.lower(), "VIEW") != "VIEW":
                continue  # another program has made a table of this name since
            statements = list(self._statements(metric, view.name, properties[metric.id]))
            definition = hashlib.sha256("\n".join(statements).encode()).hexdigest()[:16]
            if definition != view.definition or view.name.lower() not in objects:
                self._execute(statements)
                written[metric.id] = replace(view, definition=definition)
        if written:
            self._names.prepare()
            self._names.write(written)

    def _found_again(self, metric: _Metric) -> MetricView | None:
        """Return a metric's view if another program has emptied the bookkeeping: its comment names the metric."""
        rows = self.connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE database_name = ? AND lower(schema_name) = lower(?) AND ends_with(comment, ?)",
            [self.warehouse.database, views_schema(self.schema), metric.identified],
        ).fetchall()
        return next((MetricView(name, "") for (name,) in rows), None)

    def _execute(self, statements: Iterable[str]) -> None:
        self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self.warehouse.database)}.{quoted(views_schema(self.schema))}")
        for statement in statements:
            self.connection.execute(statement)

    def _statements(self, metric: _Metric, name: str, properties: Sequence[Property]) -> Iterable[str]:
        """Yield the statements that make a view and its comments. The view does not name the database, so the file can be renamed and attached."""
        view = self.warehouse.qualified(views_schema(self.schema), name)
        columns = [one for one in properties if one.column is not None]
        structure = json.dumps({one.name: _json_type(one) for one in columns}, ensure_ascii=False)
        values = [f"{_value(one)} AS {quoted(one.column or '')}" for one in columns]
        parsed = f"json_transform(event_properties, {literal(structure)}) AS found" if columns else "NULL AS found"
        rows = f"{quoted(self.schema)}.{quoted(EVENTS.name)}"
        listed = ", ".join((*_FIRST_COLUMNS, *values, *_LAST_COLUMNS))
        yield (
            f"CREATE OR REPLACE VIEW {view} AS SELECT {listed} FROM (SELECT {', '.join((*_FIRST_COLUMNS, *_LAST_COLUMNS))}, {parsed} FROM {rows} "
            f"WHERE metric_id = {literal(metric.id)} AND _deleted_at IS NULL)"
        )
        sender = f" ({metric.integration})" if metric.integration else ""
        yield f"COMMENT ON VIEW {view} IS {literal(f'Events of the metric {metric.name}{sender}{metric.identified}')}"
        comments = {**_FIRST_COLUMNS, **_LAST_COLUMNS, **{one.column or "": f"The property {one.name}." for one in columns}}
        for column, comment in comments.items():
            yield f"COMMENT ON COLUMN {view}.{quoted(column)} IS {literal(comment)}"

    def _metrics(self, properties: Iterable[str]) -> list[_Metric]:
        """Return the metrics with a profile and a known name, oldest first."""
        if not table_exists(self.connection, self.schema, METRICS.name):
            return []
        table = self.warehouse.qualified(self.schema, METRICS.name)
        integration = "CASE WHEN json_valid(integration::VARCHAR) THEN integration ->> '$.name' END"
        rows = self.connection.execute(f"SELECT id, name, {integration} FROM {table} WHERE name IS NOT NULL ORDER BY created, id").fetchall()
        known = {*properties}
        return [_Metric(*row) for row in rows if row[0] in known]

    def _objects(self) -> dict[str, str]:
        """Return the type of each table and view in the schema of the views, by name in lower case."""
        rows = self.connection.execute(
            "SELECT lower(table_name), table_type FROM information_schema.tables WHERE table_catalog = ? AND lower(table_schema) = lower(?)",
            [self.warehouse.database, views_schema(self.schema)],
        ).fetchall()
        return dict(rows)

    @property
    def _properties(self) -> Properties:
        return Properties(self.connection, self.warehouse, self.schema)

    @property
    def _names(self) -> MetricViewNames:
        return MetricViewNames(self.connection, self.warehouse, self.schema)


def _with_columns(profile: MetricProfile, stored: Sequence[Property]) -> list[Property]:
    """Return the properties of a metric with their columns. A column keeps its name while its property can have one."""
    names = {one.name: one.column for one in stored if one.column is not None}
    taken = {*_FIRST_COLUMNS, *_LAST_COLUMNS, *(name.lower() for name in names.values())}
    excluded = without_column(profile.kinds)
    found = []
    for name, kind in profile.kinds.items():
        column = None
        if name not in excluded and kind is not PropertyKind.NULL:
            column = names.get(name) or unique_name(snake_case(name), taken)
            taken.add(column.lower())
        found.append(Property(name, kind, column))
    return found


def _view_name(metric: _Metric, taken: Iterable[str]) -> str:
    """Return the name of a metric's view, with that of its integration if another metric has the same name."""
    name = snake_case(metric.name)
    return name if name not in taken or not metric.integration else f"{name}_{snake_case(metric.integration)}"


def _json_type(one: Property) -> str:
    """The type that json_transform returns: a timestamp as its text."""
    return "VARCHAR" if one.kind == PropertyKind.TIME else COLUMN_TYPES[PropertyKind(one.kind)]


def _value(one: Property) -> str:
    value = f"found.{quoted(one.name)}"
    return f"TRY_CAST(upper({value}) AS {COLUMN_TYPES[PropertyKind.TIME]})" if one.kind == PropertyKind.TIME else value
