"""Ends a sync: handles rows that were not returned as its strategy defines. See ``Completion``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.catalog.hosting import without_includes
from klaviyo_assets.decode import Page
from klaviyo_assets.extract.fetch_state import FetchState
from klaviyo_assets.extract.included_reader import IncludedReader
from klaviyo_assets.extract.lookup import look_up
from klaviyo_assets.extract.report_facts import ReportFacts
from klaviyo_assets.extract.slices import AnySlice, ReportSlice
from klaviyo_assets.extract.strategies.strategy import LAG, Completion
from klaviyo_assets.extract.sync_options import check_range
from klaviyo_assets.load.access.row_access import RowAccess
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.deletions.child_deletions import ChildDeletions
from klaviyo_assets.load.deletions.deletions import Key
from klaviyo_assets.load.deletions.report_ending import ReportEnding
from klaviyo_assets.load.deletions.report_window import ReportWindow
from klaviyo_assets.load.parts.divide import load_and_finish, load_divided
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.state.coverage import CoverageRow, TimeWindow
from klaviyo_assets.state.requested_rereads import Reread
from klaviyo_assets.sync.context import SyncContext


@dataclass(frozen=True)
class SyncRead:
    """What a sync has read.

    Attributes:
        slices: The planned slices; all of them have been read completely.
        children: What a child type's sync has read and found; None for other types.
        covered: Coverage of the batches that were loaded.
        files: Staged files with the keys of the rows that were returned, if they are compared.
        rereads: Covered windows that were read again, each as a whole.
        state: Progress of the extraction.
        included: Reader of a type that takes its records from its host's responses; None for other types.
        report: What planning a report has found about the account; None for other types.
    """

    slices: Sequence[AnySlice]
    children: ChildDeletions | None
    covered: Sequence[CoverageRow]
    files: Sequence[Path]
    rereads: Sequence[Reread]
    state: FetchState
    included: IncludedReader | None = None
    report: ReportFacts | None = None


async def complete_sync(sync: SyncContext, staging: Staging, read: SyncRead) -> None:
    """Compare the records that were read with the table as the strategy requires, and end the sync.

    Raises:
        KlaviyoError: If records that are missing cannot be looked up.
        WarehouseError: If the database fails.
    """
    match sync.completion:
        case Completion.COMPARE_ALL | Completion.COMPARE_INCLUDED:
            await _compare_all(sync, staging, read)
            return
        case Completion.COMPARE_PER_PARENT:
            if read.children is not None:
                await in_thread(sync.loader.comparison(sync.row).finish_parents, read.children, sync.client.now())
                return
        case Completion.SWAP if read.files or not sync.loader.progress.row_count:
            await in_thread(sync.loader.swap, sync.row, read.covered, sync.requested_from, sync.client.now())
            return
        case Completion.SWAP:
            known = sync.loader.progress.row_count
            sync.note(f"Klaviyo returned no {sync.entry.name} at all, though {known:,} are known: the table was not changed.")
        case Completion.COMPARE_WINDOW:
            await _compare_window(sync, read)
        case Completion.COMPARE_REPORT:
            await compare_report(sync, read.slices, read.files, await _deleted_subjects(sync, read.report))
        case Completion.COVERAGE:
            await _finish_rereads(sync, read)
    await in_thread(sync.loader.end, sync.row, sync.client.now())


async def _compare_all(sync: SyncContext, staging: Staging, read: SyncRead) -> None:
    """Look up missing ids, then load rows and mark deleted ones, in one transaction unless the rows are too wide for that."""
    loader = sync.loader
    batch = staging.batch()
    missing = await in_thread(RowAccess(loader).missing_keys, batch.files)
    found: list[Page] = []
    if missing and not batch.files and sync.refuses_empty(len(missing)):
        missing = []
    elif missing:
        found = await _look_up(sync, missing, read)
    for page in found:
        staging.add_lookup(page)
    if found:
        await in_thread(staging.write)
    still_there = {record.id for page in found for record in page.records}
    gone = [(id_,) for (id_,) in missing if id_ not in still_there]
    if read.included is not None:
        sync.row.fetched_by_id = read.state.fetched_by_id
    sync.record_traffic()
    # Nearly always one batch. Rows that are too wide for one transaction come in several; the last one marks the deleted rows.
    *before, last = staging.batches()

    def load(batch: Batch) -> None:
        loader.load(batch, sync.row)

    for part in before:
        await in_thread(load_divided, load, part)
    now = sync.client.now()
    await in_thread(load_and_finish, load, lambda batch: loader.comparison(sync.row).finish_whole(batch, gone, now), last)


async def compare_report(sync: SyncContext, slices: Sequence[AnySlice], files: Sequence[Path], deleted: Sequence[str] = ()) -> None:
    """Mark rows of the windows of a report that were read if they were not returned, and rows of deleted records that its filter names."""
    windows = [
        ReportWindow(one.field, one.first, one.last, one.subset.values, one.ids_column, one.ids) for one in slices if isinstance(one, ReportSlice)
    ]
    for window in await in_thread(sync.loader.comparison(sync.row).mark_report, ReportEnding(windows, files, deleted)):
        sync.note(f"Klaviyo returned no {sync.entry.name} from {window.first} to {window.last}, though some are known: none was marked as deleted.")


async def _deleted_subjects(sync: SyncContext, facts: ReportFacts | None) -> list[str]:
    """Return the ids of records that the filter of a report no longer names because they are deleted; each of them is looked up first."""
    subject, report = sync.entry.named_in_filter, sync.entry.replication.report
    if subject is None or report is None or facts is None:
        return []
    missing = sorted(await in_thread(RowAccess(sync.loader).live_values, report.ids_filter) - facts.ids.keys())
    if missing and not facts.ids:
        sync.note(f"Klaviyo listed no {subject.name} at all, though {len(missing):,} are known: none of their rows was marked as deleted.")
        return []
    pages = await look_up(sync.client, replace(subject, requested_includes=()), missing) if missing else []
    there = {record.id for page in pages for record in page.records}
    return [id_ for id_ in missing if id_ not in there]


async def _look_up(sync: SyncContext, missing: Sequence[Key], read: SyncRead) -> list[Page]:
    """Return the records that still exist, of those that a complete read did not return; of a type with a host, those that their hosts still have."""
    host = sync.entry.host
    if host is None or read.included is None:
        return await look_up(sync.client, without_includes(sync.entry, read.state.refused_includes), [id_ for (id_,) in missing])
    return await read.included.look_up(await in_thread(RowAccess(sync.loader).values_of, host.column, missing))


async def _compare_window(sync: SyncContext, read: SyncRead) -> None:
    field_name, requested = check_range(sync.entry, sync.options)
    window = TimeWindow(requested.start, min(requested.end, sync.row.started_at - LAG))
    if not await in_thread(sync.loader.comparison(sync.row).mark_missing, field_name, window, read.files):
        sync.note(f"Klaviyo returned nothing for the range, though {sync.entry.name} of it are known: none was marked as deleted.")


async def _finish_rereads(sync: SyncContext, read: SyncRead) -> None:
    if not read.rereads:
        return
    for window in await in_thread(sync.loader.comparison(sync.row).finish_rereads, read.rereads, read.files):
        sync.note(f"Klaviyo returned no {sync.entry.name} from {window.start} to {window.end}, though some are known: see the audit.")
