"""The way of the data in one sync, from the plan to the end of the load.

::

    plan ──slices──► Fetcher ──pages──► Staging ──files──► BackgroundWriter ──batches──► Loading ──► completion
                        │                  ▲                     ▲
                        └──► FetchState ───┴─── ProgressReporter─┘ (rows expected)

Everything points to the right: the fetcher knows a :class:`~klaviyo_assets.extract.page_sink.PageSink`, the writer a function that loads, and what
the steps behind need to know of the fetcher is in :class:`~klaviyo_assets.extract.fetch_state.FetchState`. After each page the fetcher calls
:meth:`Pipeline.after_page`, which starts what is due, and waits where writing or loading falls behind.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
import polars as pl

from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.errors import SyncError
from klaviyo_assets.extract.fetch_state import FetchState
from klaviyo_assets.extract.fetcher import Fetcher
from klaviyo_assets.extract.lookup import oldest_record
from klaviyo_assets.extract.plan import Plan, plan
from klaviyo_assets.extract.slices import AnySlice
from klaviyo_assets.extract.strategies.base import Completion, PlanContext
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.divide import load_divided
from klaviyo_assets.load.upsert import content_columns
from klaviyo_assets.staging.manifest import Manifest, new_manifest
from klaviyo_assets.staging.seen_keys import keep_columns
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.staging.writer import BackgroundWriter
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets.state.rereads import Reread
from klaviyo_assets.sync.completion import Read, complete
from klaviyo_assets.sync.context import SyncContext
from klaviyo_assets.sync.progress import ProgressReporter

_RESUMABLE = (Completion.COVERAGE, Completion.COMPARE_WINDOW, Completion.COMPARE_PER_PARENT)
"""Syncs of which the next one can load what is staged: those whose coverage says what is left to read."""


@dataclass
class Loading:
    """Loads batches, and gathers what the end of the sync needs of them.

    Args:
        sync: The sync.
        state: What has been fetched.
        keeps_keys: True if the end of the sync compares the keys that were returned.
    """

    sync: SyncContext
    state: FetchState
    keeps_keys: bool
    covered: list[CoverageRow] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    async def load(self, batch: Batch) -> None:
        """Load a batch in one transaction, or in several where memory does not suffice."""
        sync, rebuilt = self.sync, self.sync.completion is Completion.SWAP
        sync.log.info("%s: %d records read, loading %d", sync.entry.name, self.state.records_read, batch.rows)
        sync.record_traffic(self.state.records_read)
        await in_thread(load_divided, lambda part: sync.loader.load(part, sync.row, rebuilt=rebuilt), batch)
        self.covered += batch.covered
        self.files += await in_thread(keep_columns, batch.files, self._key_columns) if self.keeps_keys else batch.files

    @property
    def _key_columns(self) -> tuple[str, ...]:
        """The primary key, and the time by which windows are compared."""
        entry = self.sync.entry
        return (*entry.primary_key, *([entry.replication.range_field] if entry.replication.range_field else []))


class Pipeline:
    """One sync from the plan to the end of the load.

    Args:
        sync: What the steps share.
        folder: For staged files; created here.
        treat: Returns what may be stored of a frame.
        rereads: Covered windows that are read again, each as a whole.
    """

    def __init__(self, sync: SyncContext, folder: Path, treat: Callable[[pl.DataFrame], pl.DataFrame], rereads: Sequence[Reread] = ()) -> None:
        self._sync = sync
        self._rereads = rereads
        self._state = FetchState()
        self._staging = Staging(folder, self._manifest(), treat)
        compares = sync.completion in (Completion.COMPARE_WINDOW, Completion.COMPARE_PER_PARENT) or bool(rereads)
        self._loading = Loading(sync, self._state, keeps_keys=compares)
        self._writer = BackgroundWriter(
            self._staging,
            None if sync.completion is Completion.COMPARE_ALL else self._loading.load,
            rows_known=0 if sync.completion is Completion.SWAP else sync.loader.row_count,
            rows_expected=self._rows_expected,
        )
        self._reporter: ProgressReporter | None = None

    async def run(self, covered: Sequence[CoverageRow]) -> tuple[AnySlice, ...]:
        """Plan, fetch, stage and load.

        Args:
            covered: Coverage that counts.

        Returns:
            The slices that were planned.

        Raises:
            KlaviyoError: If Klaviyo refuses or fails; finished work stays staged.
            SyncError: If the request is wrong.
            WarehouseError: If the database fails.
        """
        sync, state = self._sync, self._state
        context, oldest = await self._facts(covered)
        planned = self._plan(context, oldest)
        if sync.completion is Completion.SWAP:
            await in_thread(sync.loader.create_rebuilt)
        self._reporter = ProgressReporter(sync.entry.name, state, self._staging, sync.loader.warehouse.state_dir, oldest, sync.log, sync.note)
        try:
            await Fetcher(sync.client, sync.entry, self._staging, self.after_page, state).run(planned.slices)
            await self._writer.finish()
        except BaseException:
            # Finished work is kept: the next sync loads it, and plans the rest again.
            with contextlib.suppress(OSError, pl.exceptions.PolarsError):
                await asyncio.shield(self._writer.give_up())
            sync.record_traffic(state.records_read)
            raise
        sync.record_traffic(state.records_read)
        await complete(sync, self._staging, Read(planned.slices, context.parents, state, self._loading.covered, self._loading.files, self._rereads))
        self._staging.remove()
        return planned.slices

    async def after_page(self) -> None:
        """Start writing and loading where they are due; wait where they have fallen behind."""
        await self._writer.after_page()
        if self._reporter is not None:
            self._reporter.after_page()

    async def _facts(self, covered: Sequence[CoverageRow]) -> tuple[PlanContext, datetime | None]:
        """Fetch what planning needs from Klaviyo and from the database; planning itself does no I/O."""
        sync, entry = self._sync, self._sync.entry
        context = PlanContext(entry, sync.options, covered, sync.row.started_at, sync.fingerprint, await self._parents())
        field_name = sync.strategy.history_field(context)
        return context, await oldest_record(sync.client, entry, field_name) if field_name else None

    async def _parents(self) -> tuple[str, ...]:
        entry = self._sync.entry
        if entry.parent is None:
            return ()
        parent = entry.parent.type_name
        parents = await in_thread(self._sync.loader.parent_ids, parent)
        if parents is None:
            raise SyncError(f"{entry.name} needs the table {parent}, which does not exist yet.", f"Sync {parent} first.")
        return tuple(parents)

    def _plan(self, context: PlanContext, oldest: datetime | None) -> Plan:
        sync = self._sync
        planned = plan(sync.strategy, context, oldest)
        if planned.stale:
            sync.note(
                f"{sync.entry.name} was read before with other options or columns: that part is read again "
                "(set accept_changed_options to keep it as it is)."
            )
        sync.log.info("%s: %s sync, %d slices to read", sync.entry.name, sync.options.mode, len(planned.slices))
        sync.row.slices = msgspec.json.encode([one.name for one in planned.slices]).decode()
        return planned

    def _manifest(self) -> Manifest:
        sync = self._sync
        return new_manifest(
            sync_id=sync.row.id,
            resource_type=sync.entry.name,
            account_id=sync.row.account_id,
            fingerprint=sync.fingerprint,
            read_at=sync.row.started_at,
            resumable=sync.completion in _RESUMABLE,
            columns=content_columns(sync.entry),
        )

    def _rows_expected(self) -> float:
        page_size = float(self._sync.entry.page_parameters.get("page[size]", math.inf))
        return page_size * self._state.pages_expected
