"""Staged rows into the table, together with the coverage and the sync's own row, in short transactions."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import SYNCED_AT
from klaviyo_assets.errors import TableChanged
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.clock_repair import undo_future_dates
from klaviyo_assets.load.foreign_objects import foreign_columns, has_indexes, insert_keeping
from klaviyo_assets.load.null_rates import NullRateRecorder
from klaviyo_assets.load.reapply_rules import StoredRules
from klaviyo_assets.load.row_ranges import RowRange, row_ranges, transactions_of
from klaviyo_assets.load.tables import DELETED_AT, Prepared, Tables
from klaviyo_assets.load.upsert import Upsert, content_columns, hashed, parquet, text_columns
from klaviyo_assets.privacy.apply import FieldRuleSet
from klaviyo_assets.state import lost_bookkeeping
from klaviyo_assets.state.account import AccountPin
from klaviyo_assets.state.bookkeeping_copy import BookkeepingCopy
from klaviyo_assets.state.coverage import CoverageRow, TimeWindow
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.rereads import Reread, Rereads
from klaviyo_assets.state.sync_log import SyncLog, SyncLogEntry
from klaviyo_assets.state.table_fingerprint import TableState, doubts, measured
from klaviyo_assets.state.tombstones import Tombstones
from klaviyo_assets.warehouse.base import Warehouse
from klaviyo_assets.warehouse.ddl import table_exists
from klaviyo_assets.warehouse.sql import changed_rows, count_rows, instant, key_columns, key_value, keys_equal, quoted

_DAY = timedelta(days=1)

Key = tuple[str, ...]
"""Values of a primary key."""


@dataclass
class Counts:
    """What loads have changed, in rows."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass
class Loader:
    """Everything that one sync does in the database.

    Each method opens the database, does its work in one transaction, and closes it: a process that is killed at any moment leaves the last committed
    state.

    Args:
        warehouse: The database.
        entry: The resource type.
        schema: DuckDB schema.

    Attributes:
        counts: What has been changed so far.
        row_count: Rows that are not marked as deleted: as the sync began, and from its end on as it has left them.
        has_field_rules: Whether rows of the schema were stored with field rules; known after :meth:`begin`, as is the next.
        erased: Hashes of the ids of what was erased and is not stored again.
        rereads: Windows that must be read again; known after :meth:`begin`.
        notes: Things that the user should know, in words.
        discard_staged: Deletes what interrupted syncs have left in staging.
    """

    warehouse: Warehouse
    entry: ResourceType
    schema: str
    counts: Counts = field(default_factory=Counts)
    row_count: int = 0
    has_field_rules: bool = False
    erased: frozenset[str] = frozenset()
    rereads: Sequence[Reread] = ()
    notes: list[str] = field(default_factory=list)
    discard_staged: Callable[[], None] = lambda: None
    _state: TableState | None = None

    @property
    def tables(self) -> Tables:
        """Names of the tables."""
        return Tables(self.warehouse, self.schema, self.entry)

    def log(self, connection: DuckDBPyConnection) -> SyncLog:
        """Return the log of syncs, for one transaction."""
        return SyncLog(connection, self.warehouse, self.schema)

    def coverage_store(self, connection: DuckDBPyConnection) -> CoverageStore:
        """Return the coverage of the schema, for one transaction."""
        return CoverageStore(connection, self.warehouse, self.schema)

    def transaction(self) -> AbstractContextManager[DuckDBPyConnection]:
        """Open the database for one transaction; an error undoes all of it."""
        return self.warehouse.transaction()

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        """Forget what a transaction that failed has counted, also where the commit itself has failed: the next one must not miss its rows."""
        counts, state = Counts(**vars(self.counts)), self._state
        try:
            yield
        except BaseException:
            self.counts, self._state = counts, state
            raise

    def begin(
        self,
        row: SyncLogEntry,
        *,
        key_seen: bool = True,
        account_asked: bool = True,
        accept_other_account: bool = False,
        latest: datetime | None = None,
    ) -> tuple[list[CoverageRow], datetime | None]:
        """Prepare the tables, close syncs that were killed, and write the sync's row.

        Returns:
            The coverage so far, and when the last sync of this type ended (None if there was none).

        Args:
            row: The sync's row.
            key_seen: True if the key has filled this schema before.
            account_asked: False if the account is unknown only because Klaviyo could not be asked now.
            accept_other_account: True if the schema may go over to another account.
            latest: What is dated later was written by a sync with a wrong clock; None if the time is not sure.

        Raises:
            AccountMismatch: If the schema holds another account's data, or if that cannot be told.
            NewerLayout: If a later version of this library has written the schema.
        """
        with self.transaction() as connection:
            prepared = self.tables.prepare(connection)
            self.notes.extend(prepared.notes)
            log, coverage, name = self.log(connection), self.coverage_store(connection), self.entry.name
            connection.execute(f"DROP TABLE IF EXISTS {self.tables.rebuilt}")  # of a full read that was interrupted
            row.account_id = AccountPin(log, coverage, self.notes).pin(
                row.account_id, key_seen=key_seen, accept_other=accept_other_account, asked=account_asked
            )
            log.delete_old(name, row.started_at)
            self._compare(connection, row, prepared, latest)
            if latest is not None and undo_future_dates(connection, self.tables.rows, coverage, name, after=latest, now=row.started_at):
                self.notes.append(f"An earlier sync of {name} was dated later than now, by a wrong clock: what it covered is read again.")
            log.close_killed(name, row.started_at)
            last_end = log.last_end(name)
            self._record_state(connection, row)
            log.insert(row)
            stored = StoredRules(connection, self.tables, FieldRuleSet())
            self.notes.extend(stored.look(is_new=name in prepared.made))
            self.has_field_rules = stored.are_noted
            tombstones = Tombstones(connection, self.warehouse, self.schema)
            self.notes.extend(BookkeepingCopy(self.warehouse, self.schema).restore_erased(tombstones))
            self.erased = tombstones.hashes()
            self.rereads = Rereads(connection, self.warehouse, self.schema).pending(name)
            self._count_rows(connection)
            return coverage.rows(name), last_end

    def _compare(self, connection: DuckDBPyConnection, row: SyncLogEntry, prepared: Prepared, latest: datetime | None) -> None:
        """Take back the coverage where the table does not hold what was read, inside the transaction."""
        log, coverage = self.log(connection), self.coverage_store(connection)
        coverage.delete_incomplete(self.entry.name)
        name = f"{self.schema}.{self.entry.name}"
        found = measured(connection, self.tables.rows)
        was_synced = log.count(self.entry.name) > 0
        self.notes.extend(lost_bookkeeping.notes(self.schema, self.entry.name, prepared.made, has_rows=bool(found.rows), was_synced=was_synced))
        lost, note = doubts(
            log.table_state(self.entry.name, latest or row.started_at + _DAY),
            found,
            name,
            was_missing=self.entry.name in prepared.made,
            is_covered=coverage.covers_anything(self.entry.name),
            has_coverage=not self.entry.replication.is_complete_read and CoverageStore.NAME not in prepared.made,
        )
        if note is not None:
            self.notes.append(note)
        if DELETED_AT in prepared.changed:
            self.notes.append(
                f"The column {DELETED_AT} of {name} was missing, so rows that were marked as deleted are not any more. "
                "Run a sync with mode full: it marks them again."
            )
        if lost:
            coverage.clear(self.entry.name)
        if lost or self.entry.name in prepared.made:
            # Before the commit: what is staged of an interrupted sync counts as read what that had loaded into the table before.
            self.discard_staged()

    def _record_state(self, connection: DuckDBPyConnection, row: SyncLogEntry) -> None:
        self._state = measured(connection, self.tables.rows)
        row.table_rows, row.table_newest = self._state.rows, self._state.newest

    def _refuse_if_changed(self, connection: DuckDBPyConnection, table: str) -> None:
        """Refuse to go on where another program has emptied or dropped a table since this sync's last commit: its earlier loads are gone.

        Raises:
            TableChanged: The next sync finds the same, and reads everything again.
        """
        names = {self.tables.rows: self.entry.name, self.tables.rebuilt: self.tables.rebuilt_name}
        if not all(table_exists(connection, self.schema, name) for name in {self.entry.name, names[table]}):
            raise TableChanged(self.schema, names[table], "is gone")
        if self._state is not None and (what := self._state.is_lost(measured(connection, self.tables.rows))):
            raise TableChanged(self.schema, self.entry.name, what)

    def apply_rules(self, guard: FieldRuleSet, fingerprint: Callable[[str | None], str]) -> tuple[bool, int]:
        """Treat the rows that are there by field rules which they were not stored with.

        Args:
            guard: The rules.
            fingerprint: Makes the fingerprint of a read from that of its rules.

        Returns:
            Whether rules have changed, and how many rows were rewritten.
        """
        with self.transaction() as connection:
            stored = StoredRules(connection, self.tables, guard)
            if stored.are_up_to_date:
                return False, 0
            if stored.are_tightened and self._was_synced_before(connection):
                # Even if no row changes: free blocks may hold what rows held once.
                self.warehouse.request_compaction()
            parts = stored.ranges()
            if len(parts) <= 1:
                rewritten = sum(map(stored.rewrite, parts))
                stored.finish(fingerprint)
                return True, rewritten
            stored.begin_rewrite(fingerprint)
        return True, self._rewrite_wide_rows(guard, fingerprint, parts)

    def _rewrite_wide_rows(self, guard: FieldRuleSet, fingerprint: Callable[[str | None], str], parts: Sequence[Sequence[RowRange]]) -> int:
        """Apply field rules in several transactions; the last one records them."""
        rewritten = 0
        for part in parts:
            with self.transaction() as connection:
                rewritten += StoredRules(connection, self.tables, guard).rewrite(part)
        with self.transaction() as connection:
            stored = StoredRules(connection, self.tables, guard)
            # A checkpoint may have moved rows to other places meanwhile, if the user lets DuckDB vacuum: nearly always this finds nothing to change.
            rewritten += sum(map(stored.rewrite, stored.ranges()))
            stored.finish(fingerprint)
        return rewritten

    def _was_synced_before(self, connection: DuckDBPyConnection) -> bool:
        """Whether anything of the type may ever have been in the file: it has rows, or a sync before this one."""
        return self.log(connection).count(self.entry.name) > 1 or count_rows(connection, f"FROM (FROM {self.tables.rows} LIMIT 1)") > 0

    def knows(self, sync_id: str) -> bool:
        """Return whether a sync has its row in ``_syncs``; one of a file that was replaced by an older copy has none."""
        with self.warehouse.connection() as connection:
            return self.log(connection).holds(sync_id)

    def coverage(self) -> list[CoverageRow]:
        """Return the coverage so far."""
        with self.warehouse.connection() as connection:
            return self.coverage_store(connection).rows(self.entry.name)

    def create_rebuilt(self) -> None:
        """Create an empty table for a full read."""
        with self.transaction() as connection:
            self.tables.create_rebuilt(connection)

    def load(self, batch: Batch, row: SyncLogEntry, *, rebuilt: bool = False) -> None:
        """Upsert staged rows and widen the coverage; a full read fills its own table and leaves the coverage for :meth:`swap`.

        Args:
            batch: Files and what is covered with them.
            row: The sync's row, brought up to date.
            rebuilt: True for a full read.
        """
        with self._undone_on_error(), self.transaction() as connection:
            table = self.tables.rebuilt if rebuilt else self.tables.rows
            self._refuse_if_changed(connection, table)
            self._upsert(connection, batch.files, table)
            if not rebuilt:
                self._widen(connection, batch.covered, row.account_id)
                self._record_state(connection, row)
            self._update(connection, row)

    def missing_keys(self, files: Sequence[Path]) -> list[Key]:
        """Return the keys that are in the table, not marked as deleted, and not in the staged files of a complete read."""
        with self.warehouse.connection() as connection:
            key = self.entry.primary_key
            rows = connection.execute(f"SELECT {key_columns(key)} FROM {self.tables.rows} WHERE {self._are_missing(files)} ORDER BY ALL").fetchall()
        return rows

    def mark_deleted(self, connection: DuckDBPyConnection, keys: Sequence[Key], at: datetime) -> None:
        """Mark rows as deleted."""
        if keys:
            key = self.entry.primary_key
            connection.register("gone_keys", pl.DataFrame(list(keys), schema=dict.fromkeys(key, pl.String), orient="row"))
            self.counts.deleted += changed_rows(
                connection,
                f"UPDATE {self.tables.rows} SET {DELETED_AT} = ? "
                f"WHERE {DELETED_AT} IS NULL AND {key_value(key)} IN (SELECT {key_columns(key)} FROM gone_keys)",
                [at],
            )
            connection.unregister("gone_keys")

    def mark_missing_of_parents(
        self, connection: DuckDBPyConnection, column: str, parents: Sequence[str], files: Sequence[Path], at: datetime
    ) -> None:
        """Mark the rows of some parents that a complete read of these did not return; the rows of other parents stay as they are.

        Args:
            connection: The database, in the transaction that loads the files.
            column: Column that has the parent's id.
            parents: Ids of parents that were read completely, or that are gone.
            files: Staged files of their reads; none if they returned nothing.
            at: When the read began.
        """
        if parents:
            connection.register("read_parents", pl.DataFrame({"id": list(parents)}, schema={"id": pl.String}))
            self.counts.deleted += changed_rows(
                connection,
                f"UPDATE {self.tables.rows} SET {DELETED_AT} = ? "
                f"WHERE {quoted(column)} IN (SELECT id FROM read_parents) AND {self._are_missing(files)}",
                [at],
            )
            connection.unregister("read_parents")

    def parent_ids(self, parent: str) -> list[str] | None:
        """Return the ids in a parent's table that are not marked as deleted, ascending; None if there is no such table."""
        with self.warehouse.connection() as connection:
            if not table_exists(connection, self.schema, parent):
                return None
            rows = connection.execute(
                f"SELECT id FROM {self.warehouse.qualified(self.schema, parent)} WHERE {DELETED_AT} IS NULL ORDER BY id"
            ).fetchall()
        return [id_ for (id_,) in rows]

    def finish_parents(
        self, column: str, read: Collection[str], live: Collection[str], files: Sequence[Path], row: SyncLogEntry, now: datetime
    ) -> None:
        """Mark what complete reads of some parents did not return, and all rows of parents that are gone; end the sync, in one transaction.

        Args:
            column: Column that has the parent's id.
            read: Ids of the parents that were read.
            live: Ids of all parents that exist.
            files: Staged files with the keys that were returned.
            row: The sync's row.
            now: When the sync ends.
        """
        before = Counts(**vars(self.counts))
        try:
            with self.transaction() as connection:
                known = connection.execute(f"SELECT DISTINCT {quoted(column)} FROM {self.tables.rows} WHERE {DELETED_AT} IS NULL").fetchall()
                gone = {id_ for (id_,) in known} - {*live}
                self.mark_missing_of_parents(connection, column, sorted({*read} | gone), files, row.started_at)
                self._end(connection, row, now)
        except BaseException:
            self.counts = before
            raise

    def _are_missing(self, files: Sequence[Path]) -> str:
        """SQL that is true for rows that are not marked as deleted and not in staged files."""
        key = self.entry.primary_key
        return f"{DELETED_AT} IS NULL AND {key_value(key)} NOT IN (SELECT {key_columns(key)} FROM {parquet(files, key)})"

    def finish_whole(self, batch: Batch, row: SyncLogEntry, deleted: Sequence[Key], now: datetime) -> None:
        """Load a complete read, mark what is gone and end the sync, all in one transaction."""
        with self._undone_on_error(), self.transaction() as connection:
            self._upsert(connection, batch.files, self.tables.rows)
            self.mark_deleted(connection, deleted, row.started_at)
            self._end(connection, row, now)

    def mark_missing(self, field_name: str, span: TimeWindow, files: Sequence[Path], at: datetime) -> bool:
        """Mark rows of a span that a complete read of it did not bring.

        Returns:
            False if the read was suddenly empty, when nothing is marked.
        """
        with self.transaction() as connection:
            if not files:
                return not self._came_back_empty(connection, field_name, span, files)
            self._mark_missing(connection, field_name, span, files, at)
        return True

    def _mark_missing(self, connection: DuckDBPyConnection, field_name: str, span: TimeWindow, files: Sequence[Path], at: datetime) -> None:
        column = quoted(field_name)
        self.counts.deleted += changed_rows(
            connection,
            f"UPDATE {self.tables.rows} SET {DELETED_AT} = ? WHERE {column} >= ? AND {column} < ? AND {self._are_missing(files)}",
            [at, span.start, span.end],
        )

    def swap(self, row: SyncLogEntry, covered: Sequence[CoverageRow], wanted_from: datetime | None, now: datetime) -> None:
        """Put the rebuilt table in place of the old one, with the coverage, in one transaction.

        Rows that a full read did not return are carried over and marked as deleted; those from before the start date were not requested, so they
        stay as they are. Where such rows are wide, they are carried over in several transactions before the swap: the rebuilt table is
        not visible yet, and is dropped if the sync ends before.
        """
        requested = self._requested_by_full(wanted_from)
        with self.transaction() as connection:
            self._compare_rebuilt(connection, requested)
            parts = self._vanished_parts(connection)
            if len(parts) <= 1:
                self._put_in_place(connection, requested, row, covered, now)
                return
        for part in parts:
            with self.transaction() as connection:
                self._carry_over(connection, requested, row, part)
        with self.transaction() as connection:
            self._put_in_place(connection, requested, row, covered, now)

    def _requested_by_full(self, wanted_from: datetime | None) -> str:
        """SQL for the rows of the old table that a full read requests."""
        replication = self.entry.replication
        start_field = replication.start_date_field
        requested = f"{quoted(start_field)} >= {instant(wanted_from)}" if wanted_from and start_field else "true"
        if replication.range_field:
            # A record without the time that a full read goes by is not requested.
            requested += f" AND {quoted(replication.range_field)} IS NOT NULL"
        return requested

    @property
    def _vanished(self) -> str:
        """SQL for the rows of the old table that the rebuilt one does not have."""
        key = self.entry.primary_key
        return f"FROM {self.tables.rows} AS old WHERE {key_value(key)} NOT IN (SELECT {key_columns(key)} FROM {self.tables.rebuilt})"

    def _compare_rebuilt(self, connection: DuckDBPyConnection, requested: str) -> None:
        """Count what a full read has changed, before rows are carried over; rows that did not change keep the time of the read that wrote them."""
        tables, key, columns = self.tables, key_value(self.entry.primary_key), key_columns(self.entry.primary_key)
        self.counts.inserted = count_rows(connection, f"FROM {tables.rebuilt} WHERE {key} NOT IN (SELECT {columns} FROM {tables.rows})")
        before = f"SELECT {columns}, {SYNCED_AT}, {DELETED_AT} IS NOT NULL AS gone, {hashed(self.entry, 'old')} AS content FROM {tables.rows} AS old"
        after = f"SELECT {columns}, {hashed(self.entry, 'new')} AS content FROM {tables.rebuilt} AS new"
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE compared AS SELECT {columns}, old.{SYNCED_AT}, old.gone OR old.content <> new.content AS differs "
            f"FROM ({before}) AS old JOIN ({after}) AS new USING ({columns})"
        )
        self.counts.updated = count_rows(connection, "FROM compared WHERE differs")
        if self.counts.inserted or self.counts.updated:
            NullRateRecorder(connection, tables).note(tables.rebuilt)
        self.counts.deleted = count_rows(connection, f"{self._vanished} AND {DELETED_AT} IS NULL AND ({requested})")
        connection.execute(
            f"UPDATE {tables.rebuilt} AS new SET {SYNCED_AT} = old.{SYNCED_AT} FROM compared AS old "
            f"WHERE {keys_equal(self.entry.primary_key, 'new', 'old')} AND NOT old.differs"
        )
        connection.execute("DROP TABLE temp.compared")

    def _vanished_parts(self, connection: DuckDBPyConnection) -> list[list[RowRange]]:
        """Return the places of the rows to carry over, by the transactions that this takes; nothing where rows have no numbers: then it takes one."""
        if not self.warehouse.capabilities.rowid:
            return []
        source = f"(SELECT old.rowid AS place, old.* {self._vanished})"
        return transactions_of(row_ranges(connection, source, text_columns(self.entry)))

    def _carry_over(self, connection: DuckDBPyConnection, requested: str, row: SyncLogEntry, part: Sequence[RowRange] | None = None) -> None:
        """Insert rows that a full read did not return into the rebuilt table, with a mark where they were requested.

        Args:
            connection: The database, in a transaction.
            requested: SQL for what the full read requests.
            row: The sync's row.
            part: The rows; None for all that are left.
        """
        names = ", ".join(f"old.{quoted(name)}" for name in (*content_columns(self.entry), SYNCED_AT))
        marked = f"CASE WHEN {requested} THEN coalesce({DELETED_AT}, {instant(row.started_at)}) ELSE {DELETED_AT} END AS {DELETED_AT}"
        places = f" AND old.rowid BETWEEN {part[0].first} AND {part[-1].last}" if part is not None else ""
        connection.execute(f"INSERT INTO {self.tables.rebuilt} BY NAME SELECT {names}, {marked} {self._vanished}{places}")

    def _put_in_place(self, connection: DuckDBPyConnection, requested: str, row: SyncLogEntry, covered: Sequence[CoverageRow], now: datetime) -> None:
        self._carry_over(connection, requested, row)
        self._replace_rows(connection)
        self.coverage_store(connection).clear(self.entry.name)
        self._widen(connection, covered, row.account_id)
        self._end(connection, row, now)

    def _replace_rows(self, connection: DuckDBPyConnection) -> None:
        """Put the rebuilt rows in place of the old ones. A table to which users have added columns or indexes keeps them."""
        rows, rebuilt, key = self.tables.rows, self.tables.rebuilt, self.entry.primary_key
        users = foreign_columns(connection, rows, content_columns(self.entry))
        if not users and not has_indexes(connection, self.schema, self.entry.name):
            connection.execute(f"DROP TABLE {rows}")
            connection.execute(f"ALTER TABLE {rebuilt} RENAME TO {quoted(self.entry.name)}")
            return
        if users:
            connection.execute(f"CREATE OR REPLACE TEMP TABLE users_values AS SELECT {', '.join((key_columns(key), *users))} FROM {rows}")
        connection.execute(f"DELETE FROM {rows}")
        if users:
            insert_keeping(connection, rows, f"(FROM {rebuilt})", key=key, kept="users_values", columns=users)
            connection.execute("DROP TABLE temp.users_values")
        else:
            connection.execute(f"INSERT INTO {rows} BY NAME FROM {rebuilt}")
        connection.execute(f"DROP TABLE {rebuilt}")

    def end(self, row: SyncLogEntry, now: datetime) -> None:
        """Write the outcome of the sync."""
        with self.transaction() as connection:
            self._end(connection, row, now)

    def finish_rereads(self, rereads: Sequence[Reread], files: Sequence[Path], at: datetime) -> list[TimeWindow]:
        """Mark rows of windows that a complete read of them did not return, and record that these windows were read again.

        Args:
            rereads: What was read, from :func:`klaviyo_assets.state.rereads.rereads_within`.
            files: Parquet files with the key and the time of everything that the read returned.
            at: When the read began.

        Returns:
            Windows that came back empty although the table has rows of them; none of these rows is marked.
        """
        empty = []
        before = Counts(**vars(self.counts))
        try:
            with self.transaction() as connection:
                for one in rereads:
                    if not one.expects_none and self._came_back_empty(connection, one.field, one.window, files):
                        empty.append(one.window)
                    else:
                        self._mark_missing(connection, one.field, one.window, files, at)
                Rereads(connection, self.warehouse, self.schema).done(self.entry.name, [one.window for one in rereads], at)
        except BaseException:
            self.counts = before
            raise
        return empty

    def _came_back_empty(self, connection: DuckDBPyConnection, field_name: str, window: TimeWindow, files: Sequence[Path]) -> bool:
        in_window, bounds = f"{quoted(field_name)} >= ? AND {quoted(field_name)} < ?", [window.start, window.end]
        if files and connection.execute(f"SELECT 1 FROM {parquet(files, self.entry.primary_key)} WHERE {in_window} LIMIT 1", bounds).fetchall():
            return False
        known = connection.execute(f"SELECT 1 FROM {self.tables.rows} WHERE {DELETED_AT} IS NULL AND {in_window} LIMIT 1", bounds).fetchall()
        return bool(known)

    def _widen(self, connection: DuckDBPyConnection, new: Sequence[CoverageRow], account_id: str) -> None:
        self.coverage_store(connection).add(self.entry.name, new, account_id, self._lookback_ages)

    def _lookback_ages(self, field_name: str) -> tuple[timedelta, ...]:
        return self.entry.replication.lookback_ages_of(field_name)

    def _upsert(self, connection: DuckDBPyConnection, files: Sequence[Path], table: str) -> None:
        if files:
            # A full read is compared as a whole, when its table is swapped in.
            missed = NullRateRecorder(connection, self.tables) if table == self.tables.rows else None
            inserted, updated = Upsert(
                connection, self.entry, files, table, missed, self.warehouse.before_append, self.warehouse.capabilities.rowid
            ).run()
            self.counts.inserted += inserted
            self.counts.updated += updated

    def _update(self, connection: DuckDBPyConnection, row: SyncLogEntry) -> None:
        row.rows_inserted, row.rows_updated, row.rows_deleted = self.counts.inserted, self.counts.updated, self.counts.deleted
        self.log(connection).update(row)

    def _end(self, connection: DuckDBPyConnection, row: SyncLogEntry, now: datetime) -> None:
        row.finished_at = now
        row.outcome = "succeeded" if row.error is None else "failed"
        if row.error is None:  # else the table is not looked at, and what the last commit recorded counts
            self._record_state(connection, row)
        self._update(connection, row)
        self._count_rows(connection)

    def _count_rows(self, connection: DuckDBPyConnection) -> None:
        self.row_count = count_rows(connection, f"FROM {self.tables.rows} WHERE {DELETED_AT} IS NULL")
