"""One sync, from the lock to the report.

::

    run                     errors of files become errors of the sync
    _run                    lock the resource type in this schema
    _run_locked             request the server's time; identify the account, and lock the type there too
    _run_recorded           begin a row in _syncs; end it with the report or the failure
    _bring_up_to_date       rewrite stored rows, load what an interrupted sync left, plan, run the pipeline
"""

import asyncio
import logging
import math
import shutil
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
from filelock import Timeout

from klaviyo_assets._internal import cancellation, os_errors, private_files
from klaviyo_assets._internal.identifiers import is_identifier
from klaviyo_assets._internal.redaction import redact
from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.klaviyo_errors import KlaviyoError
from klaviyo_assets.api.probe import sync_clock
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.errors import FolderFailed, StillLocked, SyncError
from klaviyo_assets.extract.error_position import locating_decode_errors
from klaviyo_assets.extract.feed import Feed
from klaviyo_assets.extract.strategies.strategy import LAG
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions, check_range, read_fingerprint
from klaviyo_assets.load.access.row_access import RowAccess
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.rows.upsert import content_columns
from klaviyo_assets.privacy.apply import FieldRuleSet
from klaviyo_assets.publish.refresh import rewrite_outdated
from klaviyo_assets.state.coverage import BEGINNING, TimeWindow, without
from klaviyo_assets.state.identity import UNKNOWN_ACCOUNT, Identity, identify, remember
from klaviyo_assets.state.locks import account_folder, sync_lock, sync_lock_in_loop
from klaviyo_assets.state.periods import Periods
from klaviyo_assets.state.requested_rereads import Reread, rereads_within
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.sync.context import SyncContext
from klaviyo_assets.sync.metric_resolution import select_metrics
from klaviyo_assets.sync.pipeline import Pipeline
from klaviyo_assets.sync.planned import PlannedSync
from klaviyo_assets.sync.planning import plan_sync
from klaviyo_assets.sync.prepare_rows import RowPreparation
from klaviyo_assets.sync.resume import CLOCKS_DIFFER, ResumeConditions, Resumed, resume
from klaviyo_assets.sync.sync_report import SyncReport
from klaviyo_assets.warehouse.interface import Warehouse, WarehouseError

_STOPPED = "Stopped from outside: the run was cancelled, or its process was terminated."

_EARLIER_VALUES_REMAIN = (
    "This warehouse does not remove earlier values of rows: its older snapshots and files may still have values from before the field rule. Expire "
    "and delete them there."
)

_SECONDS_TO_STOP = 10.0
"""Seconds that a stopped sync has to record its failure; otherwise the next sync records it."""


@dataclass
class SyncRunner:
    """One sync of one resource type.

    Args:
        entry: The resource type.
        options: Mode and time window of the sync.
        client: The client, open.
        warehouse: The database.
        schema: DuckDB schema.
        run_id: Dagster run, for ``_syncs``.
        log: Receives progress messages.
        refusal: The error of an earlier scope check with this client; it is recorded, then raised.
        account_id: The account of the key, where the user has set it.
        field_rules: Field rules of the resource type.
        accept_other_account: True if the schema may switch to another account.
        parent_failed: True if the sync of the parent type failed just before.
        feeds: Types that take their records from this sync's responses, in the same event loop.
        feed: The responses of the host's sync, for a type that takes its records from them; None to read the host itself.
        periods: Days or months by which changes are recorded, for partitions in Dagster; None to record none.
        waits: True to wait for another sync of the type into the schema to end, instead of raising.
        catalog: All resource types in use: which of them identifies the account or names the metrics, and which types' records a setting may name.

    Example:
        >>> report = await SyncRunner(CATALOG["lists"], SyncOptions(), client, warehouse, "klaviyo", None, log).run()
    """

    entry: ResourceType
    options: SyncOptions
    client: KlaviyoClient
    warehouse: Warehouse
    schema: str
    run_id: str | None
    log: logging.Logger
    refusal: KlaviyoError | None = None
    account_id: str | None = None
    field_rules: FieldRuleSet = field(default_factory=FieldRuleSet)
    accept_other_account: bool = False
    parent_failed: bool = False
    feeds: Sequence[Feed] = ()
    feed: Feed | None = None
    periods: Periods | None = None
    waits: bool = False
    catalog: Catalog = field(default_factory=lambda: CATALOG)

    async def run(self) -> SyncReport:
        """Plan, fetch, stage and load.

        Raises:
            SyncAlreadyRunning: If another process on this machine is syncing this type of this account; nothing was done.
            SyncError: If the options or the account are wrong.
            KlaviyoError: If Klaviyo refuses or fails; pages that were read are kept.
            WarehouseError: If the database cannot be opened.
        """
        try:
            return await self._run()
        except Timeout as error:  # an OSError, though nothing is wrong with the folder
            raise StillLocked(error.lock_file) from error
        except (ConnectionError, TimeoutError):
            raise  # also an OSError, but not about a file
        except OSError as error:
            raise FolderFailed(error) from error
        except pl.exceptions.ComputeError as error:  # Polars raises this if the disk is full, but not only then
            system = os_errors.named_in(str(error))
            if system is None:
                raise
            raise FolderFailed(system) from error

    async def _run(self) -> SyncReport:
        if not is_identifier(self.schema):
            raise SyncError(f"{self.schema!r} cannot be the name of a schema.", "Use letters, digits and underscores, beginning with a letter.")
        if self.options.mode is SyncMode.range:
            check_range(self.entry, self.options)
        async with sync_lock_in_loop(self._state_dir, self.entry.name, self.run_id, waits=self.waits):
            return await self._run_locked()

    @property
    def _state_dir(self) -> Path:
        folder = self.warehouse.state_dir / self._schema_key
        private_files.make_folder(folder)
        return folder

    @property
    def _schema_key(self) -> str:
        """The schema's name as DuckDB compares it, so each schema has one set of locks."""
        return self.schema.lower()

    @property
    def _staging_root(self) -> Path:
        return self._state_dir / "staging" / self.entry.name

    def _discard_staged(self) -> None:
        shutil.rmtree(self._staging_root, ignore_errors=True)

    async def _run_locked(self) -> SyncReport:
        began = time.monotonic()
        refusal = self.refusal or await self._check_access()
        if refusal:
            return await self._run_recorded(Identity(UNKNOWN_ACCOUNT, seen=True), refusal, began)
        identity = await identify(self.client, self.warehouse.state_dir, self._schema_key, self.account_id, catalog=self.catalog)
        folder = account_folder(self.client, identity.account_id)
        if folder is None:
            return await self._run_recorded(identity, None, began)
        with sync_lock(folder, self.entry.name, self.run_id, where=" into another database or schema"):
            return await self._run_recorded(identity, None, began)

    async def _run_recorded(self, identity: Identity, refusal: KlaviyoError | None, began: float) -> SyncReport:
        """Sync, or fail, and leave a row in ``_syncs`` either way."""
        now = (self.client.now() if self.client.time_is_known else datetime.now(UTC)).replace(microsecond=0)
        loader = Loader(self.warehouse, self.entry, self.schema, discard_staged=self._discard_staged, periods=self.periods)
        row = SyncLogEntry(uuid.uuid4().hex, self.entry.name, identity.account_id, self.options.mode.value, now, self.run_id)
        latest = row.started_at + CLOCKS_DIFFER if self.client.time_is_known else None
        begun = await in_thread(
            loader.begin, row, key_seen=identity.seen, account_failure=identity.failure, accept_other_account=self.accept_other_account, latest=latest
        )
        sync = self._context(loader, row)
        for note in loader.progress.notes:
            sync.note(note)
        self._catch_up(begun.last_end, row.table_newest)
        try:
            if refusal:
                raise refusal
            if not identity.seen:
                await remember(self.client, self.warehouse.state_dir, self._schema_key)
            planned, resumed = await self._bring_up_to_date(sync, identity)
        except BaseException as error:
            await self._end_failed(sync, error)
            raise
        progress = loader.progress
        numbers = [f"{number:,}" for number in (row.records_read, *vars(progress.counts).values(), progress.row_count)]
        self.log.info("%s: %s records read, %s new, %s changed, %s gone; %s rows", self.entry.name, *numbers)
        slices = tuple(one.name for one in planned.slices)
        return SyncReport(row, progress.row_count, slices, time.monotonic() - began, resumed.loaded, tuple(sync.notes), progress.data_version)

    def _context(self, loader: Loader, row: SyncLogEntry) -> SyncContext:
        return SyncContext(
            self.entry,
            self.options,
            self.client,
            loader,
            row,
            self.log,
            self._fingerprint(self.field_rules.fingerprint),
            self.parent_failed,
            feeds=self.feeds,
            feed=self.feed,
            catalog=self.catalog,
        )

    async def _bring_up_to_date(self, sync: SyncContext, identity: Identity) -> tuple[PlannedSync, Resumed]:
        """Rewrite stored rows and load what an interrupted sync has left, then plan, fetch, stage and load."""
        covered = sync.loader.begun.coverage
        rules_changed = await in_thread(self._reapply_changed_rules, sync)
        await in_thread(self._recompute, sync)
        resumed = await in_thread(self._resume, sync, identity)
        self._catch_up(sync.row.table_newest)
        if rules_changed or resumed.loaded:
            covered = await in_thread(RowAccess(sync.loader).coverage)
        await select_metrics(sync, covered)
        rereads = self._rereads(sync)
        covered = without(covered, [one.window for one in rereads])
        with locating_decode_errors():
            planned = await plan_sync(sync, covered, resumed.unfinished)
            await Pipeline(sync, self._staging_folder(sync.row), self._row_preparation(sync).prepare, planned, rereads).run()
        return planned, resumed

    async def _end_failed(self, sync: SyncContext, error: BaseException) -> None:
        """Record why the sync has failed or was stopped."""
        sync.row.error_class, sync.row.error = type(error).__name__, redact(str(error))[:2000] or _STOPPED
        sync.record_traffic()
        # After a cancellation, wait only briefly for a database that another program has open.
        with cancellation.at_most(math.inf if isinstance(error, Exception) else _SECONDS_TO_STOP):
            await asyncio.shield(in_thread(self._record_failure, sync))

    def _catch_up(self, *instants: datetime | None) -> None:
        """Make sure that this sync reads after the instants of earlier ones: of two reads of the same version, the later one is stored.

        ``Date`` has whole seconds, so a sync that starts within a second of another one may get an earlier time.
        """
        for instant in instants:
            if instant is not None and self.client.time_is_known and instant - self.client.now() < CLOCKS_DIFFER:
                self.client.catch_up(instant)

    def _record_failure(self, sync: SyncContext) -> None:
        """Write the row of ``_syncs``. If that fails too, only log it: the first error is the one to report."""
        try:
            sync.loader.end(sync.row, self.client.now() if self.client.time_is_known else datetime.now(UTC))
        except (WarehouseError, duckdb.Error, OSError) as error:
            self.log.warning("The failure could not be written to _syncs: %s", error, exc_info=not isinstance(error, WarehouseError))

    async def _check_access(self) -> KlaviyoError | None:
        """Request the server's time, unless the client knows it already; return the error if Klaviyo refuses or fails."""
        try:
            await sync_clock(self.client, self.entry)
        except KlaviyoError as error:
            return error
        return None

    def _reapply_changed_rules(self, sync: SyncContext) -> bool:
        """Apply changed field rules to stored rows; return whether rules have changed."""
        loader = sync.loader
        changed, rewritten = False, 0
        if self.field_rules.rules or loader.begun.has_field_rules:
            changed, rewritten = loader.apply_rules(self.field_rules, self._fingerprint, sync.row)
        if rewritten:
            sync.note(f"A field rule was changed: {rewritten} rows of {self.entry.name} were rewritten to match it.")
        if not self.warehouse.capabilities.can_compact:
            if rewritten:
                sync.note(_EARLIER_VALUES_REMAIN)
            return changed
        try:
            self.warehouse.compact_if_requested()
        except WarehouseError as error:
            sync.note(f"Values from before a field rule or an erasure may still be in free blocks of the file. {error}")
            return changed
        try:
            for done in rewrite_outdated(self.warehouse):
                sync.note(done)
        except WarehouseError as error:
            sync.note(f"Published copies could not be checked for removed data. {error}")
        return changed

    def _recompute(self, sync: SyncContext) -> None:
        """Fill computed columns of stored rows and record their properties. Call it after the field rules are applied, which hold here too."""
        columns, rows = sync.loader.recompute(sync.row)
        if rows:
            sync.note(f"New or changed columns of {rows:,} stored rows of {self.entry.name} were computed from their JSON: {', '.join(columns)}.")

    def _resume(self, sync: SyncContext, identity: Identity) -> Resumed:
        """Load the staged files of a killed or failed sync."""
        row = sync.row
        conditions = ResumeConditions(row.account_id, identity.seen, sync.fingerprint, content_columns(self.entry), row.started_at + CLOCKS_DIFFER)
        resumed = resume(self._staging_root, sync.loader, row, None if self.options.mode is SyncMode.full else conditions, sync.note)
        if resumed.loaded:
            self.log.info("%s: loaded the staged files of an interrupted sync", self.entry.name)
        return resumed

    def _rereads(self, sync: SyncContext) -> list[Reread]:
        """Return the windows that must be read again as a whole. Call it once the staged files of earlier syncs are loaded."""
        if self.options.mode not in (SyncMode.incremental, SyncMode.repair):
            return []
        rereads = rereads_within(sync.loader.begun.rereads, TimeWindow(sync.requested_from or BEGINNING, sync.row.started_at - LAG))
        if rereads:
            self.log.info("%s: %s covered windows are read again", self.entry.name, f"{len(rereads):,}")
        return rereads

    def _staging_folder(self, row: SyncLogEntry) -> Path:
        return self._staging_root / f"{row.started_at:%Y%m%dT%H%M%S}-{row.id}"

    def _row_preparation(self, sync: SyncContext) -> RowPreparation:
        return RowPreparation(self.entry, sync.selection, sync.loader.begun.erased, self.field_rules)

    def _fingerprint(self, rules: str | None) -> str:
        return read_fingerprint(self.entry, self.client.settings.revision, rules)
