"""One sync, from the lock to the report."""

import asyncio
import contextlib
import logging
import math
import re
import shutil
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec
import polars as pl
from filelock import Timeout

from klaviyo_assets._internal import cancellation as waiting
from klaviyo_assets._internal import private_files as owner_only
from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.errors import KlaviyoError
from klaviyo_assets.api.probe import sync_clock
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import Page
from klaviyo_assets.errors import FolderFailed, StillLocked, SyncError
from klaviyo_assets.extract.error_position import saying_where
from klaviyo_assets.extract.fetcher import Fetcher
from klaviyo_assets.extract.lookup import look_up, oldest_record
from klaviyo_assets.extract.options import SyncMode, SyncOptions, check_range, fingerprint, range_field
from klaviyo_assets.extract.plan import Plan, plan
from klaviyo_assets.extract.slices import AnySlice
from klaviyo_assets.extract.strategies import Strategy, strategy_for
from klaviyo_assets.extract.strategies.base import LAG, Completion, PlanContext
from klaviyo_assets.load.divide import load_and_finish, load_divided
from klaviyo_assets.load.loader import UNKNOWN_ACCOUNT, Loader, SyncLogEntry
from klaviyo_assets.load.upsert import content_columns
from klaviyo_assets.privacy.apply import FieldRuleSet
from klaviyo_assets.staging.manifest import new_manifest
from klaviyo_assets.staging.seen_keys import keep_columns
from klaviyo_assets.staging.staging import Batch, Staging
from klaviyo_assets.staging.writer import BackgroundWriter
from klaviyo_assets.state.coverage import BEGINNING, USUAL_BEGINNING, CoverageRow, TimeWindow, without
from klaviyo_assets.state.identity import Identity, identify, remember
from klaviyo_assets.state.locks import account_folder, sync_lock
from klaviyo_assets.state.rereads import Rereads
from klaviyo_assets.state.tombstones import without_erased
from klaviyo_assets.sync.progress_reporter import ProgressReporter
from klaviyo_assets.sync.resume import CLOCKS_DIFFER, Wanted, resume
from klaviyo_assets.warehouse.base import Warehouse, WarehouseError

_STOPPED = "Stopped from outside: the run was cancelled, or its process was told to end."

_SECONDS_TO_STOP = 10.0
"""Seconds that a sync which is stopped may take to write that down; the next sync does it in its place."""

_SCHEMA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class SyncReport:
    """What a sync did.

    Attributes:
        row: Its row of ``_syncs``.
        row_count: Rows of the table that are not marked as deleted.
        slices: Names of the spans or divisions that were read.
        seconds: How long it took.
        resumed: True if it took up what a killed or failed sync had staged.
        notes: Things that the user should know, in words.
    """

    row: SyncLogEntry
    row_count: int
    slices: tuple[str, ...]
    seconds: float
    resumed: bool
    notes: tuple[str, ...]


@dataclass
class SyncRunner:
    """One sync of one resource type.

    Args:
        entry: The resource type.
        request: What is asked for.
        client: The client, open.
        warehouse: The database.
        schema: DuckDB schema.
        run_id: Dagster run, for ``_syncs``.
        log: Where progress is told.
        refusal: The error that an earlier probe of this client met; it is recorded, then raised.
        account_id: The account of the key, where the user says it.
        guard: Field rules of the resource type.
        accept_other_account: True if the schema may go over to another account.

    Example:
        >>> report = await Sync(CATALOG["lists"], SyncOptions(), client, warehouse, "klaviyo", None, log).run()
    """

    entry: ResourceType
    request: SyncOptions
    client: KlaviyoClient
    warehouse: Warehouse
    schema: str
    run_id: str | None
    log: logging.Logger
    refusal: KlaviyoError | None = None
    account_id: str | None = None
    guard: FieldRuleSet = field(default_factory=FieldRuleSet)
    accept_other_account: bool = False
    _notes: list[str] = field(default_factory=list)
    _resumed: bool = False
    _oldest_record: datetime | None = None
    _erased: frozenset[str] = frozenset()
    _struck: Sequence[TimeWindow] = ()

    async def run(self) -> SyncReport:
        """Plan, fetch, stage and load.

        Raises:
            SyncTaken: If another process of this machine is syncing this type of this account; nothing was done.
            SyncError: If the request or the account is wrong.
            KlaviyoError: If Klaviyo refuses or fails; what was read is kept.
            WarehouseError: If the database cannot be opened.
        """
        try:
            return await self._run()
        except Timeout as error:  # an OSError, though nothing is wrong with the folder
            raise StillLocked(error.lock_file) from error
        except (ConnectionError, TimeoutError):
            raise  # an OSError too, of no file
        except OSError as error:
            raise FolderFailed(error) from error
        except pl.exceptions.ComputeError as error:  # what Polars makes of a disk that fills up while it writes
            raise FolderFailed(OSError(str(error))) from error

    async def _run(self) -> SyncReport:
        if not _SCHEMA_NAME.fullmatch(self.schema):
            raise SyncError(f"{self.schema!r} cannot be the name of a schema.", "Use letters, digits and underscores, beginning with a letter.")
        if self.request.mode is SyncMode.range:
            check_range(self.entry, self.request)
        with sync_lock(self._state_dir, self.entry.name, self.run_id):
            return await self._locked()

    @property
    def _state_dir(self) -> Path:
        folder = self.warehouse.state_dir / self._schema_key
        owner_only.make_folder(folder)
        return folder

    @property
    def _schema_key(self) -> str:
        """The schema's name as DuckDB compares it, so that one schema has one set of locks."""
        return self.schema.lower()

    @property
    def strategy(self) -> Strategy:
        """What the resource type's replication reads."""
        return strategy_for(self.entry)

    @property
    def _staging_root(self) -> Path:
        return self._state_dir / "staging" / self.entry.name

    def _discard_staged(self) -> None:
        shutil.rmtree(self._staging_root, ignore_errors=True)

    async def _locked(self) -> SyncReport:
        began = time.monotonic()
        refusal = self.refusal or await self._first_answer()
        if refusal:
            return await self._recorded(Identity(UNKNOWN_ACCOUNT, seen=True), refusal, began)
        who = await identify(self.client, self.warehouse.state_dir, self._schema_key, self.account_id)
        folder = account_folder(self.client, who.account_id)
        if folder is None:
            return await self._recorded(who, None, began)
        with sync_lock(folder, self.entry.name, self.run_id, where=" into another database or schema"):
            return await self._recorded(who, None, began)

    async def _recorded(self, who: Identity, refusal: KlaviyoError | None, began: float) -> SyncReport:
        """Sync, or fail, and leave a row in ``_syncs`` either way."""
        now = (self.client.now() if self.client.knows_the_time else datetime.now(UTC)).replace(microsecond=0)
        loader = Loader(self.warehouse, self.entry, self.schema, discard_staged=self._discard_staged)
        row = SyncLogEntry(uuid.uuid4().hex, self.entry.name, who.account_id, self.request.mode.value, now, self.run_id)
        latest = row.started_at + CLOCKS_DIFFER if self.client.knows_the_time else None
        covered, last_end = await in_thread(
            loader.begin, row, key_seen=who.seen, account_asked=who.asked, accept_other_account=self.accept_other_account, latest=latest
        )
        for note in loader.notes:
            self._note(note)
        self._erased = loader.erased
        if last_end is not None and self.client.knows_the_time and last_end - self.client.now() < CLOCKS_DIFFER:
            self.client.catch_up(last_end)  # a later read must carry a later time
        try:
            if refusal:
                raise refusal
            if not who.seen:
                await remember(self.client, self.warehouse.state_dir, self._schema_key)
            if await in_thread(self._apply_rules, loader) | await in_thread(self._take_up, loader, row, who):
                covered = await in_thread(loader.coverage)
            if self.entry.counted_by is not None and self.request.mode in (SyncMode.incremental, SyncMode.repair):
                self._struck = await in_thread(self._strike, loader, row)
            with saying_where():
                slices = await self._read(loader, row, without(covered, self._struck), now)
        except BaseException as error:
            row.error_class, row.error = type(error).__name__, str(error)[:2000] or _STOPPED
            self._count(row)
            # One who has stopped the sync is not kept waiting for a database that others have.
            with waiting.at_most(math.inf if isinstance(error, Exception) else _SECONDS_TO_STOP):
                await asyncio.shield(in_thread(self._record_failure, loader, row))
            raise
        counts, count = loader.counts, loader.row_count
        self.log.info("%s: %d records read, %d new, %d changed, %d gone; %s rows", self.entry.name, row.records_read, *vars(counts).values(), count)
        return SyncReport(row, count, tuple(one.name for one in slices), time.monotonic() - began, self._resumed, tuple(self._notes))

    def _record_failure(self, loader: Loader, row: SyncLogEntry) -> None:
        """Write the sync's row; if even that cannot be done, the first error is the one to tell."""
        try:
            loader.end(row, self.client.now() if self.client.knows_the_time else datetime.now(UTC))
        except (WarehouseError, duckdb.Error, OSError) as error:
            self.log.warning("The failure could not be written to _syncs: %s", error)

    async def _first_answer(self) -> KlaviyoError | None:
        """Learn the server's clock, unless the client knows it already; return the error if Klaviyo refuses or fails."""
        try:
            await sync_clock(self.client, self.entry)
        except KlaviyoError as error:
            return error
        return None

    def _apply_rules(self, loader: Loader) -> bool:
        """Treat rows that were stored before a field rule was made as those that are read now; return whether rules have changed."""
        changed, rewritten = loader.apply_rules(self.guard, self._fingerprint) if self.guard.rules or loader.has_field_rules else (False, 0)
        if rewritten:
            self._note(f"A field rule was changed: {rewritten} rows of {self.entry.name} were treated by it.")
        try:
            self.warehouse.compact_if_requested()
        except WarehouseError as error:
            self._note(f"What rows held before a field rule or an erasure may still be in free blocks of the file. {error}")
        return changed

    def _take_up(self, loader: Loader, row: SyncLogEntry, who: Identity) -> bool:
        """Load what a killed or failed sync has left in staging; return whether there was anything."""
        mark = self._fingerprint(self.guard.mark)
        wanted = Wanted(row.account_id, who.seen, mark, content_columns(self.entry), row.started_at + CLOCKS_DIFFER)
        self._resumed = resume(self._staging_root, loader, row, None if self.request.mode is SyncMode.full else wanted, self._note)
        if self._resumed:
            self.log.info("%s: took up what an interrupted sync had read", self.entry.name)
        return self._resumed

    def _strike(self, loader: Loader, row: SyncLogEntry) -> list[TimeWindow]:
        """Strike what a repair is asked for, and return what must be read again as a whole; what was staged before is loaded by now."""
        struck = Rereads(loader)
        if self.request.mode is SyncMode.repair:
            struck.strike()
        spans = struck.spans(TimeWindow(self._wanted_from() or BEGINNING, row.started_at - LAG))
        if spans:
            self.log.info("%s: %d spans that an audit found to differ are read again", self.entry.name, len(spans))
        return spans

    async def _read(self, loader: Loader, row: SyncLogEntry, covered: Sequence[CoverageRow], now: datetime) -> tuple[AnySlice, ...]:
        planned = await self._plan(covered, now)
        self.log.info("%s: %s sync, %d spans or divisions to read", self.entry.name, self.request.mode, len(planned.slices))
        row.windows = msgspec.json.encode([one.name for one in planned.slices]).decode()
        completion = self.strategy.completion(self.request.mode)
        is_whole, is_full = completion is Completion.COMPARE_ALL, completion is Completion.SWAP
        staging = self._staging(row, resumable=not (is_whole or is_full))
        if is_full:
            await in_thread(loader.create_rebuilt)
        looks_for_gone = self.request.mode is SyncMode.range or bool(self._struck)
        gathered: list[CoverageRow] = []
        files: list[Path] = []

        async def load(batch: Batch) -> None:
            self.log.info("%s: %d records read, loading %d", self.entry.name, fetcher.records_read, batch.rows)
            self._count(row, fetcher)
            await in_thread(load_divided, lambda part: loader.load(part, row, rebuilt=is_full), batch)
            gathered.extend(batch.covered)
            files.extend(await in_thread(keep_columns, batch.files, self._told_by) if looks_for_gone else batch.files)
            await behind.loaded(batch)

        rows_known = 0 if is_full else loader.row_count
        behind = BackgroundWriter(staging, None if is_whole else load, rows_known, rows_expected=lambda: self._page_size * fetcher.pages_expected)

        async def after_page() -> None:
            await behind.after_page()
            telling.after_page()

        fetcher = Fetcher(self.client, self.entry, staging, after_page)
        counted = (max(self._oldest_record, self.request.start_date or USUAL_BEGINNING, USUAL_BEGINNING), now) if self._oldest_record else None
        counts = self.entry.counted_by is not None and not covered
        telling = ProgressReporter(
            self.client, fetcher, staging, self.warehouse.state_dir, self._oldest_record, counted if counts else None, self.log, self._note
        )
        try:
            await fetcher.run(planned.slices)
            await behind.finish()
        except BaseException:
            # Finished work is kept: the next sync loads it, and plans the rest again.
            with contextlib.suppress(OSError, pl.exceptions.PolarsError):
                await asyncio.shield(behind.give_up())
            self._count(row, fetcher)
            raise
        finally:
            telling.end()
        if is_whole:
            await self._finish_whole(loader, row, staging, fetcher)
        else:
            await self._finish(loader, row, gathered, files, fetcher)
        staging.remove()
        return planned.slices

    async def _plan(self, covered: Sequence[CoverageRow], now: datetime) -> Plan:
        context = PlanContext(self.entry, self.request, covered, now, self._fingerprint(self.guard.mark))
        field_name = self.strategy.history_field(context)
        self._oldest_record = await oldest_record(self.client, self.entry, field_name) if field_name else None
        planned = plan(self.strategy, context, self._oldest_record)
        if planned.stale:
            self._note(
                f"{self.entry.name} was read before with other options or columns: that part is read again "
                "(set accept_changed_options to keep it as it is)."
            )
        return planned

    def _staging(self, row: SyncLogEntry, *, resumable: bool) -> Staging:
        manifest = new_manifest(
            sync_id=row.id,
            resource_type=self.entry.name,
            account_id=row.account_id,
            fingerprint=self._fingerprint(self.guard.mark),
            read_at=row.started_at,
            resumable=resumable,
            columns=content_columns(self.entry),
        )
        return Staging(self._staging_root / f"{row.started_at:%Y%m%dT%H%M%S}-{row.id}", manifest, self._treated)

    def _treated(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return what may be stored of a frame."""
        return self.guard.apply(without_erased(frame, self.entry.primary_key, self._erased))

    def _fingerprint(self, rules: str | None) -> str:
        return fingerprint(self.entry, self.client.settings.revision, rules)

    async def _finish_whole(self, loader: Loader, row: SyncLogEntry, staging: Staging, fetcher: Fetcher) -> None:
        """Look up what was not returned, then load and mark, in one transaction unless the rows are too wide for that."""
        batch = staging.batch()
        missing = await in_thread(loader.missing_keys, batch.files)
        found: list[Page] = []
        if missing and not batch.files:
            self._note(f"Klaviyo returned no {self.entry.name} at all, though {len(missing)} are known: none was marked as deleted.")
            missing = []
        elif missing:
            found = await look_up(self.client, self.entry, [id_ for (id_,) in missing])
        for page in found:
            staging.add_lookup(page)
        if found:
            await in_thread(staging.write)
        still_there = {record.id for page in found for record in page.records}
        gone = [(id_,) for (id_,) in missing if id_ not in still_there]
        self._count(row, fetcher)
        # Nearly always one; only rows that are too wide for one transaction come in several, of which the last one marks what is gone.
        *before, last = staging.batches()

        def load(batch: Batch) -> None:
            loader.load(batch, row)

        for part in before:
            await in_thread(load_divided, load, part)
        now = self.client.now()
        await in_thread(load_and_finish, load, lambda batch: loader.finish_whole(batch, row, gone, now), last)

    async def _finish(self, loader: Loader, row: SyncLogEntry, gathered: Sequence[CoverageRow], files: Sequence[Path], fetcher: Fetcher) -> None:
        self._count(row, fetcher)
        match self.request.mode:
            case SyncMode.full if not files and (known := loader.row_count):
                self._note(f"Klaviyo returned no {self.entry.name} at all, though {known} are known: the table was left as it is.")
            case SyncMode.full:
                await in_thread(loader.swap, row, gathered, self._wanted_from(), self.client.now())
                return
            case SyncMode.range:
                field_name, asked = check_range(self.entry, self.request)
                span = TimeWindow(asked.start, min(asked.end, row.started_at - LAG))
                if not await in_thread(loader.mark_missing, field_name, span, files, row.started_at):
                    self._note(f"Klaviyo returned nothing for the range, though {self.entry.name} of it are known: none was marked as deleted.")
            case _:
                for span in await in_thread(Rereads(loader).finish, self._struck, files, row.started_at) if self._struck else ():
                    self._note(f"Klaviyo returned no {self.entry.name} from {span.start} to {span.end}, though some are known: see the audit.")
        await in_thread(loader.end, row, self.client.now())

    @property
    def _told_by(self) -> tuple[str, ...]:
        """Columns that tell which record was brought, and of which span."""
        field_name = range_field(self.entry)
        return (*self.entry.primary_key, *([field_name] if field_name else []))

    @property
    def _page_size(self) -> float:
        return float(self.entry.page_parameters.get("page[size]", math.inf))

    def _wanted_from(self) -> datetime | None:
        return self.request.start_date if self.entry.replication.start_date_field else None

    def _count(self, row: SyncLogEntry, fetcher: Fetcher | None = None) -> None:
        traffic = self.client.traffic
        row.requests, row.bytes, row.throttled = traffic.requests, traffic.bytes, traffic.throttled
        row.seconds_waited = round(self.client.seconds_waited, 3)
        if fetcher is not None:
            row.records_read = fetcher.records_read

    def _note(self, text: str) -> None:
        self._notes.append(text)
        self.log.warning(text)
