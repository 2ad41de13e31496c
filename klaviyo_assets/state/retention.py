"""``_syncs`` does not grow for ever, and nothing that a wrong clock has written is believed."""

from datetime import datetime, timedelta

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import SYNCED_AT
from klaviyo_assets.load.tables import Tables

KEPT_FOR = timedelta(days=400)
"""How long rows of ``_syncs`` are kept: a year, and the same month of the year before."""

KEPT_ALWAYS = 100
"""Latest rows of a type that are kept however old they are: they hold the account and the end of the last sync."""

_WORTH_DELETING = 50
"""Rows; fewer wait, since each deletion leaves dead rows in the file."""


def forget(connection: DuckDBPyConnection, tables: Tables, entry: ResourceType, now: datetime) -> None:
    """Delete old rows of ``_syncs`` of one type, inside the caller's transaction."""
    due = (
        f"FROM {tables.syncs} WHERE resource_type = ? AND started_at < ? AND id NOT IN "
        f"(SELECT id FROM {tables.syncs} WHERE resource_type = ? ORDER BY started_at DESC LIMIT {KEPT_ALWAYS})"
    )
    parameters = [entry.name, now - KEPT_FOR, entry.name]
    ((count,),) = connection.execute(f"SELECT count(*) {due}", parameters).fetchall()
    if count >= _WORTH_DELETING:
        connection.execute(f"DELETE {due}", parameters)


def distrust_the_future(connection: DuckDBPyConnection, tables: Tables, entry: ResourceType, after: datetime, now: datetime) -> bool:
    """Take back what is dated later than now, inside the caller's transaction: a sync with a wrong clock has written it.

    Coverage that was read later would hide what has changed since, and a row that was read later would never be replaced.

    Args:
        connection: The database.
        tables: The tables.
        entry: The resource type.
        after: What is dated later than this is wrong.
        now: The time that such rows get.

    Returns:
        True if there was any.
    """
    wrong = "resource_type = ? AND (read_at > ? OR span_end > ?)"
    ((spans,),) = connection.execute(f"SELECT count(*) FROM {tables.coverage} WHERE {wrong}", [entry.name, after, after]).fetchall()
    if spans:
        connection.execute(f"DELETE FROM {tables.coverage} WHERE {wrong}", [entry.name, after, after])
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {tables.rows} WHERE {SYNCED_AT} > ?", [after]).fetchall()
    if rows:
        connection.execute(f"UPDATE {tables.rows} SET {SYNCED_AT} = ? WHERE {SYNCED_AT} > ?", [now, after])
    return bool(spans or rows)
