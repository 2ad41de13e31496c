"""The state of a table after a sync, compared with its state later: coverage is valid only while the rows are there."""

from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from klaviyo_assets.decode import SYNCED_AT


@dataclass(frozen=True)
class TableState:
    """Two cheap numbers that identify the state of a table.

    Attributes:
        rows: Its rows, those marked as deleted included.
        newest: The latest ``_synced_at``; None if there is none.
    """

    rows: int
    newest: datetime | None

    def is_lost(self, found: "TableState") -> str | None:
        """Return what shows that rows which were here are gone from a table without a trace in the bookkeeping, as the end of a sentence.

        A table that is empty, and one that lacks its latest rows (an older copy was put in its place, or they were deleted). One that lacks other
        rows may have been deleted on purpose, and its coverage remains valid.

        Args:
            found: The table as it is now.
        """
        if self.rows and not found.rows:
            return f"is empty, though it held {self.rows:,} rows after the last sync"
        if self.newest is not None and (found.newest is None or found.newest < self.newest):
            latest = f"{found.newest:%Y-%m-%d %H:%M:%S}" if found.newest else "never"
            return f"lacks its latest rows: they were read at {self.newest:%Y-%m-%d %H:%M:%S} (UTC), and what it holds at {latest}"
        return None


def measured(connection: DuckDBPyConnection, table: str) -> TableState:
    """Return the state of a resource type's table, given its qualified name, as a transaction sees it."""
    rows = connection.execute(f"SELECT count(*), max({SYNCED_AT}) FROM {table}").fetchall()
    return TableState(*rows[0])


def doubts(
    before: TableState | None, found: TableState, name: str, *, was_missing: bool, is_covered: bool, has_coverage: bool
) -> tuple[bool, str | None]:
    """Return whether the coverage is still valid, and what the user should know.

    Args:
        before: The state that the last sync recorded; None if none did.
        found: The state that is found.
        name: The table, as the user knows it.
        was_missing: True if there was no table.
        is_covered: True if anything is recorded as read.
        has_coverage: True if the resource type is read by coverage, and the table of it was there.

    Returns:
        True if nothing that is recorded as read counts any more; and a note, or None.
    """
    again = "What was recorded as read does not count any more: incremental syncs read everything again."
    if was_missing and (is_covered or (before is not None and before.rows)):
        held = f" after the last sync, which left {before.rows:,} rows in it" if before is not None else ""
        return True, f"The table {name} was missing{held}. {again}"
    if before is None and not found.rows and is_covered:
        return True, f"The table {name} is empty, and nothing records whether it was so after the last sync. {again}"
    if before is not None and (what := before.is_lost(found)):
        return True, f"The table {name} {what}. {again}"
    if before is not None and found.rows < before.rows:
        return False, (
            f"The table {name} has {before.rows - found.rows:,} rows fewer than the last sync left in it: another program has deleted them. "
            "They are not read again by incremental syncs; if that was a mistake, run a sync with mode full."
        )
    if found.rows and before is not None and before.rows and not is_covered and has_coverage:
        return False, f"The table _coverage records nothing of {name}, which has rows: incremental syncs read everything again."
    return False, None
