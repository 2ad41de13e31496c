"""Loads staged rows into the table, together with the coverage and the sync's log entry, in short transactions."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.deletions.deletions import Deletions, Key
from klaviyo_assets.load.deletions.parents_ending import ParentsEnding
from klaviyo_assets.load.deletions.report_ending import ReportEnding
from klaviyo_assets.load.deletions.report_window import ReportWindow
from klaviyo_assets.load.integrity.clock_repair import undo_future_dates
from klaviyo_assets.load.integrity.lost_rows import LostRows
from klaviyo_assets.load.integrity.table_changes import fail_if_changed
from klaviyo_assets.load.parts.row_ranges import RowRange
from klaviyo_assets.load.rewrites.reapply_rules import StoredRules
from klaviyo_assets.load.rewrites.recompute import Recompute
from klaviyo_assets.load.rewrites.rewriting import Rewriting
from klaviyo_assets.load.rewrites.rule_change import RuleChange
from klaviyo_assets.load.rows.null_rate_recorder import NullRateRecorder
from klaviyo_assets.load.rows.period_recorder import PeriodRecorder
from klaviyo_assets.load.rows.rebuild import Rebuild
from klaviyo_assets.load.rows.row_counts import RowCounts
from klaviyo_assets.load.rows.upsert import Upsert
from klaviyo_assets.load.schema.tables import DELETED_AT, Tables
from klaviyo_assets.load.transaction_retry import retry_on_conflict
from klaviyo_assets.load.views.metric_views import MetricViews
from klaviyo_assets.load.views.staged_properties import StagedProperties
from klaviyo_assets.privacy.apply import FieldRuleSet
from klaviyo_assets.state.account import AccountPin
from klaviyo_assets.state.bookkeeping_copy import BookkeepingCopy
from klaviyo_assets.state.changed_periods import ChangedPeriods
from klaviyo_assets.state.coverage import CoverageRow, TimeWindow
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.data_version import data_version
from klaviyo_assets.state.periods import Periods
from klaviyo_assets.state.requested_rereads import Reread, Rereads
from klaviyo_assets.state.sync_log import SyncLog, SyncLogEntry
from klaviyo_assets.state.table_fingerprint import TableState, current_state
from klaviyo_assets.state.tombstones import Tombstones
from klaviyo_assets.warehouse.ddl import SchemaColumns
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import count_rows


@dataclass
class Loader:
    """All database work of one sync.

    Each method opens the database for one transaction and closes it. A process that is killed at any time leaves the last committed state.

    Args:
        warehouse: The database.
        entry: The resource type.
        schema: DuckDB schema.

    Attributes:
        counts: Rows that were changed so far.
        row_count: Rows that are not marked as deleted, counted at the start and at the end of the sync.
        data_version: Changes only if rows have changed; set at the end of the sync.
        has_field_rules: Whether rows of the schema were stored with field rules; set by :meth:`begin`.
        erased: Hashes of ids that were erased and must not be stored again; set by :meth:`begin`.
        rereads: Windows that must be read again; set by :meth:`begin`.
        notes: Messages for the user.
        selected: SQL condition for rows that the sync reads.
        discard_staged: Deletes staged files of interrupted syncs.
        periods: Periods (days or months) by which changes are recorded; None to record none.
        staged_properties: Properties of staged events, for the views of metrics.
    """

    warehouse: Warehouse
    entry: ResourceType
    schema: str
    counts: RowCounts = field(default_factory=RowCounts)
    row_count: int = 0
    data_version: str = ""
    has_field_rules: bool = False
    erased: frozenset[str] = frozenset()
    rereads: Sequence[Reread] = ()
    notes: list[str] = field(default_factory=list)
    discard_staged: Callable[[], None] = lambda: None
    selected: str = "true"
    periods: Periods | None = None
    staged_properties: StagedProperties = field(default_factory=StagedProperties)
    _rewritten: int = 0
    _recorded_all: bool = False
    _state: TableState | None = None
    _sync_id: str = ""

    @property
    def tables(self) -> Tables:
        """Names of the tables."""
        return Tables(self.warehouse, self.schema, self.entry, self.selected)

    def log(self, connection: DuckDBPyConnection) -> SyncLog:
        """Return the log of syncs, for one transaction."""
        return SyncLog(connection, self.warehouse, self.schema)

    def coverage_store(self, connection: DuckDBPyConnection) -> CoverageStore:
        """Return the coverage of the schema, for one transaction."""
        return CoverageStore(connection, self.warehouse, self.schema)

    def transaction(self) -> AbstractContextManager[DuckDBPyConnection]:
        """Open the database for one transaction; an error rolls it back."""
        return self.warehouse.transaction()

    @contextmanager
    def _restored_on_error(self) -> Iterator[None]:
        """Restore counts and notes if a transaction or its commit fails."""
        counts, rewritten, state, notes = RowCounts(**vars(self.counts)), (self._rewritten, self._recorded_all), self._state, [*self.notes]
        try:
            yield
        except BaseException:
            self.counts, (self._rewritten, self._recorded_all), self._state, self.notes = counts, rewritten, state, notes
            raise

    @retry_on_conflict
    def begin(
        self,
        row: SyncLogEntry,
        *,
        key_seen: bool = True,
        account_failure: str | None = None,
        accept_other_account: bool = False,
        latest: datetime | None = None,
    ) -> tuple[list[CoverageRow], datetime | None]:
        """Prepare the tables, close syncs that were killed, and write the sync's log entry.

        Returns:
            The coverage so far, and when the last sync of this type ended (None if there was none).

        Args:
            row: The sync's log entry.
            key_seen: True if the key has filled this schema before.
            account_failure: Why the account could not be requested, if a later request may succeed.
            accept_other_account: True to let the schema change to another account.
            latest: Later dates were written by a sync with a wrong clock; None if the current time is uncertain.

        Raises:
            AccountMismatch: If the schema contains another account's data, or may contain it.
            NewerLayout: If a later version of this library has written the schema.
        """
        # The transaction that ends the sync frees the space of deleted rows.
        with self._restored_on_error(), self.warehouse.transaction(frees_space=False) as connection:
            known = SchemaColumns(connection, self.schema)
            prepared = self.tables.prepare(connection, known)
            self.notes.extend(prepared.notes)
            log, coverage, name = self.log(connection), self.coverage_store(connection), self.entry.name
            connection.execute(f"DROP TABLE IF EXISTS {self.tables.rebuilt}")  # left by an interrupted full read
            row.account_id = AccountPin(log, coverage, self.notes).pin(
                row.account_id, key_seen=key_seen, accept_other=accept_other_account, failure=account_failure
            )
            log.delete_old(name, row.started_at)
            found = LostRows(self.tables, log, coverage).compare(prepared, latest or row.started_at + timedelta(days=1))
            self.notes.extend(found.notes)
            if found.staged_is_void:
                # Before the commit: an interrupted sync's manifest counts rows as read that the table has lost.
                self.discard_staged()
            if latest is not None:
                self.notes.extend(undo_future_dates(self.tables, log, coverage, after=latest, now=row.started_at))
            log.close_killed(name, row.started_at)
            last_end = log.last_end(name)
            self._record_state(connection, row)
            log.insert(row)
            stored = StoredRules(connection, self.tables, FieldRuleSet(), known)
            self.notes.extend(stored.update_copy(is_new=name in prepared.made))
            self.has_field_rules = stored.log_exists
            tombstones = Tombstones(connection, self.warehouse, self.schema, known)
            self.notes.extend(BookkeepingCopy(self.warehouse, self.schema).restore_erased(tombstones))
            self.erased = tombstones.hashes()
            self._sync_id = row.id
            if self.periods is None and self.entry.period_field and known.of(ChangedPeriods.NAME):
                self.periods = Periods()  # another code location has partitions, or this one had: they are reported there, or later
            self._changes.prepare(connection)
            self.rereads = Rereads(connection, self.warehouse, self.schema).pending(name)
            self._count_rows(connection)
            return coverage.rows(name), last_end

    def _record_state(self, connection: DuckDBPyConnection, row: SyncLogEntry) -> None:
        self._state = current_state(connection, self.tables.rows)
        row.table_rows, row.table_newest = self._state.rows, self._state.newest

    def apply_rules(self, field_rules: FieldRuleSet, fingerprint: Callable[[str | None], str], row: SyncLogEntry) -> tuple[bool, int]:
        """Apply field rules to rows that were stored without them; see :class:`RuleChange`."""
        return RuleChange(self.tables, field_rules, fingerprint, partial(self._rewriting, row)).apply()

    def recompute(self, row: SyncLogEntry) -> tuple[list[str], int]:
        """Fill computed columns of stored rows; see :class:`Recompute`."""
        return Recompute(self.tables, partial(self._rewriting, row)).apply()

    @contextmanager
    def _rewriting(self, row: SyncLogEntry) -> Iterator[Rewriting]:
        """Open a transaction that rewrites rows, and record at its end that they have changed: in every period, unless it says in which."""
        with self._restored_on_error(), self.transaction() as connection:
            rewriting = Rewriting(connection, self._changes.note)
            yield rewriting
            if rewriting.rows:
                if not (rewriting.are_recorded or self._recorded_all):  # once is enough
                    self._recorded_all = True
                    rewriting.note(self.tables.rows)
                self._rewritten += rewriting.rows
                self._update(connection, row)

    @retry_on_conflict
    def create_rebuilt(self) -> None:
        """Create an empty table for a full read."""
        with self.transaction() as connection:
            self.tables.create_rebuilt(connection)

    @retry_on_conflict
    def load(self, batch: Batch, row: SyncLogEntry, *, rebuilt: bool = False) -> None:
        """Upsert staged rows and extend the coverage. A full read fills a separate table and leaves the coverage to :meth:`swap`.

        Args:
            batch: Files and their coverage.
            row: The sync's log entry, up to date.
            rebuilt: True for a full read.
        """
        with self._restored_on_error(), self.transaction() as connection:
            table = self.tables.rebuilt if rebuilt else self.tables.rows
            fail_if_changed(connection, self.tables, table, self._state)
            self._upsert(connection, batch.files, table)
            if not rebuilt:
                self._extend_coverage(connection, batch.covered, row.account_id)
                self._record_state(connection, row)
            self._update(connection, row)

    @retry_on_conflict
    def finish_parents(self, ending: ParentsEnding, row: SyncLogEntry, now: datetime) -> None:
        """Mark rows that complete reads of their parents did not return, and rows of deleted parents; end the sync. One transaction."""
        with self._restored_on_error(), self.transaction() as connection:
            coverage = self.coverage_store(connection)
            self.counts.deleted += ending.mark(Deletions(connection, self.tables), coverage, row.started_at)
            coverage.add(self.entry.name, ending.verified, row.account_id, self.entry.replication.lookback_ages_of)
            self._end(connection, row, now)

    @retry_on_conflict
    def mark_report(self, ending: ReportEnding, row: SyncLogEntry) -> list[ReportWindow]:
        """Mark rows that Klaviyo no longer reports; result as in :meth:`ReportEnding.mark`."""
        with self._restored_on_error(), self.transaction() as connection:
            marked, empty = ending.mark(Deletions(connection, self.tables), self.coverage_store(connection), row.started_at)
            self.counts.deleted += marked
            self._update(connection, row)
        return empty

    @retry_on_conflict
    def finish_whole(self, batch: Batch, row: SyncLogEntry, deleted: Sequence[Key], now: datetime) -> None:
        """Load a complete read, mark deleted rows and end the sync, in one transaction."""
        with self._restored_on_error(), self.transaction() as connection:
            self._upsert(connection, batch.files, self.tables.rows)
            self.counts.deleted += Deletions(connection, self.tables).mark(deleted, row.started_at)
            self._end(connection, row, now)

    @retry_on_conflict
    def mark_missing(self, field_name: str, window: TimeWindow, files: Sequence[Path], row: SyncLogEntry) -> bool:
        """Mark rows of a window that a complete read of it did not return.

        Returns:
            False if the read returned nothing although the table has rows in the window; then no row is marked.
        """
        with self._restored_on_error(), self.transaction() as connection:
            deletions = Deletions(connection, self.tables)
            if not files:
                return not deletions.is_suspiciously_empty(field_name, window, files)
            self._mark_missing(deletions, field_name, window, files, row.started_at)
            self._update(connection, row)
        return True

    def _mark_missing(self, deletions: Deletions, field_name: str, window: TimeWindow, files: Sequence[Path], at: datetime) -> None:
        if marked := deletions.mark_missing(field_name, window, files, at):
            self.counts.deleted += marked
            self._changes.note_marked(deletions.connection, at)

    @property
    def _changes(self) -> PeriodRecorder:
        return PeriodRecorder(self.tables, self.periods, self._sync_id)

    def swap(self, row: SyncLogEntry, covered: Sequence[CoverageRow], requested_from: datetime | None, now: datetime) -> None:
        """Replace the table with the rebuilt one, and the coverage with it, in one transaction.

        Rows that a full read did not return are carried over and marked as deleted. Rows from before the start date were not requested and do not
        change. If such rows are wide, they are carried over in several transactions before the swap. Until then no one reads the rebuilt table, and
        the next sync drops it if this one is interrupted.
        """
        parts = self._swap_unless_wide(row, covered, requested_from, now)
        for part in parts:
            self._carry_over(row, requested_from, part)
        if parts:
            self._finish_swap(row, covered, requested_from, now)

    @retry_on_conflict
    def _swap_unless_wide(
        self, row: SyncLogEntry, covered: Sequence[CoverageRow], requested_from: datetime | None, now: datetime
    ) -> Sequence[Sequence[RowRange]]:
        """Compare and swap in one transaction, or return the parts to carry over first."""
        with self._restored_on_error(), self.transaction() as connection:
            rebuild = Rebuild(connection, self.tables, requested_from)
            self.counts = rebuild.compare()
            parts = rebuild.vanished_parts()
            if len(parts) <= 1:
                self._replace_table(rebuild, row, covered, now)
                return []
        return parts

    @retry_on_conflict
    def _carry_over(self, row: SyncLogEntry, requested_from: datetime | None, part: Sequence[RowRange]) -> None:
        with self.transaction() as connection:
            Rebuild(connection, self.tables, requested_from).carry_over(row.started_at, part)

    @retry_on_conflict
    def _finish_swap(self, row: SyncLogEntry, covered: Sequence[CoverageRow], requested_from: datetime | None, now: datetime) -> None:
        with self._restored_on_error(), self.transaction() as connection:
            self._replace_table(Rebuild(connection, self.tables, requested_from), row, covered, now)

    def _replace_table(self, rebuild: Rebuild, row: SyncLogEntry, covered: Sequence[CoverageRow], now: datetime) -> None:
        rebuild.carry_over(row.started_at)
        self._changes.note_rebuilt(rebuild.connection, row.started_at)
        rebuild.replace_rows()
        self.coverage_store(rebuild.connection).clear(self.entry.name)
        self._extend_coverage(rebuild.connection, covered, row.account_id)
        self._end(rebuild.connection, row, now)

    @retry_on_conflict
    def end(self, row: SyncLogEntry, now: datetime) -> None:
        """Write the outcome of the sync."""
        with self.transaction() as connection:
            self._end(connection, row, now)

    @retry_on_conflict
    def finish_rereads(self, rereads: Sequence[Reread], files: Sequence[Path], row: SyncLogEntry) -> list[TimeWindow]:
        """Mark rows of windows that a complete read of them did not return, and record that these windows were read again.

        Args:
            rereads: What was read, from :func:`klaviyo_assets.state.requested_rereads.rereads_within`.
            files: Parquet files with the key and the time of every record that the read returned.
            row: The sync's log entry.

        Returns:
            Windows for which the read returned nothing although the table has rows; none of these rows is marked.
        """
        empty = []
        with self._restored_on_error(), self.transaction() as connection:
            deletions = Deletions(connection, self.tables)
            for one in rereads:
                if not one.expects_none and deletions.is_suspiciously_empty(one.field, one.window, files):
                    empty.append(one.window)
                else:
                    self._mark_missing(deletions, one.field, one.window, files, row.started_at)
            Rereads(connection, self.warehouse, self.schema).done(self.entry.name, [one.window for one in rereads], row.started_at)
            self._update(connection, row)
        return empty

    def _extend_coverage(self, connection: DuckDBPyConnection, new: Sequence[CoverageRow], account_id: str) -> None:
        self.coverage_store(connection).add(self.entry.name, new, account_id, self.entry.replication.lookback_ages_of)

    def _upsert(self, connection: DuckDBPyConnection, files: Sequence[Path], table: str) -> None:
        if files:
            # A full read is compared as a whole, when its table is swapped in.
            null_rates = NullRateRecorder(connection, self.tables) if table == self.tables.rows else None
            written = partial(self._changes.note, connection) if table == self.tables.rows else None
            rowid = self.warehouse.capabilities.rowid
            inserted, updated = Upsert(connection, self.entry, files, table, null_rates, self.warehouse.before_append, rowid, written).run()
            self.counts.inserted, self.counts.updated = self.counts.inserted + inserted, self.counts.updated + updated
            if self.entry.has_metric_views and (inserted or updated):
                self._views(connection).note_staged(files, self.staged_properties)

    def _views(self, connection: DuckDBPyConnection) -> MetricViews:
        return MetricViews(connection, self.warehouse, self.schema)

    def _update(self, connection: DuckDBPyConnection, row: SyncLogEntry) -> None:
        row.rows_inserted, row.rows_updated, row.rows_deleted = self.counts.inserted, self.counts.updated, self.counts.deleted
        row.rows_rewritten = self._rewritten or None
        self.log(connection).update(row)

    def _end(self, connection: DuckDBPyConnection, row: SyncLogEntry, now: datetime) -> None:
        row.finished_at = now
        row.outcome = "succeeded" if row.error is None else "failed"
        if row.error is None:  # else the state that the last commit recorded remains valid
            self._record_state(connection, row)
            if self.entry.has_metric_views or self.entry.names_metrics:
                self._views(connection).refresh()
        self._update(connection, row)
        self.data_version = data_version(self.log(connection), self.entry.name)
        self._count_rows(connection)

    def _count_rows(self, connection: DuckDBPyConnection) -> None:
        self.row_count = count_rows(connection, f"FROM {self.tables.rows} WHERE {DELETED_AT} IS NULL")
