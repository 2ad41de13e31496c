"""SQL that tells whether a row has a value of a column: in the column, or in ``_extra`` if it did not fit."""

from klaviyo_assets.catalog.columns import Column, ColumnType
from klaviyo_assets.decode import EXTRA, RELATIONSHIP
from klaviyo_assets.warehouse.sql import literal, quoted


def stands_beside(column: Column) -> tuple[str, ...]:
    """Return the names on the way to where a value stands in ``_extra`` if it does not fit its column."""
    root, *names = column.path
    return (RELATIONSHIP + names[0],) if root == "relationships" else tuple(names)


def has_value(column: Column) -> str:
    """SQL that is true for rows that have a value of a column, which in JSON is one that is not ``null``, and false for all others."""
    name = quoted(column.name)
    own = f"{name}::VARCHAR <> 'null'" if column.type is ColumnType.JSON else f"{name} IS NOT NULL"
    beside = " OR ".join(_beside(stands_beside(column)))
    # Nearly all rows have nothing in _extra, and JSON is not looked into for them.
    return f"(coalesce({own}, false) OR CASE WHEN {EXTRA} IS NULL THEN false ELSE coalesce({beside}, false) END)"


def _beside(names: tuple[str, ...]) -> list[str]:
    """Conditions of which one holds if ``_extra`` has the value: by itself, or in an object that came as something else."""
    whole = f"coalesce(json_exists({EXTRA}, {_pointer(names)}), false)"
    return [whole, *(f"coalesce(json_type({EXTRA}, {_pointer(names[:count])}) <> 'OBJECT', false)" for count in range(1, len(names)))]


def _pointer(names: tuple[str, ...]) -> str:
    """A JSON pointer, as an SQL literal: it takes any name."""
    return literal("".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names))
