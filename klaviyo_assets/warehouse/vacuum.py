"""When a checkpoint rewrites tables without their deleted rows.

DuckDB's checkpoints do it for all tables or for none. They do it for none while a big table has only a few deleted rows, so the cost of an update
depends on the changed rows, not on the table. They also skip it if it would need too much memory; see :mod:`klaviyo_assets.warehouse.wide_tables`.
"""

from collections.abc import Iterator

from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse import wide_tables
from klaviyo_assets.warehouse.sql import quoted

_BIG_TABLE = 100_000
"""A table with at least this many rows, deleted ones included, is big: it is not rewritten for a few deleted rows."""

_WORTH_A_REWRITE = 0.25
"""A big table is rewritten when this share of its rows is deleted: the file stays within a small multiple of its rows, and the cost is spread over
many updates."""

_UNCOMMITTED = 36_028_797_018_960_000
"""First row number that DuckDB gives to uncommitted rows (its ``MAX_ROW_ID``)."""


def is_due(connection: DuckDBPyConnection) -> bool:
    """Return whether the checkpoint of the commit that follows should rewrite tables without their deleted rows."""
    sizes = list(_sizes(connection))
    big = [deleted / rows for rows, deleted in sizes if rows >= _BIG_TABLE and deleted]
    due = any(share >= _WORTH_A_REWRITE for share in big) or any(deleted >= _BIG_TABLE / 2 > rows - deleted for rows, deleted in sizes)
    return (due or not big) and wide_tables.may_be_merged(connection, measure=due)


def _sizes(connection: DuckDBPyConnection) -> Iterator[tuple[int, int]]:
    """Yield the number of rows, deleted ones included, and of deleted rows, for each table of at least half the size of a big one.

    Both follow from row numbers; no column is read. Rows of this transaction count too: DuckDB numbers them separately until they are committed, and
    its own estimate, which includes deleted rows, does not include them.
    """
    names = connection.execute(
        "SELECT database_name, schema_name, table_name FROM duckdb_tables() "
        f"WHERE database_name = current_database() AND NOT temporary AND NOT internal AND estimated_size >= {_BIG_TABLE // 2}"
    ).fetchall()
    for name in names:
        table = ".".join(quoted(part) for part in name)
        ((stored, remaining, new),) = connection.execute(
            f"SELECT coalesce(max(rowid) FILTER (rowid < {_UNCOMMITTED}) + 1, 0), count(*) FILTER (rowid < {_UNCOMMITTED}), "
            f"count(*) FILTER (rowid >= {_UNCOMMITTED}) FROM {table}"
        ).fetchall()
        yield stored + new, stored - remaining
