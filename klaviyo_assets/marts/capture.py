"""Captures which profiles and days have events that changed, so that incremental models compute only these again.

Two facts together find every change. A row that a sync has added or changed has a new ``_synced_at``. A group whose number of events differs from
that of the last capture has lost events (deleted, erased, or moved to another profile by a merge) or got some without a sync (events that were in the
future). What neither shows (changed field rules, another definition of a column) rebuilds the models.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.catalog.columns import SYNCED_AT
from klaviyo_assets.marts.library import marts_schema
from klaviyo_assets.marts.model import Scope
from klaviyo_assets.marts.sources import Sources, group_of
from klaviyo_assets.marts.stores import Capture, Captures, ChangedGroups, GroupEvents
from klaviyo_assets.marts.syncs_since import Sync, SyncsSince
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import count_rows, instant_literal, literal

_GROUPS_NOW, _CHANGED_NOW = "temp.mart_groups_now", "temp.mart_changed_now"


@dataclass(frozen=True)
class ChangeCapture:
    """The capture of one kind of group, in the caller's transaction; its tables exist.

    Args:
        sources: The sources of the connection.
        scope: The kind of group.
    """

    sources: Sources
    scope: Scope

    def run(self) -> Capture:
        """Record the groups that have changed since the last capture, and return its state."""
        last, syncs = self._captures.get(self.scope), self._syncs()
        continued = last is not None and last.timezone == self.sources.context.timezone
        since = SyncsSince(syncs, last.syncs if continued and last is not None else ())
        self._count_events()
        if last is None or not continued or since.were_full:
            return self._begin(since)
        changed = self._find_changed(since.changed_from)
        now = replace(last, change=last.change + 1, syncs=tuple(since.to_remember)) if changed else replace(last, syncs=tuple(since.to_remember))
        if changed:
            self._record(now)
        if now != last:
            self._captures.put(now)
        return now

    def _begin(self, since: SyncsSince) -> Capture:
        """Begin a new epoch, in which models are rebuilt."""
        capture = Capture(self.scope, uuid4().hex, 0, self.sources.context.timezone, tuple(since.to_remember))
        self._group_events.replace(self.scope, f"FROM {_GROUPS_NOW}")
        self._changed_groups.delete(self.scope)
        self._captures.put(capture)
        return capture

    def _count_events(self) -> None:
        """Count the events of each group now."""
        events = self.sources.live_events()
        if self.scope is Scope.PROFILE:
            counted = f"SELECT {group_of(self.scope)} AS value, count(*) AS events FROM ({events}) GROUP BY ALL"
        else:
            # Each quarter of an hour lies in one day of any time zone, and there are few of them: converting each event would take seconds.
            quarters = f"SELECT floor(epoch(datetime) / 900)::BIGINT AS quarter, count(*) AS events FROM ({events}) GROUP BY ALL"
            day = self.sources.context.day_of("to_timestamp(quarter * 900)")
            counted = f"SELECT coalesce({day}::VARCHAR, '') AS value, sum(events)::BIGINT AS events FROM ({quarters}) GROUP BY ALL"
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {_GROUPS_NOW} AS {counted}")

    def _find_changed(self, changed_from: datetime | None) -> int:
        """Collect the groups that have changed, and return how many."""
        before = f"(SELECT value, events FROM {self._group_events.table} WHERE scope = {literal(self.scope.value)})"
        found = f"SELECT value FROM {_GROUPS_NOW} AS now FULL JOIN {before} AS before USING (value) WHERE now.events IS DISTINCT FROM before.events"
        if changed_from is not None:
            live = f"({self.sources.live_events()}) WHERE {SYNCED_AT} >= {instant_literal(changed_from)}"
            read = f"SELECT DISTINCT {group_of(self.scope)} AS value FROM {live}"
            found = f"{found} UNION {read}"
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {_CHANGED_NOW} AS {found}")
        return count_rows(self._connection, f"FROM {_CHANGED_NOW}")

    def _record(self, capture: Capture) -> None:
        among = f"value IN (SELECT value FROM {_CHANGED_NOW})"
        self._changed_groups.add(self.scope, capture.change, f"FROM {_CHANGED_NOW}")
        self._group_events.replace(self.scope, f"FROM {_GROUPS_NOW} WHERE {among}", among)

    def _syncs(self) -> list[Sync]:
        log = SyncLog(self._connection, self._warehouse, self.sources.schema)
        if not log.exists:
            return []
        rows = self._connection.execute(
            f"SELECT id, started_at, mode, finished_at IS NOT NULL, outcome = 'succeeded' FROM {log.table} "
            f"WHERE resource_type = {literal(EVENTS.name)} ORDER BY started_at, finished_at NULLS LAST"
        ).fetchall()
        return [Sync(*row) for row in rows]

    @property
    def _connection(self) -> DuckDBPyConnection:
        return self.sources.connection

    @property
    def _warehouse(self) -> Warehouse:
        return self.sources.warehouse

    @property
    def _captures(self) -> Captures:
        return Captures(self._connection, self._warehouse, marts_schema(self.sources.schema))

    @property
    def _group_events(self) -> GroupEvents:
        return GroupEvents(self._connection, self._warehouse, marts_schema(self.sources.schema))

    @property
    def _changed_groups(self) -> ChangedGroups:
        return ChangedGroups(self._connection, self._warehouse, marts_schema(self.sources.schema))
