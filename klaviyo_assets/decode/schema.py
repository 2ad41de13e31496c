"""The Polars schema of a resource type's frames."""

import polars as pl

from klaviyo_assets.catalog.columns import EXTRA as EXTRA
from klaviyo_assets.catalog.columns import SYNCED_AT as SYNCED_AT
from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType

ODD_TEXT = "_odd_text"
"""Member of ``_extra``: the record's JSON as it came, where it held text that no JSON type takes (half a character)."""

RELATIONSHIP = "relationships."
"""What the names of relationships begin with in ``_extra``."""

RECORD = "record."
"""What the names of a record's own members begin with in ``_extra``: what is not in its attributes, or is not an object where there should be one."""

ATTRIBUTE = "attributes."
"""What the names of attributes begin with in ``_extra`` that would else be taken for one of our own."""

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


def name_beside(attribute: str) -> str:
    """Return the name that an attribute without a column has in ``_extra``."""
    return ATTRIBUTE + attribute if attribute == ODD_TEXT or attribute.startswith((RELATIONSHIP, RECORD, ATTRIBUTE)) else attribute


def dtype(column_type: ColumnType) -> pl.DataType:
    """Return the Polars dtype of a column type; JSON travels as text."""
    return _DTYPES[column_type]


def frame_schema(entry: ResourceType) -> pl.Schema:
    """Return the schema of the entry's frames: its columns, ``_extra`` and ``_synced_at``."""
    columns: dict[str, pl.DataType] = {column.name: dtype(column.type) for column in entry.columns}
    return pl.Schema(columns | {EXTRA: pl.String(), SYNCED_AT: INSTANT})
