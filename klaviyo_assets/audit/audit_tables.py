"""The tables ``_audits`` (what audits compared) and ``_audit_days`` (days that do not match)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from klaviyo_assets.audit.compare import Difference, DifferenceState
from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.warehouse.ddl import INSTANT, Columns

AUDITS_KEPT_FOR = timedelta(days=400)
"""How long audits are kept in the log. The latest one is always kept."""


@dataclass(frozen=True)
class AuditRecord:
    """What one audit compared.

    Attributes:
        audited_at: When it began, on Klaviyo's clock.
        compared: First and last instant that was compared; None if nothing was.
        metrics: Metrics that were compared.
        days: Days that were compared, summed over the metrics.
        requests: Requests for counts.
        excluded: What could not be compared, by reason.
        lost: Days that did not match and are missing from ``_audit_days`` because another program has dropped or emptied it.
    """

    audited_at: datetime
    compared: TimeWindow | None
    metrics: int
    days: int
    requests: int
    excluded: dict[str, list[str]] = field(default_factory=dict)
    lost: int = 0


class AuditLog(BookkeepingStore):
    """The audits of a schema, one row each."""

    NAME: ClassVar[str] = "_audits"
    DESCRIPTION: ClassVar[str] = "One row per comparison of events with Klaviyo's own counts."
    COLUMNS: ClassVar[Columns] = {
        "audited_at": (INSTANT, "When the audit began, on Klaviyo's clock."),
        "compared_from": (INSTANT, "First day that was compared."),
        "compared_to": (INSTANT, "End of the last day that was compared."),
        "metrics": ("BIGINT", "Metrics that were compared."),
        "days": ("BIGINT", "Days that were compared, summed over the metrics."),
        "requests": ("BIGINT", "Requests for counts."),
        "excluded": ("JSON", "What could not be compared, and why."),
        "mismatches": (
            "BIGINT",
            "Days that did not match; those of the latest audit are in _audit_days. Null if an earlier version has audited.",
        ),
    }

    def latest(self) -> tuple[AuditRecord, int] | None:
        """Return the latest audit, and how many days did not match; None if there was none."""
        frame = self.connection.sql(f"SELECT * FROM {self.table} ORDER BY audited_at DESC LIMIT 1").pl()
        if not frame.height:
            return None
        row = frame.row(0, named=True)
        compared = TimeWindow(row["compared_from"], row["compared_to"]) if row["compared_from"] else None
        excluded = json.loads(row["excluded"] or "{}")
        return AuditRecord(row["audited_at"], compared, row["metrics"], row["days"], row["requests"], excluded), row["mismatches"] or 0

    def put(self, record: AuditRecord, mismatches: int) -> None:
        """Insert an audit, replacing an earlier version of the same one, and delete audits older than :data:`AUDITS_KEPT_FOR`."""
        self.connection.execute(
            f"DELETE FROM {self.table} WHERE audited_at = ? OR audited_at < ?", [record.audited_at, record.audited_at - AUDITS_KEPT_FOR]
        )
        window = record.compared
        self.connection.execute(
            f"INSERT INTO {self.table} (audited_at, compared_from, compared_to, metrics, days, requests, excluded, mismatches) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                record.audited_at,
                window.start if window else None,
                window.end if window else None,
                record.metrics,
                record.days,
                record.requests,
                json.dumps(record.excluded),
                mismatches,
            ],
        )


class AuditDays(BookkeepingStore):
    """The days of a schema that do not match, as of the latest audit."""

    NAME: ClassVar[str] = "_audit_days"
    DESCRIPTION: ClassVar[str] = "Days on which Klaviyo counts a different number of events than the table has."
    COLUMNS: ClassVar[Columns] = {
        "metric_id": ("VARCHAR", "Metric."),
        "day": ("DATE", "Day, UTC."),
        "klaviyo_count": ("BIGINT", "Events by Klaviyo's own count."),
        "table_count": ("BIGINT", "Rows of the table events that are not marked as deleted."),
        "state": (
            "VARCHAR",
            "mismatch: nothing done yet. reread_pending: a repair has requested it to be read again; the next audit compares it. "
            "unresolved: read again, and still does not match.",
        ),
        "audited_at": (INSTANT, "When Klaviyo's count was requested."),
        "reread_at": (INSTANT, "When the read began that read the whole day again; null as long as no audit has seen that."),
    }

    def differences(self) -> list[Difference]:
        """Return the days, ascending."""
        frame = self.connection.sql(
            f"SELECT day, metric_id, klaviyo_count, table_count, state, reread_at FROM {self.table} ORDER BY day, metric_id"
        ).pl()
        return [Difference(**row | {"state": DifferenceState(row["state"])}) for row in frame.iter_rows(named=True)]

    def replace(self, found: Iterable[Difference], audited_at: datetime) -> None:
        """Replace the earlier findings with those of an audit."""
        self.connection.execute(f"DELETE FROM {self.table}")
        rows = [[one.metric_id, one.day, one.klaviyo_count, one.table_count, one.state.value, audited_at, one.reread_at] for one in found]
        if rows:
            self.connection.executemany(
                f"INSERT INTO {self.table} (metric_id, day, klaviyo_count, table_count, state, audited_at, reread_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def mark_pending(self) -> None:
        """Mark all mismatches as pending rereads."""
        self.connection.execute(
            f"UPDATE {self.table} SET state = ?, reread_at = NULL WHERE state = ?",
            [DifferenceState.REREAD_PENDING.value, DifferenceState.MISMATCH.value],
        )

    def latest_audit(self) -> datetime | None:
        """Return when the days were counted; None if there are no days."""
        ((latest,),) = self._rows(f"SELECT max(audited_at) FROM {self.table}")
        return latest if isinstance(latest, datetime) else None
