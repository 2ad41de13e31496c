"""The data flow of one sync, from the planned slices to the end of the load.

::

    PlannedSync ──slices──► Fetcher ──pages──► Staging ──files──► BackgroundWriter ──batches──► BatchLoader ──► complete
                               │
                               └──► FetchState ──► ProgressReporter, BackgroundWriter, BatchLoader, complete

Dependencies only point to the right: the fetcher depends on a :class:`~klaviyo_assets.extract.page_sink.PageSink`, the writer on a function that
loads. Later steps read the fetcher's progress from :class:`~klaviyo_assets.extract.fetch_state.FetchState`. After each page the fetcher calls
:meth:`Pipeline.after_page`, which starts writes and loads that are due, and waits if they have fallen behind.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.api.klaviyo_errors import AccessDenied, KlaviyoError
from klaviyo_assets.api.rate_limit.daily import is_daily_limit
from klaviyo_assets.catalog.endpoint import Include
from klaviyo_assets.catalog.hosting import columns_of_include, include_of, including
from klaviyo_assets.decode import Page
from klaviyo_assets.extract.feed import FeedSink
from klaviyo_assets.extract.fetch_state import FetchState
from klaviyo_assets.extract.fetcher import Fetcher
from klaviyo_assets.extract.included_reader import IncludedReader
from klaviyo_assets.extract.slices import AnySlice
from klaviyo_assets.extract.strategies.strategy import Completion
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.deletions.child_deletions import ChildDeletions
from klaviyo_assets.load.parts.divide import load_divided
from klaviyo_assets.load.rows.upsert import content_columns
from klaviyo_assets.load.views.metric_views import views_are_possible
from klaviyo_assets.staging.background_writer import BackgroundWriter
from klaviyo_assets.staging.manifest import Manifest, new_manifest
from klaviyo_assets.staging.seen_keys import keep_columns
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets.state.requested_rereads import Reread
from klaviyo_assets.sync.children import read_children
from klaviyo_assets.sync.completion import SyncRead, compare_report, complete_sync
from klaviyo_assets.sync.context import SyncContext
from klaviyo_assets.sync.grouped_children import read_groups
from klaviyo_assets.sync.missing_resources import fetch_missing_resources, note_unanswered, rows_with_missing_resources
from klaviyo_assets.sync.planned import PlannedSync
from klaviyo_assets.sync.progress import ProgressReporter

_RESUMABLE = (Completion.COVERAGE, Completion.COMPARE_WINDOW, Completion.COMPARE_PER_PARENT, Completion.COMPARE_REPORT)
"""Kinds of syncs whose staged files the next sync can load, because their coverage shows what is left to read."""


_COMPARING_KEYS = (Completion.COMPARE_WINDOW, Completion.COMPARE_PER_PARENT, Completion.COMPARE_REPORT)
"""Kinds of syncs that compare the keys of the rows that were returned."""
_LOADED_AT_THE_END = (Completion.COMPARE_ALL, Completion.COMPARE_INCLUDED)
"""Kinds of syncs that load all rows in one transaction if possible, together with the marks of deleted rows."""


@dataclass
class BatchLoader:
    """Loads batches, and collects their coverage and keys for the end of the sync.

    Args:
        sync: The sync.
        state: Progress of the extraction.
        keeps_keys: True if the end of the sync compares the keys that were returned.
    """

    sync: SyncContext
    state: FetchState
    keeps_keys: bool
    covered: list[CoverageRow] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    async def load(self, batch: Batch) -> None:
        """Load a batch in one transaction, or in several if DuckDB runs out of memory."""
        sync, rebuilt = self.sync, self.sync.completion is Completion.SWAP
        sync.log.info("%s: %s records read, loading %s", sync.entry.name, f"{self.state.records_read:,}", f"{batch.rows:,}")
        sync.record_traffic(self.state.records_read)
        await in_thread(load_divided, lambda part: sync.loader.load(part, sync.row, rebuilt=rebuilt), batch)
        self.covered += batch.covered
        self.files += await in_thread(keep_columns, batch.files, self._key_columns) if self.keeps_keys else batch.files

    @property
    def _key_columns(self) -> tuple[str, ...]:
        """The primary key (of a report, with its windows), and the time by which windows are compared."""
        entry = self.sync.entry
        return (*entry.primary_key, *([entry.replication.range_field] if entry.replication.range_field else []))


class Pipeline:
    """One sync from the plan to the end of the load.

    Args:
        sync: The context of the sync.
        folder: Folder for staged files; created here.
        prepare_rows: Removes rows that must not be stored, then applies the field rules (``sync.prepare_rows``).
        planned: The plan.
        rereads: Covered windows that are read again, each as a whole.
    """

    def __init__(
        self,
        sync: SyncContext,
        folder: Path,
        prepare_rows: Callable[[pl.DataFrame], pl.DataFrame],
        planned: PlannedSync,
        rereads: Sequence[Reread] = (),
    ) -> None:
        self._sync = sync
        self._planned = planned
        self._rereads = rereads
        self._state = FetchState()
        self._staging = Staging(folder, self._manifest(), prepare_rows, sync.entry.sorted_by, self._note_properties)
        self._included = IncludedReader(sync.client, sync.entry, self._staging, self.after_page, self._state) if sync.entry.host is not None else None
        compares = sync.completion in _COMPARING_KEYS or bool(rereads)
        self._loader = BatchLoader(sync, self._state, keeps_keys=compares)
        self._writer = BackgroundWriter(
            self._staging,
            None if sync.completion in _LOADED_AT_THE_END else self._loader.load,
            rows_known=0 if sync.completion is Completion.SWAP else sync.loader.progress.row_count,
            rows_expected=self._rows_expected,
        )
        state_dir = sync.loader.warehouse.state_dir
        self._reporter = ProgressReporter(sync.entry.name, self._state, self._staging, state_dir, planned.oldest, sync.log, sync.note)

    async def run(self) -> None:
        """Fetch, stage and load, then end the sync.

        Raises:
            KlaviyoError: If Klaviyo refuses or fails; finished work stays staged.
            WarehouseError: If the database fails.
        """
        sync, state, planned = self._sync, self._state, self._planned
        if sync.completion is Completion.SWAP:
            await in_thread(sync.loader.create_rebuilt)
        try:
            files = await self._fetch(planned.slices)
            children = await self._read_children(files) if sync.completion is Completion.COMPARE_PER_PARENT else None
        except KlaviyoError as error:
            await (self._keep_until_tomorrow() if is_daily_limit(error) and sync.entry.replication.report else self._stop_and_keep_files())
            raise
        except BaseException:
            # Finished work is kept: the next sync loads it, and plans the rest again.
            await self._stop_and_keep_files()
            raise
        sync.record_traffic(state.records_read)
        loaded = self._loader
        read = SyncRead(planned.slices, children, loaded.covered, loaded.files, self._rereads, state, self._included, planned.context.report)
        await complete_sync(sync, self._staging, read)
        self._staging.remove()

    async def _read_children(self, files: tuple[Path, ...]) -> ChildDeletions | None:
        """Read what a child type compares; return what the end of the sync marks, or None if nothing."""
        sync, planned, state = self._sync, self._planned, self._state
        if sync.entry.replication.groups is not None:
            return await read_groups(sync, planned, state, files, self._fetch, self._store)
        return await read_children(sync, planned, state, files, self._fetch)

    async def _store(self, pages: Sequence[Page]) -> None:
        """Load records that were looked up by id."""
        for page in pages:
            self._staging.add_lookup(page)
        await self._writer.finish()

    async def _stop_and_keep_files(self) -> None:
        with contextlib.suppress(OSError, pl.exceptions.PolarsError):
            await asyncio.shield(self._writer.stop_and_keep_files())
        self._sync.record_traffic(self._state.records_read)

    async def _keep_until_tomorrow(self) -> None:
        """Load what a report's daily limit has left room for; the coverage shows the windows that are left."""
        await self._writer.finish()
        self._sync.record_traffic(self._state.records_read)
        await compare_report(self._sync, self._state.finished, self._loader.files)
        self._staging.remove()

    async def _fetch(self, slices: Sequence[AnySlice]) -> tuple[Path, ...]:
        """Fetch and load slices, and return the files with the keys of their records."""
        before = len(self._loader.files)
        incomplete = await rows_with_missing_resources(self._sync)
        await self._read(slices)
        unanswered = await fetch_missing_resources(self._sync, self._staging, self._writer.write, self._state, incomplete)
        await self._writer.finish()
        await note_unanswered(self._sync, unanswered)
        return tuple(self._loader.files[before:])

    async def _read(self, slices: Sequence[AnySlice]) -> None:
        """Read slices, with the records of the types that take theirs from the same responses."""
        sync = self._sync
        if self._included is not None:
            await self._included.run(slices, sync.feed)
            return
        feeds = [feed for feed in sync.feeds if await feed.begin()]
        entry = including(sync.entry, [feed.entry for feed in feeds]) if feeds else sync.entry
        sink = FeedSink(feeds, self._staging)

        async def after_page() -> None:
            await self.after_page()
            await sink.drain()

        try:
            await Fetcher(sync.client, entry, sink, after_page, self._state, self._on_refused).run(slices)
        except Exception as error:
            for feed in feeds:
                feed.end(error)
            raise
        for feed in feeds:
            feed.end()

    def _on_refused(self, includes: Sequence[Include], error: AccessDenied) -> None:
        """Say what is read without the resources that the key may not read."""
        sync, entry = self._sync, self._sync.entry
        for include in includes:
            for feed in sync.feeds:
                if include_of(feed.entry).relationship == include.relationship:
                    feed.end(error)
            if columns := columns_of_include(entry, include):
                scopes = " and ".join(include.scopes)
                sync.note(
                    f"{entry.name} are read without their {include.relationship}, because the API key lacks {scopes}: {', '.join(columns)} is null. "
                    f"What to do: nothing, or create a new key that also has {scopes}."
                )

    async def after_page(self) -> None:
        """Start a write or a load if it is due; wait if either has fallen behind."""
        await self._writer.after_page()
        self._reporter.after_page()

    def _note_properties(self, file: Path, rows: pl.DataFrame) -> None:
        """Record the properties of staged events while they are in memory: the load does not need to read them again for the views of metrics."""
        loader = self._sync.loader
        if loader.entry.has_metric_views and views_are_possible(loader.warehouse, loader.schema):
            loader.staged_properties.note(file, rows)

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
