"""Compares the state of a table with its state after the last sync: coverage is valid only while the rows are there."""

from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from klaviyo_assets.decode import SYNCED_AT


@dataclass(frozen=True)
class TableState:
    """Two cheap numbers that identify the state of a table.

    Attributes:
        rows: Number of rows, including those marked as deleted.
        newest: The latest ``_synced_at``; None if there is none.
    """

    rows: int
    newest: datetime | None

    def lost_reason(self, found: "TableState") -> str | None:
        """Return why rows seem to be lost, as the end of a sentence; None if they are not.

        Rows are lost if the table is empty, or lacks its latest rows because they were deleted or an older copy was restored. Other missing rows may
        have been deleted on purpose, so the coverage remains valid.

        Args:
            found: The current state.
        """
        if self.rows and not found.rows:
            return f"is empty, though it held {self.rows:,} rows after the last sync"
        if self.newest is not None and (found.newest is None or found.newest < self.newest):
            latest = f"{found.newest:%Y-%m-%d %H:%M:%S}" if found.newest else "never"
            return f"lacks its latest rows: they were read at {self.newest:%Y-%m-%d %H:%M:%S} (UTC), the remaining ones at {latest}"
        return None


def current_state(connection: DuckDBPyConnection, table: str) -> TableState:
    """Return the current state of a table, given its qualified name, in the caller's transaction."""
    rows = connection.execute(f"SELECT count(*), max({SYNCED_AT}) FROM {table}").fetchall()
    return TableState(*rows[0])


def check_coverage(
    before: TableState | None, found: TableState, name: str, *, was_missing: bool, is_covered: bool, has_coverage: bool
) -> tuple[bool, str | None]:
    """Return whether the coverage is invalid, and a message for the user.

    Args:
        before: The state that the last sync recorded; None if none did.
        found: The current state.
        name: The table, as the user knows it.
        was_missing: True if there was no table.
        is_covered: True if there is any coverage.
        has_coverage: True if the resource type uses coverage, and the coverage table existed.

    Returns:
        True if the coverage must be cleared; and a message, or None.
    """
    again = "Its coverage no longer counts: incremental syncs read everything again."
    if was_missing and (is_covered or (before is not None and before.rows)):
        held = f" after the last sync, which left {before.rows:,} rows in it" if before is not None else ""
        return True, f"The table {name} was missing{held}. {again}"
    if before is None and not found.rows and is_covered:
        return True, f"The table {name} is empty, and there is no record of whether it was empty after the last sync. {again}"
    if before is not None and (what := before.lost_reason(found)):
        return True, f"The table {name} {what}. {again}"
    if before is not None and found.rows < before.rows:
        return False, (
            f"The table {name} has {before.rows - found.rows:,} rows fewer than the last sync left in it: another program has deleted them. "
            "They are not read again by incremental syncs; if that was a mistake, run a sync with mode full."
        )
    if found.rows and before is not None and before.rows and not is_covered and has_coverage:
        return False, f"The table _coverage has no entries for {name}, which has rows: incremental syncs read everything again."
    return False, None
