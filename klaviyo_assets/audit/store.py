"""What audits have found, kept beside the tables: ``_audits`` and ``_audit_days``."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from duckdb import DuckDBPyConnection

from klaviyo_assets.audit.compare import Counts, Difference
from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.tables import DELETED_AT
from klaviyo_assets.state.coverage import CoverageRow, TimeWindow
from klaviyo_assets.state.rereads import AUDIT_DAYS, State, prepare_audit_days
from klaviyo_assets.warehouse.base import Warehouse
from klaviyo_assets.warehouse.ddl import INSTANT, Columns, prepare_table, table_exists
from klaviyo_assets.warehouse.sql import literal

FIELD = EVENTS.replication.cursor_fields[0]
"""The time field of events that days are told by."""

_AUDITS: Columns = {
    "audited_at": (INSTANT, "When the audit began, on Klaviyo's clock."),
    "compared_from": (INSTANT, "First day that was compared."),
    "compared_to": (INSTANT, "End of the last day that was compared."),
    "metrics": ("BIGINT", "Metrics that were compared."),
    "days": ("BIGINT", "Days that were compared, added up over the metrics."),
    "requests": ("BIGINT", "Requests for counts."),
    "excluded": ("JSON", "What could not be compared, and why."),
    "differing": ("BIGINT", "Days that differed, one row of _audit_days each; null if an earlier version has audited."),
}


@dataclass(frozen=True)
class AuditRecord:
    """What one audit has looked at.

    Attributes:
        audited_at: When it began, on Klaviyo's clock.
        compared: First and last instant that was compared; None if nothing was.
        metrics: Metrics that were compared.
        days: Days that were compared, added up over the metrics.
        requests: Requests for counts.
        excluded: What could not be compared, by reason.
        lost: Days that differed and that ``_audit_days`` does not hold any more: another program has dropped or emptied it.
    """

    audited_at: datetime
    compared: TimeWindow | None
    metrics: int
    days: int
    requests: int
    excluded: dict[str, list[str]] = field(default_factory=dict)
    lost: int = 0


@dataclass(frozen=True)
class AuditStore:
    """Reads and writes what audits have found in one schema. Each method opens the database for itself.

    Args:
        warehouse: The database.
        schema: DuckDB schema.
    """

    warehouse: Warehouse
    schema: str

    @property
    def _loader(self) -> Loader:
        return Loader(self.warehouse, EVENTS, self.schema)

    def _table(self, name: str) -> str:
        return self.warehouse.qualified(self.schema, name)

    def _prepare(self, connection: DuckDBPyConnection) -> None:
        self._loader.tables.prepare(connection)
        prepare_table(connection, self.warehouse, self.schema, "_audits", _AUDITS, "The last comparison of events with Klaviyo's own counts.")
        prepare_audit_days(connection, self.warehouse, self.schema)

    def coverage(self) -> list[CoverageRow]:
        """Return what is covered of the events, by their time."""
        with self._loader.transaction() as connection:
            self._prepare(connection)
            return [row for row in self._loader.coverage_within(connection) if row.field == FIELD]

    def counts(self, span: TimeWindow) -> tuple[Counts, int]:
        """Count the rows of a span.

        Returns:
            Rows by metric and day, and how many rows have no metric.
        """
        with self.warehouse.connection() as connection:
            rows = connection.execute(
                f"SELECT metric_id, ({FIELD} AT TIME ZONE 'UTC')::DATE, count(*) FROM {self._table(EVENTS.name)} "
                f"WHERE {DELETED_AT} IS NULL AND {FIELD} >= ? AND {FIELD} < ? GROUP BY ALL",
                [span.start, span.end],
            ).fetchall()
        return {(metric, day): count for metric, day, count in rows if metric is not None}, sum(row[2] for row in rows if row[0] is None)

    def days(self, span: TimeWindow) -> set[date]:
        """Return the days (UTC) of a span of which there are rows."""
        with self.warehouse.connection() as connection:
            rows = connection.execute(
                f"SELECT DISTINCT ({FIELD} AT TIME ZONE 'UTC')::DATE FROM {self._table(EVENTS.name)} "
                f"WHERE {DELETED_AT} IS NULL AND {FIELD} >= ? AND {FIELD} < ?",
                [span.start, span.end],
            ).fetchall()
        return {day for (day,) in rows}

    def oldest(self) -> datetime | None:
        """Return the time of the oldest row."""
        with self.warehouse.connection() as connection:
            found = connection.sql(f"SELECT min({FIELD}) AS oldest FROM {self._table(EVENTS.name)}").pl()["oldest"][0]
        return found if isinstance(found, datetime) else None

    def last(self) -> tuple[AuditRecord | None, list[Difference]]:
        """Return the last audit, None if there was none, and the differences as they stand."""
        with self._loader.transaction() as connection:
            self._prepare(connection)
            return self._record(connection), self._differences(connection)

    def last_if_any(self) -> tuple[AuditRecord, list[Difference]] | None:
        """Return the last audit and the differences as they stand; None if there was none: then nothing is written either."""
        with self.warehouse.connection() as connection:
            if not any(table_exists(connection, self.schema, name) for name in ("_audits", AUDIT_DAYS)):
                return None
        record, found = self.last()
        return None if record is None else (record, found)

    def save(self, record: AuditRecord, found: Sequence[Difference]) -> None:
        """Keep what an audit has found, in place of what the last one had."""
        with self._loader.transaction() as connection:
            self._prepare(connection)
            audits = self._table("_audits")
            connection.execute(f"DELETE FROM {audits}")
            span = record.compared
            connection.execute(
                f"INSERT INTO {audits} (audited_at, compared_from, compared_to, metrics, days, requests, excluded, differing) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    record.audited_at,
                    span.start if span else None,
                    span.end if span else None,
                    record.metrics,
                    record.days,
                    record.requests,
                    json.dumps(record.excluded),
                    len(found) + record.lost,
                ],
            )
            self._replace(connection, found, record.audited_at)

    def _replace(self, connection: DuckDBPyConnection, found: Iterable[Difference], audited_at: datetime) -> None:
        table = self._table(AUDIT_DAYS)
        connection.execute(f"DELETE FROM {table}")
        rows = [[one.metric_id, one.day, one.theirs, one.ours, one.state.value, audited_at, one.read_again_at] for one in found]
        if rows:
            connection.executemany(
                f"INSERT INTO {table} (metric_id, day, theirs, ours, state, audited_at, read_again_at) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
            )

    def _record(self, connection: DuckDBPyConnection) -> AuditRecord | None:
        frame = connection.sql(f"SELECT * FROM {self._table('_audits')} ORDER BY audited_at DESC LIMIT 1").pl()
        ((kept, audited_at),) = connection.execute(f"SELECT count(*), max(audited_at) FROM {self._table(AUDIT_DAYS)}").fetchall()
        if not frame.height:
            # Days that differ are from an audit, although its own row is gone.
            return AuditRecord(audited_at, None, 0, 0, 0, {"The table _audits lacks the last audit": ["what it compared"]}) if kept else None
        row = frame.row(0, named=True)
        compared = TimeWindow(row["compared_from"], row["compared_to"]) if row["compared_from"] else None
        excluded, lost = json.loads(row["excluded"] or "{}"), max(0, (row["differing"] or 0) - kept)
        return AuditRecord(row["audited_at"], compared, row["metrics"], row["days"], row["requests"], excluded, lost)

    def _differences(self, connection: DuckDBPyConnection) -> list[Difference]:
        frame = connection.sql(
            f"SELECT day, metric_id, theirs, ours, state, read_again_at FROM {self._table(AUDIT_DAYS)} ORDER BY day, metric_id"
        ).pl()
        return [Difference(**row | {"state": State(row["state"])}) for row in frame.iter_rows(named=True)]


def names_of(warehouse: Warehouse, schema: str, ids: Iterable[str]) -> dict[str, str]:
    """Return the names of metrics from the table ``metrics``, as far as they are there."""
    listed = ", ".join(literal(id_) for id_ in ids)
    if not listed:
        return {}
    with warehouse.connection() as connection:
        there = connection.execute(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() AND lower(schema_name) = lower(?) AND table_name = 'metrics'",
            [schema],
        ).fetchall()
        if not there:
            return {}
        return dict(connection.execute(f"SELECT id, name FROM {warehouse.qualified(schema, 'metrics')} WHERE id IN ({listed})").fetchall())
