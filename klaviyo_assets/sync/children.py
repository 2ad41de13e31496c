"""The steps of a sync that only child types have: which parents are read, what Klaviyo counts, and which rows are compared.

A sync reads in up to three rounds. First what is planned: new children, and all children of small parents that are due. Then all children of the
parents whose count differs. Last, if a complete read did not return a stored row, the parent's children that joined since the sync began: a child
that left and joined again has a new time, so it may have moved to a part that had been read already.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.extract.fetch_state import FetchState
from klaviyo_assets.extract.parent_counts import count_children
from klaviyo_assets.extract.slices import shorten_names
from klaviyo_assets.extract.strategies.parent_windows import complete_slice, newest_slice
from klaviyo_assets.extract.strategies.strategy import PlanContext
from klaviyo_assets.extract.strategies.verification import to_count
from klaviyo_assets.load.access.child_access import ChildAccess
from klaviyo_assets.load.children.child_rows import CompleteRead, ParentCount, verified_coverage
from klaviyo_assets.load.deletions.child_deletions import ChildDeletions
from klaviyo_assets.state.parent_facts import ParentFacts
from klaviyo_assets.sync.callbacks import FetchSlices
from klaviyo_assets.sync.context import SyncContext
from klaviyo_assets.sync.planned import PlannedSync

_RECOUNTS = 2
"""Times that a parent is counted again because children joined it between its count and the read."""


async def parent_facts(sync: SyncContext, parents: Sequence[str]) -> Mapping[str, ParentFacts]:
    """Return what the database knows about parents, if the replication asks for it."""
    replication = sync.entry.replication
    if replication.count_check is None and replication.parent_change_column is None and replication.groups is None:
        return {}
    return await in_thread(ChildAccess(sync.loader).facts, parents, sync.row, replication.parent_change_column)


async def requested_counts(sync: SyncContext, context: PlanContext) -> Mapping[str, ParentCount]:
    """Request the counts of the parents that are due, before their children are read: later joins have a later time."""
    if context.entry.replication.count_check is None:
        return {}
    due = to_count(context)
    if due:
        sync.log.info("%s: requesting the counts of %s parents", sync.entry.name, f"{len(due):,}")
    return await _counts(sync, due)


async def _counts(sync: SyncContext, parents: Sequence[str]) -> dict[str, ParentCount]:
    found = await count_children(sync.client, sync.entry.required_parent.entry, sync.entry.required_count_check.attribute, parents)
    return {id_: ParentCount(count, at) for id_, (count, at) in found.items()}


async def read_children(
    sync: SyncContext, planned: PlannedSync, state: FetchState, files: tuple[Path, ...], fetch: FetchSlices
) -> ChildDeletions | None:
    """Read the children that must be compared, after the planned slices; return what the end of the sync marks, or None if nothing.

    Args:
        sync: The sync.
        planned: The plan; its slices have been read and loaded.
        state: Progress of the extraction.
        files: Files with the keys of their records.
        fetch: Fetches more slices.

    Raises:
        KlaviyoError: If Klaviyo refuses or fails.
        WarehouseError: If the database fails.
    """
    parent = sync.entry.required_parent
    complete = CompleteRead(tuple(dict.fromkeys(id_ for one in planned.slices if (id_ := one.whole_parent) is not None)), files)
    if _is_suspiciously_empty(sync, planned, state, complete) and sync.refuses_empty(sync.loader.progress.row_count):
        return ChildDeletions(parent.column, planned.parents) if planned.parents else None
    if sync.entry.replication.count_check is None:
        return ChildDeletions(parent.column, _live(sync, planned, state), [complete])
    access, context = ChildAccess(sync.loader), planned.context
    verdicts = await _verdicts(sync, context, planned.counts, fetch)
    different = [id_ for id_, is_equal in verdicts.items() if is_equal is False]
    reads = [complete]
    if different:
        sync.log.info("%s: the counts of %s parents differ from the table, so they are read completely", sync.entry.name, f"{len(different):,}")
        reads.append(CompleteRead(tuple(different), await fetch([complete_slice(context, id_) for id_ in different])))
    missing = await in_thread(access.missing, reads)
    gone = {*state.gone_parents}
    newest = await fetch([newest_slice(context, id_) for id_ in missing if id_ not in gone]) if missing else ()
    unconfirmed = await _unconfirmed(sync, [id_ for id_, is_empty in missing.items() if is_empty and id_ not in gone], planned.counts)
    reads = [CompleteRead(tuple(id_ for id_ in one.parents if id_ not in unconfirmed), one.files + newest) for one in reads]
    live = _live(sync, planned, state)
    equal = [id_ for id_, is_equal in verdicts.items() if is_equal]
    verified = [id_ for id_ in (*equal, *(id_ for one in reads for id_ in one.parents)) if id_ in live]
    coverage = verified_coverage(sync.entry, dict.fromkeys(verified), context.top, sync.row.started_at, sync.fingerprint)
    return ChildDeletions(parent.column, live, reads, equal, coverage)


async def _verdicts(sync: SyncContext, context: PlanContext, counts: Mapping[str, ParentCount], fetch: FetchSlices) -> dict[str, bool | None]:
    """Return whether the stored children of each counted parent equal its count; None if children joined it at each try."""
    access = ChildAccess(sync.loader)
    verdicts = await in_thread(access.compare, counts)
    for _ in range(_RECOUNTS):
        for id_ in [id_ for id_, is_equal in verdicts.items() if is_equal is None]:
            count = await _counts(sync, [id_])
            await fetch([newest_slice(context, id_)])
            verdicts |= await in_thread(access.compare, count)
    return verdicts


def _is_suspiciously_empty(sync: SyncContext, planned: PlannedSync, state: FetchState, complete: CompleteRead) -> bool:
    """Return whether Klaviyo returned nothing although rows are known: everything was read completely, or no parent is left."""
    if complete.files or not (sync.loader.progress.row_count or sync.loader.progress.counts.inserted or sync.loader.progress.counts.updated):
        return False
    is_all = {*complete.parents} >= {*planned.parents}
    return is_all if sync.entry.replication.count_check is None else not {*planned.parents} - {*state.gone_parents}


def _live(sync: SyncContext, planned: PlannedSync, state: FetchState) -> Collection[str]:
    """Return the parents that exist; log which have been deleted in Klaviyo but not yet in their own table."""
    gone = {*state.gone_parents}
    if gone and sync.entry.parent is not None:
        parents = sync.entry.parent.type_name
        what = f"{len(gone):,} of the {parents} have been deleted in Klaviyo since {parents} was synced"
        sync.log.info("%s: %s, so their rows are marked as deleted: %s", sync.entry.name, what, ", ".join(shorten_names(sorted(gone))))
    return {*planned.parents} - gone


async def _unconfirmed(sync: SyncContext, emptied: Sequence[str], counts: Mapping[str, ParentCount]) -> set[str]:
    """Return the parents of which a read returned no child at all although Klaviyo does not count zero; their rows are not marked."""
    known = dict(counts) | await _counts(sync, [id_ for id_ in emptied if id_ not in counts])
    wrong = [id_ for id_ in emptied if id_ not in known or known[id_].count]
    if wrong:
        names = ", ".join(shorten_names(wrong))
        sync.note(f"Klaviyo returned none of the {sync.entry.name} of {names}, though it counts some: none of their rows was marked as deleted.")
    return {*wrong}
