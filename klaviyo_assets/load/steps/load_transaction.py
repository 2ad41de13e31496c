"""One transaction of a sync: what it may write into the tables and the bookkeeping, and how it is opened."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from duckdb import DuckDBPyConnection

from klaviyo_assets.load.deletions.deletions import Deletions
from klaviyo_assets.load.rewrites.rewriting import Rewriting
from klaviyo_assets.load.rows.null_rate_recorder import NullRateRecorder
from klaviyo_assets.load.rows.period_recorder import PeriodRecorder
from klaviyo_assets.load.rows.upsert import Upsert
from klaviyo_assets.load.schema.tables import DELETED_AT, Tables
from klaviyo_assets.load.steps.load_progress import LoadProgress
from klaviyo_assets.load.views.metric_views import MetricViews
from klaviyo_assets.load.views.staged_properties import StagedProperties
from klaviyo_assets.state.coverage import CoverageRow, TimeWindow
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.data_version import data_version
from klaviyo_assets.state.periods import Periods
from klaviyo_assets.state.sync_log import SyncLog, SyncLogEntry
from klaviyo_assets.state.table_fingerprint import current_state
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import count_rows


@dataclass(frozen=True)
class LoadTransaction:
    """An open transaction of a sync.

    Args:
        connection: The database.
        tables: The tables of the resource type.
        row: The sync's log entry, up to date.
        progress: What the sync has changed so far.
        periods: Periods by which changes are recorded; None to record none.
        staged_properties: Properties of staged events, for the views of metrics.
    """

    connection: DuckDBPyConnection
    tables: Tables
    row: SyncLogEntry
    progress: LoadProgress
    periods: Periods | None
    staged_properties: StagedProperties

    @property
    def log(self) -> SyncLog:
        """The log of syncs."""
        return SyncLog(self.connection, self.tables.warehouse, self.tables.schema)

    @property
    def coverage(self) -> CoverageStore:
        """The coverage of the schema."""
        return CoverageStore(self.connection, self.tables.warehouse, self.tables.schema)

    @property
    def deletions(self) -> Deletions:
        """Marks deleted rows."""
        return Deletions(self.connection, self.tables)

    @property
    def changes(self) -> PeriodRecorder:
        """Records the periods of changed rows."""
        return PeriodRecorder(self.tables, self.periods, self.row.id)

    @property
    def _views(self) -> MetricViews:
        return MetricViews(self.connection, self.tables.warehouse, self.tables.schema)

    def upsert(self, files: Sequence[Path], table: str) -> None:
        """Upsert staged rows into the table, or into the one that a full read fills."""
        if not files:
            return
        entry, warehouse, counts = self.tables.entry, self.tables.warehouse, self.progress.counts
        # A full read is compared as a whole, when its table is swapped in.
        null_rates = NullRateRecorder(self.connection, self.tables) if table == self.tables.rows else None
        written = partial(self.changes.note, self.connection) if table == self.tables.rows else None
        rowid = warehouse.capabilities.rowid
        inserted, updated = Upsert(self.connection, entry, files, table, null_rates, warehouse.before_append, rowid, written).run()
        counts.inserted, counts.updated = counts.inserted + inserted, counts.updated + updated
        if entry.has_metric_views and (inserted or updated):
            self._views.note_staged(files, self.staged_properties)

    def extend_coverage(self, new: Sequence[CoverageRow]) -> None:
        """Add the coverage of loaded rows."""
        entry = self.tables.entry
        self.coverage.add(entry.name, new, self.row.account_id, entry.replication.lookback_ages_of)

    def mark_missing(self, field: str, window: TimeWindow, files: Sequence[Path]) -> None:
        """Mark rows of a window that a complete read of it did not return, and record the periods of these rows."""
        if marked := self.deletions.mark_missing(field, window, files, self.row.started_at):
            self.progress.counts.deleted += marked
            self.changes.note_marked(self.connection, self.row.started_at)

    def note_rewritten(self, rewriting: Rewriting) -> None:
        """Record rewritten rows: in every period, unless the rewriting has recorded in which."""
        if not (rewriting.are_recorded or self.progress.all_periods_recorded):  # once is enough
            self.progress.all_periods_recorded = True
            rewriting.note(self.tables.rows)
        self.progress.rewritten += rewriting.rows
        self.update_log()

    def record_state(self) -> None:
        """Record the state of the table, by which a loss of rows is noticed later."""
        state = current_state(self.connection, self.tables.rows)
        self.progress.table_state = state
        self.row.table_rows, self.row.table_newest = state.rows, state.newest

    def update_log(self) -> None:
        """Write the sync's log entry with the numbers of changed rows."""
        row, counts = self.row, self.progress.counts
        row.rows_inserted, row.rows_updated, row.rows_deleted = counts.inserted, counts.updated, counts.deleted
        row.rows_rewritten = self.progress.rewritten or None
        self.log.update(row)

    def end(self, now: datetime) -> None:
        """Write the outcome of the sync."""
        entry, row = self.tables.entry, self.row
        row.finished_at = now
        row.outcome = "succeeded" if row.error is None else "failed"
        if row.error is None:  # else the state that the last commit recorded remains valid
            self.record_state()
            if entry.has_metric_views or entry.names_metrics:
                self._views.refresh()
        self.update_log()
        self.progress.data_version = data_version(self.log, entry.name)
        self.count_rows()

    def count_rows(self) -> None:
        """Count the rows that are not marked as deleted."""
        self.progress.row_count = count_rows(self.connection, f"FROM {self.tables.rows} WHERE {DELETED_AT} IS NULL")


@dataclass(frozen=True)
class LoadTransactions:
    """Opens the transactions of a sync, one at a time.

    Args:
        tables: The tables of the resource type.
        progress: What the sync has changed so far; restored if a transaction or its commit fails.
        periods: Periods by which changes are recorded; None to record none.
        staged_properties: Properties of staged events, for the views of metrics.
    """

    tables: Tables
    progress: LoadProgress
    periods: Periods | None
    staged_properties: StagedProperties

    @property
    def warehouse(self) -> Warehouse:
        """The database."""
        return self.tables.warehouse

    @contextmanager
    def open(self, row: SyncLogEntry, *, frees_space: bool = True) -> Iterator[LoadTransaction]:
        """Open the database for one transaction; an error rolls it back.

        Args:
            row: The sync's log entry, up to date.
            frees_space: False if a later transaction frees the space of deleted rows.
        """
        with self.progress.restored_on_error(), self.warehouse.transaction(frees_space=frees_space) as connection:
            yield LoadTransaction(connection, self.tables, row, self.progress, self.periods, self.staged_properties)

    @contextmanager
    def rewriting(self, row: SyncLogEntry) -> Iterator[Rewriting]:
        """Open a transaction that rewrites rows, and record at its end that they have changed."""
        with self.open(row) as transaction:
            rewriting = Rewriting(transaction.connection, transaction.changes.note)
            yield rewriting
            if rewriting.rows:
                transaction.note_rewritten(rewriting)
