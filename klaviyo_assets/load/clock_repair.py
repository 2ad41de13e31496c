"""Corrects dates in the future that a sync with a wrong clock has written."""

from datetime import datetime

from duckdb import DuckDBPyConnection

from klaviyo_assets.decode import SYNCED_AT
from klaviyo_assets.state.coverage_store import CoverageStore


def undo_future_dates(
    connection: DuckDBPyConnection, rows: str, coverage: CoverageStore, resource_type: str, *, after: datetime, now: datetime
) -> bool:
    """Delete coverage and correct ``_synced_at`` if dated in the future, inside the caller's transaction.

    Coverage from the future would hide later changes, and a row read in the future would never be replaced.

    Args:
        connection: The database.
        rows: The table of the resource type, qualified.
        coverage: The coverage of the schema.
        resource_type: The resource type.
        after: Later dates are wrong.
        now: The time to set instead.

    Returns:
        True if there was anything to correct.
    """
    found = coverage.delete_later_than(resource_type, after)
    ((count,),) = connection.execute(f"SELECT count(*) FROM {rows} WHERE {SYNCED_AT} > ?", [after]).fetchall()
    if count:
        connection.execute(f"UPDATE {rows} SET {SYNCED_AT} = ? WHERE {SYNCED_AT} > ?", [now, after])
    return found or bool(count)
