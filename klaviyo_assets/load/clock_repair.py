"""Undoes what a sync with a wrong clock has written: dates in the future."""

from datetime import datetime

from duckdb import DuckDBPyConnection

from klaviyo_assets.decode import SYNCED_AT
from klaviyo_assets.state.coverage_store import CoverageStore


def undo_future_dates(
    connection: DuckDBPyConnection, rows: str, coverage: CoverageStore, resource_type: str, *, after: datetime, now: datetime
) -> bool:
    """Delete coverage and correct ``_synced_at`` where they are dated later than now, inside the caller's transaction.

    Coverage that was read later would hide what has changed since, and a row that was read later would never be replaced.

    Args:
        connection: The database.
        rows: The table of the resource type, qualified.
        coverage: The coverage of the schema.
        resource_type: The resource type.
        after: What is dated later than this is wrong.
        now: The time that such rows get.

    Returns:
        True if there was anything to undo.
    """
    found = coverage.delete_later_than(resource_type, after)
    ((count,),) = connection.execute(f"SELECT count(*) FROM {rows} WHERE {SYNCED_AT} > ?", [after]).fetchall()
    if count:
        connection.execute(f"UPDATE {rows} SET {SYNCED_AT} = ? WHERE {SYNCED_AT} > ?", [now, after])
    return found or bool(count)
