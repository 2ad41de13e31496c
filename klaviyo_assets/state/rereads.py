"""Days that an audit found to differ and a repair has struck: not covered until one sync has read each of them again as a whole.

That they are struck stands in ``_audit_days``, so no other read brings them back by covering a part of them, or by loading what was read before. The
sync that reads a day from its beginning to its end also marks the rows that Klaviyo did not return.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from duckdb import DuckDBPyConnection

from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.tables import DELETED_AT
from klaviyo_assets.load.upsert import parquet
from klaviyo_assets.state.coverage import TimeWindow, without
from klaviyo_assets.state.days import DAY, midnight, spans_of
from klaviyo_assets.warehouse.base import Warehouse
from klaviyo_assets.warehouse.ddl import INSTANT, Columns, prepare_table
from klaviyo_assets.warehouse.sql import key_columns, key_value, quoted

AUDIT_DAYS = "_audit_days"

_COLUMNS: Columns = {
    "metric_id": ("VARCHAR", "Metric."),
    "day": ("DATE", "Day, UTC."),
    "theirs": ("BIGINT", "Events by Klaviyo's own count."),
    "ours": ("BIGINT", "Rows of the table events that are not marked as deleted."),
    "state": ("VARCHAR", "differs: nothing done yet. struck: read again by the next sync, or since then. confirmed: read again, and still differs."),
    "audited_at": (INSTANT, "When the counts were taken."),
    "read_again_at": (INSTANT, "When the read began that brought the whole day again after it was struck; null until then."),
}


class State(StrEnum):
    """What a difference has come to."""

    DIFFERS = "differs"
    """Found, and nothing done yet."""
    STRUCK = "struck"
    """Rereads from the coverage; the next sync of events reads the day again."""
    CONFIRMED = "confirmed"
    """Still there after the day was read again."""


def prepare_audit_days(connection: DuckDBPyConnection, warehouse: Warehouse, schema: str) -> None:
    """Create the table of days that differ, or add what one of an older version lacks."""
    prepare_table(connection, warehouse, schema, AUDIT_DAYS, _COLUMNS, "Days on which Klaviyo counts other events than there are.")


@dataclass(frozen=True)
class Rereads:
    """The struck days of the one resource type that is audited.

    Args:
        loader: The sync's loader; deletions are added to its counts.
    """

    loader: Loader

    @property
    def _days(self) -> str:
        return self.loader.warehouse.qualified(self.loader.schema, AUDIT_DAYS)

    @property
    def _field(self) -> str:
        return self.loader.entry.replication.cursor_fields[0]

    def strike(self) -> None:
        """Strike the days that differ from the coverage, in one transaction with the note that it was done."""
        with self.loader.transaction() as connection:
            self._prepare(connection)
            days = connection.execute(f"SELECT DISTINCT day FROM {self._days} WHERE state = ?", [State.DIFFERS]).fetchall()
            if days:
                spans = spans_of(day for (day,) in days)
                self.loader.replace_coverage(connection, self._field, lambda rows: without(rows, spans))
                connection.execute(
                    f"UPDATE {self._days} SET state = ?, read_again_at = NULL WHERE state = ?",
                    [State.STRUCK, State.DIFFERS],
                )

    def spans(self, within: TimeWindow) -> list[TimeWindow]:
        """Return what is struck and has not been read again since, as far as whole days lie in a span."""
        with self.loader.transaction() as connection:
            if not self._is_there(connection):
                return []
            self._prepare(connection)
            rows = connection.execute(f"SELECT DISTINCT day FROM {self._days} WHERE state = ? AND read_again_at IS NULL", [State.STRUCK]).fetchall()
        return spans_of(day for (day,) in rows if within.start <= midnight(day) and midnight(day) + DAY <= within.end)

    def finish(self, spans: Sequence[TimeWindow], files: Sequence[Path], at: datetime) -> list[TimeWindow]:
        """Mark rows of spans that a complete read of them did not bring, and note that these days have been read again.

        Args:
            spans: What was read, from :meth:`spans`.
            files: Parquet files with the id and the time of everything that the read has brought.
            at: When the read began.

        Returns:
            Spans that came empty although rows of them are known: of those only rows are marked of which Klaviyo counts none as well.
        """
        deleted, empty = 0, []
        with self.loader.transaction() as connection:
            for span in spans:
                marked, suddenly_empty = self._mark(connection, span, files, at)
                deleted += marked
                empty += [span] if suddenly_empty else []
                connection.execute(
                    f"UPDATE {self._days} SET read_again_at = ? WHERE state = ? AND read_again_at IS NULL AND day >= ? AND day < ?",
                    [at, State.STRUCK, span.start.date(), span.end.date()],
                )
        self.loader.counts.deleted += deleted
        return empty

    def _mark(self, connection: DuckDBPyConnection, span: TimeWindow, files: Sequence[Path], at: datetime) -> tuple[int, bool]:
        rows, key, field = self.loader.tables.rows, self.loader.entry.primary_key, quoted(self._field)
        in_span, bounds = f"{field} >= ? AND {field} < ?", [span.start, span.end]
        missing = f"{DELETED_AT} IS NULL AND {in_span} AND {key_value(key)} NOT IN (SELECT {key_columns(key)} FROM {parquet(files, key)})"
        came_empty = not files or not connection.execute(f"SELECT 1 FROM {parquet(files, key)} WHERE {in_span} LIMIT 1", bounds).fetchall()
        if came_empty:
            # An answer that is suddenly empty may be a fault; a count of none besides is a second witness.
            missing += f" AND (metric_id, ({field} AT TIME ZONE 'UTC')::DATE) IN (SELECT (metric_id, day) FROM {self._days} WHERE theirs = 0)"
        ((marked,),) = connection.execute(f"UPDATE {rows} SET {DELETED_AT} = ? WHERE {missing}", [at, *bounds]).fetchall()
        left = came_empty and connection.execute(f"SELECT 1 FROM {rows} WHERE {DELETED_AT} IS NULL AND {in_span} LIMIT 1", bounds).fetchall()
        return int(marked), bool(left)

    def _prepare(self, connection: DuckDBPyConnection) -> None:
        prepare_audit_days(connection, self.loader.warehouse, self.loader.schema)

    def _is_there(self, connection: DuckDBPyConnection) -> bool:
        return bool(
            connection.execute(
                "SELECT 1 FROM duckdb_tables() WHERE lower(schema_name) = lower(?) AND table_name = ? AND database_name = current_database()",
                [self.loader.schema, AUDIT_DAYS],
            ).fetchall()
        )
