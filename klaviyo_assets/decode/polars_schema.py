"""The Polars schema of a resource type's frames."""

import polars as pl

from klaviyo_assets.catalog.columns import EXTRA as EXTRA
from klaviyo_assets.catalog.columns import SYNCED_AT as SYNCED_AT
from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType

ODD_TEXT = "_odd_text"
"""Member of ``_extra`` with the record's original JSON, if it contained text that JSON types do not accept (a lone surrogate)."""

RELATIONSHIP = "relationships."
"""Prefix of relationships in ``_extra``."""

RECORD = "record."
"""Prefix of a record's own members in ``_extra``: unknown ones, and those that are not of the expected type."""

ATTRIBUTE = "attributes."
"""Prefix of attributes in ``_extra`` that would otherwise look like one of our own names."""

INSTANT_DTYPE = pl.Datetime("us", "UTC")

_DTYPES: dict[ColumnType, pl.DataType] = {
    ColumnType.STRING: pl.String(),
    ColumnType.INTEGER: pl.Int64(),
    ColumnType.FLOAT: pl.Float64(),
    ColumnType.BOOLEAN: pl.Boolean(),
    ColumnType.TIMESTAMP: INSTANT_DTYPE,
    ColumnType.DATE: pl.Date(),
    ColumnType.JSON: pl.String(),
    ColumnType.STRINGS: pl.List(pl.String()),
}


def extra_name(attribute: str) -> str:
    """Return the name in ``_extra`` of an attribute without a column."""
    return ATTRIBUTE + attribute if attribute == ODD_TEXT or attribute.startswith((RELATIONSHIP, RECORD, ATTRIBUTE)) else attribute


def dtype(column_type: ColumnType) -> pl.DataType:
    """Return the Polars dtype of a column type; JSON is text."""
    return _DTYPES[column_type]


def frame_schema(entry: ResourceType) -> pl.Schema:
    """Return the schema of the entry's frames: its columns, except computed ones, ``_extra`` and ``_synced_at``."""
    columns: dict[str, pl.DataType] = {column.name: dtype(column.type) for column in entry.received_columns}
    return pl.Schema(columns | {EXTRA: pl.String(), SYNCED_AT: INSTANT_DTYPE})
