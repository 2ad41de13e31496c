"""Corrects dates in the future that a sync with a wrong clock has written."""

from datetime import datetime

from klaviyo_assets.decode import SYNCED_AT
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.sync_log import SyncLog


def undo_future_dates(tables: Tables, log: SyncLog, coverage: CoverageStore, *, after: datetime, now: datetime) -> list[str]:
    """Delete coverage and correct ``_synced_at`` and syncs if dated in the future, inside the caller's transaction.

    Coverage from the future would hide later changes, and a row read in the future would never be replaced.

    Args:
        tables: The tables of the resource type.
        log: The log of syncs.
        coverage: The coverage of the schema.
        after: Later dates are wrong.
        now: The time to set instead.

    Returns:
        Messages for the user: none if coverage and rows are right.
    """
    name = tables.entry.name
    found = coverage.delete_later_than(name, after)
    ((count,),) = log.connection.execute(f"SELECT count(*) FROM {tables.rows} WHERE {SYNCED_AT} > ?", [after]).fetchall()
    if count:
        log.connection.execute(f"UPDATE {tables.rows} SET {SYNCED_AT} = ? WHERE {SYNCED_AT} > ?", [now, after])
    log.undo_future_dates(name, after=after, now=now)
    if not (found or count):
        return []
    return [f"An earlier sync of {name} was dated later than now, by a wrong clock: its coverage is read again."]
