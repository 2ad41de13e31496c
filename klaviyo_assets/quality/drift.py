"""Finds where Klaviyo's records differ from the catalog. It reads only the table, so it can run at any time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.columns import Column
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import EXTRA, ODD_TEXT, RELATIONSHIP
from klaviyo_assets.decode.polars_schema import RECORD
from klaviyo_assets.load.predicates import extra_path, is_present
from klaviyo_assets.load.schema.tables import DELETED_AT
from klaviyo_assets.warehouse.sql import key_text, literal, quoted

_MAX_EXAMPLE_LENGTH = 200

_EMPTY_JSON = r'(?:[\[\]{},\s]|null|""|"(?:[^"\\]|\\.)*"\s*:)*'
"""JSON that holds no value (RE2): null, an empty string, and lists and objects that contain only these. A string before a colon is a name."""

_JSON_TYPES = {"{": "an object", "[": "a list", '"': "a string", "t": "true or false", "f": "true or false", "n": "null"}
"""Types of JSON values by their first character; a value with any other one is a number."""

_SHAPE = {f"{RECORD}id": "a string", f"{RECORD}attributes": "an object", f"{RECORD}relationships": "an object"}
"""Expected types of the members of a record that have no column of their own."""


class DriftKind(StrEnum):
    """What has drifted."""

    NEW = "new attribute"
    OTHER_TYPE = "another type"
    ODD_TEXT = "odd text"
    NULL = "null"
    NEW_VALUE = "new value"
    GONE = "gone"


@dataclass(frozen=True)
class Drift:
    """One difference between the records and the catalog.

    Attributes:
        kind: What it is.
        attribute: Name of the attribute or column.
        expected: What the catalog says.
        rows: Rows that differ.
        example_id: One of them.
        example: Its value, shortened, or only its type if it may be personal; None if nothing can be shown.
    """

    kind: DriftKind
    attribute: str
    expected: str
    rows: int
    example_id: str | None
    example: str | None


@dataclass(frozen=True)
class DriftFinder:
    """Checks all rows of one table: a difference is reported as long as a row has it.

    The columns it reads are narrow, and ``_extra`` is null in nearly all rows, so five million rows take less than a second.

    Args:
        connection: The database.
        table: The table, qualified; it may lack columns of a catalog that is newer than the last sync.
        entry: The resource type.
        with_rules: Columns with a field rule, which has changed their values.
    """

    connection: DuckDBPyConnection
    table: str
    entry: ResourceType
    with_rules: frozenset[str] = frozenset()

    def unknown(self) -> list[Drift]:
        """Return the attributes in ``_extra``: those that have no column, and those whose value did not fit it.

        An attribute without a column counts only if a row has a value for it. If it is null or empty in every row, nothing is lost.
        """
        members = f"unnest(json_keys({EXTRA})) AS name, unnest(json_extract({EXTRA}, '$.*'))::VARCHAR AS value"
        rows = self.connection.execute(
            f"SELECT name, count(*), min(id), arg_min(left(value, {_MAX_EXAMPLE_LENGTH}), id) FROM ("
            f"SELECT {self._key} AS id, {members} FROM {self.table} WHERE {EXTRA} IS NOT NULL"
            f") WHERE name <> {literal(ODD_TEXT)} AND {self._has_value()} GROUP BY name ORDER BY name"
        ).fetchall()
        return [self._unknown(str(name), count, id_, value) for name, count, id_, value in rows if name not in self._without_column]

    def drifts(self) -> list[Drift]:
        """Return values that Klaviyo's schema does not allow, and text that had to be changed."""
        return [*self._odd_text(), *self._nulls(), *self._new_values()]

    def _unknown(self, name: str, rows: int, id_: str | None, example: str | None) -> Drift:
        columns = self._columns_in_extra.get(name, [])
        match columns:
            case []:
                expected = _SHAPE.get(name, "no such attribute")
            case [column] if len(column.path) <= 2:
                expected = str(column.type)
            case _:
                expected = f"members of {name}"
        shown = _shown(example, personal=self._may_be_personal(columns)) if example is not None else None
        return Drift(DriftKind.OTHER_TYPE if columns or name in _SHAPE else DriftKind.NEW, name, expected, rows, id_, shown)

    def _has_value(self) -> str:
        """Return a condition for members of ``_extra`` with a value, and for empty ones that a column or flattened object should hold."""
        columns = self._columns_in_extra
        single = [*_SHAPE, *(name for name, found in columns.items() if len(found[0].path) <= 2)]
        groups = columns.keys() - set(single)
        conditions = [f"NOT regexp_full_match(value, {literal(_EMPTY_JSON)})", f"name IN ({', '.join(map(literal, single))})"]
        if groups:
            conditions.append(f"(name IN ({', '.join(map(literal, sorted(groups)))}) AND value NOT LIKE '{{%')")
        return f"({' OR '.join(conditions)})"

    @cached_property
    def _without_column(self) -> set[str]:
        """Known members of ``_extra``, which cause no warning."""
        unmapped = {f"{RELATIONSHIP}{name}" if root == "relationships" else name for root, name in self.entry.unmapped}
        return (unmapped | set(self.entry.endpoint.additional_fields)) - self._columns_in_extra.keys()

    @cached_property
    def _columns_in_extra(self) -> dict[str, list[Column]]:
        """The columns of each member of ``_extra``: several for a flattened object."""
        found: dict[str, list[Column]] = {}
        for column in self.entry.columns:
            if column.path[0] in ("attributes", "relationships"):
                found.setdefault(extra_path(column)[0], []).append(column)
        return found

    def _may_be_personal(self, columns: Sequence[Column]) -> bool:
        """Return whether a member of ``_extra`` may be personal; if no single column is its own, any personal column of the type decides."""
        is_known = len(columns) == 1 and len(columns[0].path) == 2
        return columns[0].personal if is_known else any(column.personal for column in self.entry.columns)

    def _odd_text(self) -> Iterator[Drift]:
        yield from self._rows_where(DriftKind.ODD_TEXT, ODD_TEXT, "plain JSON text", f"{EXTRA} IS NOT NULL AND json_exists({EXTRA}, '/{ODD_TEXT}')")

    def _nulls(self) -> Iterator[Drift]:
        for column in self._columns:
            if column.required:
                expected = f"{column.type}, never null"
                yield from self._rows_where(DriftKind.NULL, column.name, expected, f"NOT {is_present(column)}")

    def _new_values(self) -> Iterator[Drift]:
        for column in self._columns:
            if column.values:
                text = f"{quoted(column.name)}::VARCHAR"
                listed = ", ".join(literal(value) for value in column.values)
                expected = "one of " + ", ".join(column.values)
                # A listed value is not personal, but one that is not listed may be.
                example = "NULL" if column.personal else text
                yield from self._rows_where(DriftKind.NEW_VALUE, column.name, expected, f"{text} NOT IN ({listed})", example)

    @cached_property
    def _columns(self) -> list[Column]:
        """The columns that the table has and that no field rule has changed."""
        described = self.connection.execute(f"SELECT * FROM {self.table} LIMIT 0").description or []
        known = {name for name, *_ in described} - self.with_rules
        return [column for column in self.entry.columns if column.name in known]

    def _rows_where(self, kind: DriftKind, name: str, expected: str, condition: str, example: str = "NULL") -> Iterator[Drift]:
        ((rows, id_, value),) = self.connection.execute(
            f"SELECT count(*), min({self._key}), arg_min({example}, {self._key}) FROM {self.table} WHERE {DELETED_AT} IS NULL AND ({condition})"
        ).fetchall()
        if rows:
            yield Drift(kind, name, expected, rows, id_, value)

    @property
    def _key(self) -> str:
        return key_text(self.entry.primary_key)


def _shown(example: str, *, personal: bool) -> str:
    """Return an example, or only its type if it may be personal; the id leads to the value."""
    return _JSON_TYPES.get(example[:1], "a number") if personal else example[:_MAX_EXAMPLE_LENGTH]
