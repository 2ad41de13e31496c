"""The Polars schema of a resource type's frames."""

import polars as pl

from klaviyo_assets.catalog.model import ColumnType, ResourceType

EXTRA = "_extra"
"""Column (JSON text) for attributes that the catalogue does not know, or whose value does not fit their column; null when empty."""

ODD_TEXT = "_odd_text"
"""Member of ``_extra``: the record's JSON as it came, where it held text that no JSON type takes (half a character)."""

RELATIONSHIP = "relationships."
"""What the names of relationships begin with in ``_extra``."""

SYNCED_AT = "_synced_at"
"""Column with the server's time at which the request was sent that brought the present content."""

INSTANT = pl.Datetime("us", "UTC")

_DTYPES: dict[ColumnType, pl.DataType] = {
    ColumnType.STRING: pl.String(),
    ColumnType.INTEGER: pl.Int64(),
    ColumnType.FLOAT: pl.Float64(),
    ColumnType.BOOLEAN: pl.Boolean(),
    ColumnType.TIMESTAMP: INSTANT,
    ColumnType.JSON: pl.String(),
    ColumnType.STRINGS: pl.List(pl.String()),
}


def dtype(column_type: ColumnType) -> pl.DataType:
    """Return the Polars dtype of a column type; JSON travels as text."""
    return _DTYPES[column_type]


def frame_schema(entry: ResourceType) -> pl.Schema:
    """Return the schema of the entry's frames: its columns, ``_extra`` and ``_synced_at``."""
    columns: dict[str, pl.DataType] = {column.name: dtype(column.type) for column in entry.columns}
    return pl.Schema(columns | {EXTRA: pl.String(), SYNCED_AT: INSTANT})
