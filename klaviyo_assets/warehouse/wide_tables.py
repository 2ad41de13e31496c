"""Tables with rows that are too wide to be merged: DuckDB works on 2,048 rows at once, and 2,048 records of a megabyte do not fit into its memory.

Each load writes its own row group. DuckDB's vacuum merges small row groups into one, and then holds 2,048 of its rows.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse.sql import literal, quoted

WIDE = 16 * 2**10
"""A text with more bytes is wide; 2,048 others have at most 32 MiB together."""

MAX_WIDE_BYTES = 32 * 2**20
"""Maximum bytes of wide texts that may be merged."""

_MAX_LENGTH_IN_STATISTICS = re.compile(r"max[ _]string[ _]length\W+(\d+)", re.IGNORECASE)
"""The length of the longest text, in the statistics of a segment as DuckDB 1.5 and 2 show them."""

_GROUPS_PER_MEASUREMENT = 16
"""The texts themselves are measured once per this many row groups. That reads them, but is rare enough to cost little per load."""


class Sized(Protocol):
    """Rows that are written together: a file, or a range of a table."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    @property
    def bytes(self) -> int:
        """Bytes of their text."""

    @property
    def wide(self) -> int:
        """Bytes of those rows that are wide."""


S = TypeVar("S", bound=Sized)


def grouped(items: Iterable[S], *, max_rows: int | None = None, max_bytes: int | None = None, max_wide: int | None = None) -> list[list[S]]:
    """Divide items into groups, in their order; a single item may exceed any limit.

    Args:
        items: Files or ranges.
        max_rows: Maximum rows of a group.
        max_bytes: Maximum bytes of a group.
        max_wide: Maximum bytes of the wide rows of a group.

    Example:
        >>> [len(group) for group in grouped(files, max_wide=32 * 2**20)]
        [6, 6, 1]
    """
    groups: list[list[S]] = []
    limits = (max_rows, max_bytes, max_wide)
    sums = (0, 0, 0)
    for item in items:
        sizes = (item.rows, item.bytes, item.wide)
        sums = (sums[0] + sizes[0], sums[1] + sizes[1], sums[2] + sizes[2])
        if not groups or any(limit is not None and total > limit for total, limit in zip(sums, limits, strict=True)):
            groups.append([])
            sums = sizes
        groups[-1].append(item)
    return groups


def may_be_merged(connection: DuckDBPyConnection, *, measure: bool) -> bool:
    """Return whether DuckDB may merge the row groups of all tables of the current database within its memory.

    Args:
        connection: The database.
        measure: True to measure the texts of a table that may be too wide, however many row groups it has.
    """
    names = connection.execute(
        "SELECT database_name, schema_name, table_name FROM duckdb_tables() "
        "WHERE database_name = current_database() AND NOT temporary AND NOT internal AND estimated_size > 0"
    ).fetchall()
    return all(_may_be_merged(connection, ".".join(quoted(part) for part in name), measure=measure) for name in names)


@dataclass(frozen=True)
class _RowGroup:
    """A row group, by its statistics.

    Attributes:
        rows: Its rows, deleted ones included.
        at_most: Maximum bytes of its wide texts.
    """

    rows: int
    at_most: int


def _may_be_merged(connection: DuckDBPyConnection, table: str, *, measure: bool) -> bool:
    columns, groups = _estimated(connection, table)
    if sum(group.at_most for group in groups) <= MAX_WIDE_BYTES:
        return True
    if not measure and len(groups) % _GROUPS_PER_MEASUREMENT:
        return False
    size = first = 0
    for group in groups:
        # Stop once the sum decides it: reading all of them would fill DuckDB's memory.
        if group.at_most:
            where = f"rowid BETWEEN {first} AND {first + group.rows - 1}"
            ((found,),) = connection.execute(f"SELECT {' + '.join(_measured(columns))} FROM {table} WHERE {where}").fetchall()
            size += int(found)
            if size > MAX_WIDE_BYTES:
                return False
        first += group.rows
    return True


def _estimated(connection: DuckDBPyConnection, table: str) -> tuple[list[str], list[_RowGroup]]:
    """Return the columns that may hold wide texts, and the row groups in the order of their rows, from statistics alone."""
    segments = connection.execute(
        "SELECT row_group_id, column_name, contains(column_path, ','), count, stats::VARCHAR "
        f"FROM pragma_storage_info({literal(table)}) WHERE segment_type <> 'VALIDITY'"
    ).fetchall()
    rows: dict[int, Counter[str]] = {}
    at_most: Counter[int] = Counter()
    columns = set()
    # In Python: for a small table, DuckDB plans a regular expression and sums for longer than this takes, and every commit looks at every table.
    for id_, column, is_element, count, stats in segments:
        # Elements of lists are segments too; their counts are not rows.
        rows.setdefault(id_, Counter())[column] += 0 if is_element else count
        if (longest := _MAX_LENGTH_IN_STATISTICS.search(stats or "")) and int(longest[1]) > WIDE:
            at_most[id_] += count * int(longest[1])
            columns.add(column)
    return sorted(columns), [_RowGroup(max(rows[id_].values()), at_most[id_]) for id_ in sorted(rows)]


def _measured(columns: list[str]) -> Iterator[str]:
    """SQL for the bytes of the wide texts of each column."""
    for column in columns:
        length = f"strlen({quoted(column)}::VARCHAR)"
        yield f"coalesce(sum({length}) FILTER ({length} > {WIDE}), 0)"
