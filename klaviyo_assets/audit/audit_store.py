"""Reads what an audit compares from the database, and stores its findings there."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from duckdb import DuckDBPyConnection

from klaviyo_assets.audit.audit_tables import AuditDays, AuditLog, AuditRecord
from klaviyo_assets.audit.compare import Difference, DifferenceState, EventCounts
from klaviyo_assets.catalog import CATALOG, Catalog, ResourceType
from klaviyo_assets.catalog.columns import DELETED_AT
from klaviyo_assets.catalog.endpoint import Query
from klaviyo_assets.catalog.types.metric_aggregates import METRIC_AGGREGATES
from klaviyo_assets.load.access.stored_metrics import stored_metric_names
from klaviyo_assets.load.schema.foreign_objects import Ownership
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.load.transaction_retry import retry_on_conflict
from klaviyo_assets.state.coverage import CoverageRow, TimeWindow
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.days import DAY, midnight
from klaviyo_assets.state.requested_rereads import Reread, Rereads
from klaviyo_assets.warehouse.ddl import table_exists
from klaviyo_assets.warehouse.interface import Warehouse

FIELD = "datetime"
"""The time field of events that determines their day in Klaviyo's counts, whichever fields syncs read events by."""

_REQUESTER = "audit"
"""Name of the audit in ``_rereads``."""

_log = logging.getLogger("klaviyo_assets")


@dataclass(frozen=True)
class AuditStore:
    """Reads and writes the findings of audits in one schema. Each method opens the database.

    Args:
        warehouse: The database.
        schema: DuckDB schema.
        catalog: All resource types in use; one of them has the events.
    """

    warehouse: Warehouse
    schema: str
    catalog: Catalog = field(default_factory=lambda: CATALOG)

    @property
    def events(self) -> ResourceType:
        """The type of events."""
        return self.catalog.events_type

    @property
    def counted_by(self) -> Query:
        """The endpoint with Klaviyo's own counts of events."""
        return self.events.counted_by or METRIC_AGGREGATES

    def _table(self, name: str) -> str:
        return self.warehouse.qualified(self.schema, name)

    def _prepare(self, connection: DuckDBPyConnection) -> None:
        stores = (AuditLog, AuditDays)
        for note in Tables(self.warehouse, self.schema, self.events).prepare(connection).notes:
            _log.warning("%s", note)
        Ownership(connection, self.warehouse, self.schema).check({}, {store.NAME: store.COLUMNS for store in stores})
        for store in stores:
            store(connection, self.warehouse, self.schema).prepare()

    @retry_on_conflict
    def coverage(self) -> list[CoverageRow]:
        """Return the coverage of events by their time."""
        with self.warehouse.transaction() as connection:
            self._prepare(connection)
            return [row for row in CoverageStore(connection, self.warehouse, self.schema).rows(self.events.name) if row.field == FIELD]

    def metric_names(self) -> dict[str, str]:
        """Return the names of the stored metrics by id."""
        return stored_metric_names(self.warehouse, self.schema)

    def counts(self, window: TimeWindow) -> tuple[EventCounts, int]:
        """Count the rows of a window.

        Returns:
            Rows by metric and day, and how many rows have no metric.
        """
        with self.warehouse.connection() as connection:
            rows = connection.execute(
                f"SELECT metric_id, ({FIELD} AT TIME ZONE 'UTC')::DATE, count(*) FROM {self._table(self.events.name)} "
                f"WHERE {DELETED_AT} IS NULL AND {FIELD} >= ? AND {FIELD} < ? GROUP BY ALL",
                [window.start, window.end],
            ).fetchall()
        return {(metric, day): count for metric, day, count in rows if metric is not None}, sum(row[2] for row in rows if row[0] is None)

    def days(self, window: TimeWindow) -> set[date]:
        """Return the days (UTC) of a window that have rows."""
        with self.warehouse.connection() as connection:
            rows = connection.execute(
                f"SELECT DISTINCT ({FIELD} AT TIME ZONE 'UTC')::DATE FROM {self._table(self.events.name)} "
                f"WHERE {DELETED_AT} IS NULL AND {FIELD} >= ? AND {FIELD} < ?",
                [window.start, window.end],
            ).fetchall()
        return {day for (day,) in rows}

    def oldest(self) -> datetime | None:
        """Return the time of the oldest row."""
        with self.warehouse.connection() as connection:
            found = connection.sql(f"SELECT min({FIELD}) AS oldest FROM {self._table(self.events.name)}").pl()["oldest"][0]
        return found if isinstance(found, datetime) else None

    @retry_on_conflict
    def last(self) -> tuple[AuditRecord | None, list[Difference]]:
        """Return the last audit (None if there was none) and the days that do not match, including when syncs read them again."""
        with self.warehouse.transaction() as connection:
            self._prepare(connection)
            return self._record(connection), self._differences(connection)

    def last_if_any(self) -> tuple[AuditRecord, list[Difference]] | None:
        """Like :meth:`last`, but return None, and write nothing, if there was no audit."""
        if not self._has_audited():
            return None
        record, found = self.last()
        return None if record is None else (record, found)

    @retry_on_conflict
    def save(self, record: AuditRecord, found: Sequence[Difference]) -> None:
        """Add an audit to the log, and replace the earlier findings with its own."""
        with self.warehouse.transaction() as connection:
            self._prepare(connection)
            AuditLog(connection, self.warehouse, self.schema).put(record, len(found) + record.lost)
            AuditDays(connection, self.warehouse, self.schema).replace(found, record.audited_at)
            pending = {midnight(one.day) for one in found if one.state is DifferenceState.REREAD_PENDING and one.reread_at is None}
            Rereads(connection, self.warehouse, self.schema).keep(self.events.name, pending, by=_REQUESTER)

    @retry_on_conflict
    def request_rereads(self, at: datetime) -> int:
        """Request that syncs reread the days that do not match.

        Args:
            at: Now, on Klaviyo's clock.

        Returns:
            Number of days requested; 0 if no audit has found any, or all are requested already.
        """
        if not self._has_audited():
            return 0
        with self.warehouse.transaction() as connection:
            self._prepare(connection)
            rereads, days = Rereads(connection, self.warehouse, self.schema), AuditDays(connection, self.warehouse, self.schema)
            requested = rereads.reread_at(self.events.name, _REQUESTER)
            wanted = {
                one.day
                for one in days.differences()
                if one.state is DifferenceState.MISMATCH
                # Another program may have emptied the table of requests.
                or (one.state is DifferenceState.REREAD_PENDING and one.reread_at is None and midnight(one.day) not in requested)
            }
            empty = self._without_events(connection, wanted)
            windows = [Reread(FIELD, TimeWindow(midnight(day), midnight(day) + DAY), expects_none=day in empty) for day in sorted(wanted)]
            rereads.request(self.events.name, windows, by=_REQUESTER, at=at)
            days.mark_pending()
        return len(windows)

    def _has_audited(self) -> bool:
        with self.warehouse.connection() as connection:
            return any(table_exists(connection, self.schema, store.NAME) for store in (AuditLog, AuditDays))

    def _without_events(self, connection: DuckDBPyConnection, days: set[date]) -> set[date]:
        """Return the days on which Klaviyo counts no events for any metric that has rows in the table."""
        if not days:
            return set()
        day, listed = f"({FIELD} AT TIME ZONE 'UTC')::DATE", ", ".join(f"DATE '{day.isoformat()}'" for day in days)
        with_events = connection.execute(
            f"SELECT DISTINCT {day} FROM {self._table(self.events.name)} WHERE {DELETED_AT} IS NULL AND {day} IN ({listed}) "
            f"AND NOT coalesce((metric_id, {day}) IN (SELECT (metric_id, day) FROM {self._table(AuditDays.NAME)} WHERE klaviyo_count = 0), false)"
        ).fetchall()
        return days - {day for (day,) in with_events}

    def _record(self, connection: DuckDBPyConnection) -> AuditRecord | None:
        kept = len(AuditDays(connection, self.warehouse, self.schema).differences())
        latest = AuditLog(connection, self.warehouse, self.schema).latest()
        if latest is None:
            # The findings are from an audit, although its own row is missing.
            audited_at = AuditDays(connection, self.warehouse, self.schema).latest_audit()
            return AuditRecord(audited_at, None, 0, 0, 0, {"The table _audits lacks the last audit": ["what it compared"]}) if audited_at else None
        record, mismatches = latest
        return replace(record, lost=max(0, mismatches - kept))

    def _differences(self, connection: DuckDBPyConnection) -> list[Difference]:
        reread_at = Rereads(connection, self.warehouse, self.schema).reread_at(self.events.name, _REQUESTER)
        return [
            replace(one, reread_at=reread_at.get(midnight(one.day))) if one.state is DifferenceState.REREAD_PENDING and one.reread_at is None else one
            for one in AuditDays(connection, self.warehouse, self.schema).differences()
        ]


def names_of_metrics(warehouse: Warehouse, schema: str, ids: Collection[str]) -> dict[str, str]:
    """Return the names of metrics that are in the table ``metrics``."""
    if not ids:
        return {}
    return {id_: name for id_, name in stored_metric_names(warehouse, schema).items() if id_ in ids}
