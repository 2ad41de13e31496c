"""Finds where Klaviyo's records differ from what the catalogue says of them: from the table alone, so that it can be looked for at any time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.model import Column, ResourceType
from klaviyo_assets.frames import EXTRA, ODD_TEXT, SYNCED_AT
from klaviyo_assets.sync.tables import DELETED_AT
from klaviyo_assets.warehouse.base import literal, quoted

_ENOUGH_ROWS = 50
"""Rows, older and newer ones, from which on it means something that an attribute is in none of the newer ones."""

_OLDER_ROWS = 10_000
"""Older rows that are looked at, at most."""

_USUAL = 0.5
"""Share of the older rows that have an attribute, from which on it is missed."""

_LONGEST_EXAMPLE = 200


class Kind(StrEnum):
    """What has drifted."""

    NEW = "new attribute"
    OTHER_TYPE = "another type"
    ODD_TEXT = "odd text"
    NULL = "null"
    NEW_VALUE = "new value"
    GONE = "gone"


@dataclass(frozen=True)
class Drift:
    """One difference between the records and the catalogue.

    Attributes:
        kind: What it is.
        attribute: Name of the attribute or column.
        expected: What the catalogue says.
        rows: Rows that differ.
        example_id: One of them.
        example: What it holds, shortened; None where nothing can be shown, or it might be personal.
    """

    kind: Kind
    attribute: str
    expected: str
    rows: int
    example_id: str | None
    example: str | None


@dataclass(frozen=True)
class DriftFinder:
    """Looks through one table.

    Args:
        connection: The database.
        table: The table, qualified.
        entry: The resource type.
        since: Only rows that were read since, for what each row tells for itself; None for all rows.
    """

    connection: DuckDBPyConnection
    table: str
    entry: ResourceType
    since: datetime | None = None

    def unknown(self) -> list[Drift]:
        """Return the attributes in ``_extra``: those that have no column, and those whose value did not fit it. Looks at all rows."""
        columns = {column.path[1]: column for column in self.entry.columns if column.path[0] == "attributes"}
        columns |= {f"relationships.{column.path[1]}": column for column in self.entry.columns if column.path[0] == "relationships"}
        rows = self.connection.execute(
            f"SELECT name, count(*), min(id), arg_min(json_extract(extra, '$.\"' || replace(name, '\"', '\\\"') || '\"')::VARCHAR, id) FROM ("
            f"SELECT {self._key} AS id, {EXTRA} AS extra, unnest(json_keys({EXTRA})) AS name FROM {self.table} WHERE {EXTRA} IS NOT NULL) "
            "GROUP BY name ORDER BY name"
        ).fetchall()
        return [self._unknown(str(name), columns.get(name), count, id_, example) for name, count, id_, example in rows if name != ODD_TEXT]

    def drifts(self) -> list[Drift]:
        """Return values that Klaviyo's schema does not allow for, attributes that have gone, and text that had to be changed."""
        return [*self._odd_text(), *self._nulls(), *self._new_values(), *self._gone()]

    def _unknown(self, name: str, column: Column | None, rows: int, id_: str, example: str | None) -> Drift:
        known = column is not None
        expected = "no such attribute" if column is None else f"members of {name}" if len(column.path) > 2 else str(column.type)
        return Drift(Kind.OTHER_TYPE if known else Kind.NEW, name, expected, rows, id_, self._shown(example, column))

    def _odd_text(self) -> Iterator[Drift]:
        yield from self._rows_where(Kind.ODD_TEXT, ODD_TEXT, "whole characters", f"json_exists({EXTRA}, '$.{ODD_TEXT}')")

    def _nulls(self) -> Iterator[Drift]:
        for column in self.entry.columns:
            if column.required:
                held = f"{EXTRA} IS NULL OR NOT json_exists({EXTRA}, {literal('$.' + column.path[1])})"
                yield from self._rows_where(Kind.NULL, column.name, f"{column.type}, never null", f"{quoted(column.name)} IS NULL AND ({held})")

    def _new_values(self) -> Iterator[Drift]:
        for column in self.entry.columns:
            if column.values:
                name = quoted(column.name)
                listed = ", ".join(literal(value) for value in column.values)
                yield from self._rows_where(Kind.NEW_VALUE, column.name, "one of " + ", ".join(column.values), f"{name} NOT IN ({listed})", name)

    def _rows_where(self, kind: Kind, name: str, expected: str, condition: str, example: str = "NULL") -> Iterator[Drift]:
        ((rows, id_, value),) = self.connection.execute(
            f"SELECT count(*), min({self._key}), arg_min({example}, {self._key}) FROM {self.table} "
            f"WHERE {DELETED_AT} IS NULL AND ({condition}) AND {self._is_recent}"
        ).fetchall()
        if rows:
            yield Drift(kind, name, expected, rows, id_, value)

    def _gone(self) -> Iterator[Drift]:
        """Attributes that most of the older rows have, and none of those that the last sync has written."""
        newest = f"(SELECT max({SYNCED_AT}) FROM {self.table})" if self.since is None else f"{literal(self.since.isoformat())}::TIMESTAMPTZ"
        columns = [column.name for column in self.entry.columns if column.path[0] == "attributes"]
        recent, has = self._values(columns, f"{SYNCED_AT} >= {newest}")
        missed = [name for name in columns if not has[name]]
        if recent < _ENOUGH_ROWS or not missed:
            return
        # Of a big table some older rows tell enough, and looking through all of them would cost more than the sync.
        older, had = self._values(missed, f"{SYNCED_AT} < {newest}", _OLDER_ROWS)
        for name in missed:
            if older >= _ENOUGH_ROWS and had[name] >= _USUAL * older:
                yield Drift(Kind.GONE, name, f"a value in most rows, as in {had[name]} of {older} older ones", recent, None, None)

    def _values(self, names: Sequence[str], condition: str, most: int | None = None) -> tuple[int, dict[str, int]]:
        """Count rows, and those that have a value in each of some columns."""
        columns = ", ".join(quoted(name) for name in names)
        counts = ", ".join(f"count({quoted(name)})" for name in names)
        limit = f"LIMIT {most}" if most else ""
        ((rows, *values),) = self.connection.execute(
            f"SELECT count(*), {counts} FROM (SELECT {columns} FROM {self.table} WHERE {DELETED_AT} IS NULL AND {condition} {limit})"
        ).fetchall()
        return int(rows), dict(zip(names, values, strict=True))

    @property
    def _key(self) -> str:
        return quoted(self.entry.primary_key)

    @property
    def _is_recent(self) -> str:
        return "true" if self.since is None else f"{SYNCED_AT} >= {literal(self.since.isoformat())}::TIMESTAMPTZ"

    def _shown(self, example: str | None, column: Column | None) -> str | None:
        """An example, unless it may be about a person: of those the id leads to it."""
        about_people = any(one.personal for one in self.entry.columns) if column is None else column.personal
        return None if example is None or about_people else example[:_LONGEST_EXAMPLE]
