"""Columns of a resource type, and where in a JSON:API resource object their values come from."""

from dataclasses import dataclass
from enum import StrEnum


class ColumnType(StrEnum):
    """Type of a column; the value is the DuckDB type of the table's column."""

    STRING = "VARCHAR"
    INTEGER = "BIGINT"
    FLOAT = "DOUBLE"
    BOOLEAN = "BOOLEAN"
    TIMESTAMP = "TIMESTAMP WITH TIME ZONE"
    JSON = "JSON"
    STRINGS = "VARCHAR[]"


@dataclass(frozen=True)
class Column:
    """One column of a table and the place in the JSON:API resource object that fills it.

    Attributes:
        name: Column name, snake case.
        type: Column type.
        description: What the value means; becomes the column's comment in DuckDB and its description in Dagster.
        path: Where the value is: ``("id",)``, ``("attributes", "location", "city")``, ``("relationships", "metric")``; for a value that
            only the subset knows, ``("subset", "channel")``; for the id of the parent, ``("parent", "list_id")``.
        personal: True if the value identifies a person; masked in previews.
        required: True if Klaviyo promises a value for every record (``required`` and not ``nullable`` in its schema).
        values: The values that Klaviyo's schema lists (``enum``); empty where it lists none.
        was_in_extra: True for an attribute that got its column in a later version. Until then ``_extra`` kept its values, which are moved into the
            column, so what was read before counts as if it had been read with it.
    """

    name: str
    type: ColumnType
    description: str
    path: tuple[str, ...]
    personal: bool = False
    required: bool = False
    values: tuple[str, ...] = ()
    was_in_extra: bool = False


EXTRA = "_extra"
"""Column of each table: what no column of the catalog holds."""

SYNCED_AT = "_synced_at"
"""Column of each table: age of the row's content, on Klaviyo's clock."""

DELETED_AT = "_deleted_at"
"""Column of each table: set for a record that Klaviyo does not have any more."""

ADDED_COLUMNS = (
    Column(
        EXTRA,
        ColumnType.JSON,
        "Attributes that this version of klaviyo_assets does not know, or whose value did not fit their column; null when there are none.",
        path=(),
    ),
    Column(SYNCED_AT, ColumnType.TIMESTAMP, "When the request was sent that returned the present content of the row.", path=(), required=True),
    Column(DELETED_AT, ColumnType.TIMESTAMP, "When the record was found to be gone from Klaviyo; null while it exists.", path=()),
)
"""Columns that each table has after those of its resource type."""


def attribute(
    path: str,
    type: ColumnType,
    description: str,
    *,
    personal: bool = False,
    required: bool = False,
    values: tuple[str, ...] = (),
    was_in_extra: bool = False,
) -> Column:
    """A column for an attribute; a dotted path is flattened (``location.city`` becomes ``location_city``)."""
    parts = tuple(path.split("."))
    return Column("_".join(parts), type, description, ("attributes", *parts), personal, required, values, was_in_extra)


def to_one(relationship: str, description: str) -> Column:
    """A column ``<relationship>_id`` for a to-one relationship."""
    return Column(f"{relationship.replace('-', '_')}_id", ColumnType.STRING, description, ("relationships", relationship))


def to_many(relationship: str, name: str, description: str) -> Column:
    """A column with the list of ids of a to-many relationship; null where Klaviyo's response leaves the ids out."""
    return Column(name, ColumnType.STRINGS, description, ("relationships", relationship))


def from_subset(name: str, description: str) -> Column:
    """A column whose value is that of the subset, since the API knows it only as a filter."""
    return Column(name, ColumnType.STRING, description, ("subset", name))


def record_id(description: str, name: str = "id") -> Column:
    """A primary key column: the record's own id."""
    return Column(name, ColumnType.STRING, description, ("id",))


def parent_id(name: str, description: str) -> Column:
    """A primary key column of a child type: the id of the parent that the record was read from."""
    return Column(name, ColumnType.STRING, description, ("parent", name))
