"""Ends a sync: handles rows that were not returned as its strategy defines. See ``Completion``."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.catalog.resource_type import Parent
from klaviyo_assets.decode import Page
from klaviyo_assets.extract.fetch_state import FetchState
from klaviyo_assets.extract.lookup import look_up
from klaviyo_assets.extract.options import check_range
from klaviyo_assets.extract.slices import AnySlice, ReportSlice, shorten_names
from klaviyo_assets.extract.strategies.base import LAG, Completion
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.divide import load_and_finish, load_divided
from klaviyo_assets.load.report_window import ReportWindow
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.state.coverage import CoverageRow, TimeWindow
from klaviyo_assets.state.requested_rereads import Reread
from klaviyo_assets.sync.context import SyncContext


@dataclass(frozen=True)
class SyncRead:
    """What a sync has read.

    Attributes:
        slices: The slices; all of them have been read completely.
        parents: Ids of the parents in the parent's table; empty for a type without parents.
        state: Progress of the extraction.
        covered: Coverage of the batches that were loaded.
        files: Staged files with the keys of the rows that were returned, if they are compared.
        rereads: Covered windows that were read again, each as a whole.
    """

    slices: Sequence[AnySlice]
    parents: Sequence[str]
    state: FetchState
    covered: Sequence[CoverageRow]
    files: Sequence[Path]
    rereads: Sequence[Reread]


async def complete(sync: SyncContext, staging: Staging, read: SyncRead) -> None:
    """Compare the records that were read with the table as the strategy requires, and end the sync.

    Raises:
        KlaviyoError: If records that are missing cannot be looked up.
        WarehouseError: If the database fails.
    """
    match sync.completion:
        case Completion.COMPARE_ALL:
            await _compare_all(sync, staging)
            return
        case Completion.COMPARE_PER_PARENT:
            await _compare_per_parent(sync, read)
            return
        case Completion.SWAP if read.files or not sync.loader.row_count:
            await in_thread(sync.loader.swap, sync.row, read.covered, sync.requested_from, sync.client.now())
            return
        case Completion.SWAP:
            sync.note(f"Klaviyo returned no {sync.entry.name} at all, though {sync.loader.row_count} are known: the table was not changed.")
        case Completion.COMPARE_WINDOW:
            await _compare_window(sync, read)
        case Completion.COMPARE_REPORT:
            await compare_report(sync, read.slices, read.files)
        case Completion.COVERAGE:
            await _finish_rereads(sync, read)
    await in_thread(sync.loader.end, sync.row, sync.client.now())


async def _compare_all(sync: SyncContext, staging: Staging) -> None:
    """Look up missing ids, then load rows and mark deleted ones, in one transaction unless the rows are too wide for that."""
    loader, name = sync.loader, sync.entry.name
    batch = staging.batch()
    missing = await in_thread(loader.missing_keys, batch.files)
    found: list[Page] = []
    if missing and not batch.files:
        sync.note(f"Klaviyo returned no {name} at all, though {len(missing)} are known: none was marked as deleted.")
        missing = []
    elif missing:
        found = await look_up(sync.client, sync.entry, [id_ for (id_,) in missing])
    for page in found:
        staging.add_lookup(page)
    if found:
        await in_thread(staging.write)
    still_there = {record.id for page in found for record in page.records}
    gone = [(id_,) for (id_,) in missing if id_ not in still_there]
    sync.record_traffic()
    # Nearly always one batch. Rows that are too wide for one transaction come in several; the last one marks the deleted rows.
    *before, last = staging.batches()

    def load(batch: Batch) -> None:
        loader.load(batch, sync.row)

    for part in before:
        await in_thread(load_divided, load, part)
    now = sync.client.now()
    await in_thread(load_and_finish, load, lambda batch: loader.finish_whole(batch, sync.row, gone, now), last)


async def compare_report(sync: SyncContext, slices: Sequence[AnySlice], files: Sequence[Path]) -> None:
    """Mark rows of the windows of a report that were read if they were not returned."""
    windows = [
        ReportWindow(one.field, one.first, one.last, one.subset.values, one.ids_column, one.ids) for one in slices if isinstance(one, ReportSlice)
    ]
    for window in await in_thread(sync.loader.mark_missing_of_report, windows, files, sync.row.started_at):
        sync.note(f"Klaviyo returned no {sync.entry.name} from {window.first} to {window.last}, though some are known: none was marked as deleted.")


async def _compare_window(sync: SyncContext, read: SyncRead) -> None:
    field_name, requested = check_range(sync.entry, sync.options)
    window = TimeWindow(requested.start, min(requested.end, sync.row.started_at - LAG))
    if not await in_thread(sync.loader.mark_missing, field_name, window, read.files, sync.row.started_at):
        sync.note(f"Klaviyo returned nothing for the range, though {sync.entry.name} of it are known: none was marked as deleted.")


async def _finish_rereads(sync: SyncContext, read: SyncRead) -> None:
    if not read.rereads:
        return
    for window in await in_thread(sync.loader.finish_rereads, read.rereads, read.files, sync.row.started_at):
        sync.note(f"Klaviyo returned no {sync.entry.name} from {window.start} to {window.end}, though some are known: see the audit.")


async def _compare_per_parent(sync: SyncContext, read: SyncRead) -> None:
    """Mark rows of the parents that were read if they were not returned, and all rows of deleted parents."""
    parent = sync.entry.parent
    assert parent is not None
    resumed = sync.loader.counts.inserted or sync.loader.counts.updated
    if not read.files and (sync.loader.row_count or resumed):
        await _end_empty_read(sync, read, parent)
        return
    done = [one.parent_id for one in read.slices if one.parent_id is not None]
    gone = {*read.state.gone_parents}
    if gone:
        _log_deleted_parents(sync, parent, gone)
    live = {*read.parents} - gone
    await in_thread(sync.loader.finish_parents, parent.column, done, live, read.files, sync.row, sync.client.now())


async def _end_empty_read(sync: SyncContext, read: SyncRead, parent: Parent) -> None:
    """End a sync for which Klaviyo returned no record: mark only the rows of parents that are deleted in the parent's table."""
    if read.parents:
        await in_thread(sync.loader.finish_parents, parent.column, [], read.parents, [], sync.row, sync.client.now())
    else:
        await in_thread(sync.loader.end, sync.row, sync.client.now())
    if known := sync.loader.row_count:
        sync.note(f"Klaviyo returned no {sync.entry.name} at all, though {known} are known: none was marked as deleted.")


def _log_deleted_parents(sync: SyncContext, parent: Parent, gone: Collection[str]) -> None:
    """Log which parents have been deleted in Klaviyo but not yet in their own table."""
    what = f"{len(gone)} of the {parent.type_name} have been deleted in Klaviyo since {parent.type_name} was synced"
    sync.log.info("%s: %s, so their rows are marked as deleted: %s", sync.entry.name, what, ", ".join(shorten_names(sorted(gone))))
