"""Divides rows into ranges of limited rows and bytes, to process one at a time: a table may exceed memory, and so may 20,000 of its rows.

DuckDB processes up to 2,048 rows at a time. At a commit it keeps all rows of such a group that the transaction has written in memory. So both a
statement and the wide rows of a transaction must have a limited size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse.sql import quoted
from klaviyo_assets.warehouse.wide_tables import MAX_WIDE_BYTES, WIDE, grouped

ROWS_PER_RANGE = 20_000
"""Maximum rows in memory at a time."""

BYTES_PER_RANGE = 24 * 2**20
"""Maximum bytes of text in memory at a time; a single row may have more. Changing a frame takes several times as much."""

_BLOCK = 2_048
"""Rows per group for which DuckDB sums the bytes; only groups above the limit are measured row by row."""


@dataclass(frozen=True)
class RowRange:
    """Rows between two places, both included.

    Attributes:
        first: Place of the first row; see :class:`klaviyo_assets.load.parts.row_places.RowPlaces`.
        last: Place of the last row.
        rows: Number of rows.
        bytes: Bytes of their text.
        wide: Bytes of the wide rows among them.
    """

    first: int
    last: int
    rows: int
    bytes: int
    wide: int

    @property
    def condition(self) -> str:
        """SQL for the rows of a relation with ``place`` that are in this range."""
        return f"place BETWEEN {self.first} AND {self.last}"


def row_ranges(
    connection: DuckDBPyConnection,
    source: str,
    columns: Sequence[str],
    *,
    max_rows: int | None = None,
    max_bytes: int | None = None,
) -> list[RowRange]:
    """Divide rows into ranges, in the order of their places.

    Args:
        connection: The database.
        source: SQL of a relation with the columns and ``place``.
        columns: Columns that hold text or JSON, unquoted.
        max_rows: Maximum rows of a range; :data:`ROWS_PER_RANGE` if None.
        max_bytes: Maximum bytes of a range, unless a single row has more; :data:`BYTES_PER_RANGE` if None.
    """
    rows, size = max_rows or ROWS_PER_RANGE, max_bytes or BYTES_PER_RANGE
    return [_joined(part) for part in grouped(_pieces(connection, source, columns, size), max_rows=rows, max_bytes=size)]


def transactions_of(ranges: Sequence[RowRange]) -> list[list[RowRange]]:
    """Group ranges by transaction: several if their wide rows have more bytes than one transaction can hold."""
    return grouped(ranges, max_wide=MAX_WIDE_BYTES)


def _joined(part: Sequence[RowRange]) -> RowRange:
    return RowRange(part[0].first, part[-1].last, *(sum(values) for values in zip(*((one.rows, one.bytes, one.wide) for one in part), strict=True)))


def _pieces(connection: DuckDBPyConnection, source: str, columns: Sequence[str], max_bytes: int) -> Iterator[RowRange]:
    """Yield ranges of up to 2,048 rows, and single rows where these have too many bytes."""
    length = " + ".join(f"coalesce(strlen({quoted(name)}::VARCHAR), 0)" for name in columns)
    measured = f"(SELECT place, {length} AS bytes FROM {source})"
    values = f"min(place), max(place), count(*), sum(bytes)::BIGINT, coalesce(sum(bytes) FILTER (bytes > {WIDE}), 0)::BIGINT"
    for first, last, *sizes in connection.execute(f"SELECT {values} FROM {measured} GROUP BY place // {_BLOCK} ORDER BY 1").fetchall():
        block = RowRange(first, last, *sizes)
        if block.bytes <= max_bytes:
            yield block
            continue
        found = connection.execute(f"SELECT place, bytes FROM {measured} WHERE place BETWEEN {first} AND {last} ORDER BY 1").fetchall()
        yield from (RowRange(place, place, 1, size, size if size > WIDE else 0) for place, size in found)
