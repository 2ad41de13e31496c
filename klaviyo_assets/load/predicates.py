"""SQL conditions for whether a row has a value for a column: in the column, or in ``_extra`` if it did not fit."""

from klaviyo_assets.catalog.columns import Column, ColumnType
from klaviyo_assets.decode import EXTRA, RELATIONSHIP
from klaviyo_assets.warehouse.sql import literal, quoted


def extra_path(column: Column) -> tuple[str, ...]:
    """Return the path in ``_extra`` of a column's value that did not fit the column."""
    root, *names = column.path
    return (RELATIONSHIP + names[0],) if root == "relationships" else tuple(names)


def is_present(column: Column) -> str:
    """SQL that is true for rows with a value for a column (in JSON, one that is not ``null``), and false for all others."""
    name = quoted(column.name)
    own = f"{name}::VARCHAR <> 'null'" if column.type is ColumnType.JSON else f"{name} IS NOT NULL"
    in_extra = " OR ".join(_in_extra(extra_path(column)))
    # Nearly all rows have nothing in _extra, and their JSON is not parsed.
    return f"(coalesce({own}, false) OR CASE WHEN {EXTRA} IS NULL THEN false ELSE coalesce({in_extra}, false) END)"


def _in_extra(names: tuple[str, ...]) -> list[str]:
    """Conditions, one of which is true if ``_extra`` has the value, either directly or inside an object that Klaviyo sent as another type."""
    whole = f"coalesce(json_exists({EXTRA}, {_pointer(names)}), false)"
    return [whole, *(f"coalesce(json_type({EXTRA}, {_pointer(names[:count])}) <> 'OBJECT', false)" for count in range(1, len(names)))]


def _pointer(names: tuple[str, ...]) -> str:
    """A JSON pointer, as an SQL literal: it takes any name."""
    return literal("".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names))
