"""The table ``_syncs``: one row per attempt to sync a resource type."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from duckdb import DuckDBPyConnection

from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.state.table_fingerprint import TableState
from klaviyo_assets.warehouse.ddl import INSTANT, Columns, has_column
from klaviyo_assets.warehouse.sql import literal

SYNCS_KEPT_FOR = timedelta(days=400)
"""How long rows are kept: a year, plus the same month of the year before."""

KEPT_ALWAYS = 100
"""Number of latest rows per type that are always kept: they contain the account and the end of the last sync."""

ROWS_COMMITTED = "rows_inserted + rows_updated + rows_deleted"
"""SQL for the number of rows that a sync has changed because of what it read."""

_MIN_ROWS_TO_DELETE = 50
"""Minimum number of rows to delete together, since each deletion leaves dead rows in the file."""


@dataclass
class SyncLogEntry:
    """The sync's row of ``_syncs``; see the comments of that table for the meaning of each field."""

    id: str
    resource_type: str
    account_id: str
    mode: str
    started_at: datetime
    run_id: str | None
    slices: str = "[]"
    requests: int = 0
    bytes: int = 0
    throttled: int = 0
    seconds_waited: float = 0.0
    records_read: int = 0
    rows_inserted: int = 0
    rows_updated: int = 0
    rows_deleted: int = 0
    rows_rewritten: int | None = None
    fetched_by_id: int | None = None
    table_rows: int | None = None
    table_newest: datetime | None = None
    finished_at: datetime | None = None
    outcome: str = "running"
    error_class: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class CompleteSync:
    """A sync that has read a resource type completely.

    Attributes:
        started_at: When it started.
        state: The state of the table at its end; None if it was not recorded.
        is_latest: False if a later sync failed, was killed or has not ended yet.
    """

    started_at: datetime
    state: TableState | None
    is_latest: bool


class SyncLog(BookkeepingStore):
    """The log of the syncs of a schema."""

    NAME: ClassVar[str] = "_syncs"
    DESCRIPTION: ClassVar[str] = "One row per sync of a resource type, failed and killed ones too."
    COLUMNS: ClassVar[Columns] = {
        "id": ("VARCHAR", "Id of the sync."),
        "resource_type": ("VARCHAR", "Table that it synced."),
        "account_id": ("VARCHAR", "Klaviyo account, or unknown if the key may not read it."),
        "mode": ("VARCHAR", "incremental, full, range or repair."),
        "slices": ("JSON", "Time windows, subsets or parents that it planned to read: the first ones, then the number of others."),
        "requests": ("BIGINT", "HTTP requests sent, retries included."),
        "bytes": ("BIGINT", "Bytes of responses, decompressed."),
        "throttled": ("BIGINT", "Responses with status 429."),
        "seconds_waited": ("DOUBLE", "Seconds that requests waited for the rate limit, summed over concurrent requests."),
        "records_read": ("BIGINT", "Records received, before duplicates are dropped."),
        "rows_inserted": ("BIGINT", "Rows that were new."),
        "rows_updated": ("BIGINT", "Rows whose content changed."),
        "rows_deleted": ("BIGINT", "Rows marked as deleted."),
        "rows_rewritten": (
            "BIGINT",
            "Stored rows whose values were made again, by field rules or for new columns; null if there were none.",
        ),
        "fetched_by_id": ("BIGINT", "Records fetched one by one because a response lacked included resources; null if the type includes none."),
        "table_rows": ("BIGINT", "Rows of the table after the sync's latest commit, those marked as deleted included; null if no sync recorded it."),
        "table_newest": (INSTANT, "The latest _synced_at of the table at that time."),
        "started_at": (INSTANT, "When it started, on Klaviyo's clock."),
        "finished_at": (INSTANT, "When it ended, on Klaviyo's clock; for a killed one, when the next sync found it."),
        "outcome": ("VARCHAR", "running, succeeded, failed or killed."),
        "error_class": ("VARCHAR", "Class of the error that it failed with."),
        "error": ("VARCHAR", "What went wrong."),
        "run_id": ("VARCHAR", "Dagster run."),
    }

    def insert(self, entry: SyncLogEntry) -> None:
        """Insert the row of a sync that starts."""
        values = vars(entry)
        self.connection.execute(f"INSERT INTO {self.table} ({', '.join(values)}) VALUES ({', '.join('?' for _ in values)})", list(values.values()))

    def update(self, entry: SyncLogEntry) -> None:
        """Update the row of a running sync. A finished sync does not change, even if its run is cancelled right after."""
        values = vars(entry)
        assignments = ", ".join(f"{name} = ?" for name in values)
        # Update in place: deleting and inserting leaves a dead row in the file until the table is rewritten.
        self.connection.execute(f"UPDATE {self.table} SET {assignments} WHERE id = ? AND outcome = 'running'", [*values.values(), entry.id])

    def close_killed(self, resource_type: str, at: datetime) -> None:
        """Mark syncs that never ended as killed."""
        self.connection.execute(
            f"UPDATE {self.table} SET outcome = 'killed', finished_at = ? WHERE resource_type = ? AND outcome = 'running'", [at, resource_type]
        )

    @property
    def running_ids(self) -> str:
        """SQL query of the ids of syncs that have not ended, as far as the log knows: a killed one counts until the next sync."""
        return f"SELECT id FROM {self.table} WHERE outcome = 'running'"

    def has_sync(self, sync_id: str) -> bool:
        """Return whether a sync has a row. It has none if the file was replaced by an older copy since."""
        return self._count("id = ?", [sync_id]) > 0

    def count(self, resource_type: str) -> int:
        """Return how many syncs of a resource type are recorded."""
        return self._count("resource_type = ?", [resource_type])

    def last_end(self, resource_type: str) -> datetime | None:
        """Return when the last sync of a resource type ended; None if there was none."""
        ended = self.connection.sql(f"SELECT max(finished_at) AS ended FROM {self.table} WHERE resource_type = {literal(resource_type)}").pl()[
            "ended"
        ][0]
        return ended if isinstance(ended, datetime) else None

    def fetched_by_id(self, resource_type: str) -> int | None:
        """Return how many records the last successful sync of a type fetched one by one; None if no sync has recorded it."""
        if not has_column(self.connection, self.schema, self.NAME, "fetched_by_id"):
            return None
        rows = self._rows(
            f"SELECT fetched_by_id FROM {self.table} WHERE resource_type = ? AND outcome = 'succeeded' "
            "ORDER BY started_at DESC, finished_at DESC LIMIT 1",
            [resource_type],
        )
        return rows[0][0] if rows else None

    def last_change(self, resource_type: str) -> str | None:
        """Return the id of the last sync of a resource type that has changed rows, failed and killed ones too; None if none is recorded."""
        rows = self._rows(
            f"SELECT id FROM {self.table} WHERE resource_type = ? AND {rows_changed(self.connection, self.schema)} > 0 "
            "ORDER BY started_at DESC, finished_at DESC NULLS FIRST LIMIT 1",
            [resource_type],
        )
        return str(rows[0][0]) if rows else None

    def undo_future_dates(self, resource_type: str, *, after: datetime, now: datetime) -> None:
        """Date syncs that a wrong clock has dated in the future just before now; otherwise they would be the latest until that date.

        Args:
            resource_type: The resource type.
            after: Later dates are wrong.
            now: When the present sync starts. Its row is not inserted yet.
        """
        earlier = now - timedelta(seconds=1)
        self.connection.execute(
            f"UPDATE {self.table} SET started_at = ?, finished_at = least(finished_at, ?) WHERE resource_type = ? AND started_at > ?",
            [earlier, earlier, resource_type, after],
        )

    def any_rows_inserted(self) -> bool:
        """Return whether any sync of the schema has inserted rows."""
        return bool(self._rows(f"SELECT 1 FROM {self.table} WHERE rows_inserted > 0 LIMIT 1"))

    def latest_account(self, unknown: str) -> str | None:
        """Return the account of the latest sync, skipping rows with the value ``unknown``."""
        rows = self._rows(
            f"SELECT account_id FROM {self.table} WHERE account_id <> ? ORDER BY started_at DESC, finished_at DESC NULLS FIRST LIMIT 1", [unknown]
        )
        return str(rows[0][0]) if rows else None

    def name_account(self, account_id: str, unknown: str) -> None:
        """Set the account of syncs with an unknown account."""
        self.connection.execute(f"UPDATE {self.table} SET account_id = ? WHERE account_id = ?", [account_id, unknown])

    def table_state(self, resource_type: str, latest: datetime) -> TableState | None:
        """Return the state of the table that the last sync recorded; None if none did.

        Args:
            resource_type: The resource type.
            latest: Syncs that began later had a wrong clock and do not count.
        """
        rows = self._rows(
            f"SELECT table_rows, table_newest FROM {self.table} WHERE resource_type = ? AND table_rows IS NOT NULL AND started_at <= ? "
            "ORDER BY started_at DESC, finished_at DESC NULLS FIRST LIMIT 1",
            [resource_type, latest],
        )
        return TableState(*rows[0]) if rows else None

    def last_complete(self, resource_type: str, account_id: str) -> CompleteSync | None:
        """Return the last sync that has read a resource type completely; None if none is recorded.

        Syncs of mode range do not count: they read a part.

        Args:
            resource_type: The resource type.
            account_id: The account; syncs of another one do not count.
        """
        rows = self._rows(
            f"SELECT started_at, table_rows, table_newest, outcome = 'succeeded' FROM {self.table} "
            "WHERE resource_type = ? AND account_id = ? AND mode IS DISTINCT FROM 'range' ORDER BY started_at DESC, finished_at DESC NULLS FIRST",
            [resource_type, account_id],
        )
        for place, (started_at, table_rows, table_newest, succeeded) in enumerate(rows):
            if succeeded:
                return CompleteSync(started_at, None if table_rows is None else TableState(table_rows, table_newest), is_latest=place == 0)
        return None

    def correct_table_state(self, resource_type: str, state: TableState) -> None:
        """Replace the recorded state after a user deleted rows, so the next sync does not report them as lost."""
        if has_column(self.connection, self.schema, self.NAME, "table_rows"):  # else no sync has recorded any
            self.connection.execute(
                f"UPDATE {self.table} SET table_rows = ?, table_newest = ? WHERE resource_type = ? AND table_rows IS NOT NULL",
                [state.rows, state.newest, resource_type],
            )

    def delete_old(self, resource_type: str, now: datetime) -> None:
        """Delete rows of a resource type that are older than :data:`SYNCS_KEPT_FOR`.

        The latest :data:`KEPT_ALWAYS` stay, and the last one that has changed rows: it is the data version.
        """
        due = (
            f"resource_type = ? AND started_at < ? AND id IS DISTINCT FROM ? AND id NOT IN "
            f"(SELECT id FROM {self.table} WHERE resource_type = ? ORDER BY started_at DESC LIMIT {KEPT_ALWAYS})"
        )
        parameters = [resource_type, now - SYNCS_KEPT_FOR, self.last_change(resource_type), resource_type]
        if self._count(due, parameters) >= _MIN_ROWS_TO_DELETE:
            self.connection.execute(f"DELETE FROM {self.table} WHERE {due}", parameters)


def rows_changed(connection: DuckDBPyConnection, schema: str) -> str:
    """Return SQL for the number of rows that a sync has changed, rewritten ones included.

    Args:
        connection: The database.
        schema: Its schema with the log, which may be of an earlier version: then no sync has recorded rewritten rows.
    """
    rewritten = " + coalesce(rows_rewritten, 0)" if has_column(connection, schema, SyncLog.NAME, "rows_rewritten") else ""
    return f"({ROWS_COMMITTED}{rewritten})"
