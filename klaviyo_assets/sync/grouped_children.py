"""The steps of a sync that reads the children of several parents by one request.

A sync that did not read the final states cannot know whether a row that it did not return has reached one or was deleted. Few such rows are looked up
by id; if there are many, all children of their parent are read. So a row is marked only if its record is gone.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.extract.fetch_state import FetchState
from klaviyo_assets.extract.lookup import look_up
from klaviyo_assets.extract.slices import AnySlice
from klaviyo_assets.extract.strategies.grouped_parents import due_parents, read_before, slices_of
from klaviyo_assets.extract.strategies.strategy import LAG, PlanContext
from klaviyo_assets.extract.sync_options import SyncMode
from klaviyo_assets.load.access.child_access import ChildAccess
from klaviyo_assets.load.children.child_rows import verified_coverage
from klaviyo_assets.load.children.group_rows import GroupRead
from klaviyo_assets.load.deletions.child_deletions import ChildDeletions
from klaviyo_assets.load.deletions.deletions import Key
from klaviyo_assets.state.child_parts import ChildPart
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets.sync.callbacks import FetchSlices, LoadPages
from klaviyo_assets.sync.context import SyncContext
from klaviyo_assets.sync.planned import PlannedSync

_ROWS_PER_REQUEST = 100
"""Children of a page. Reading a parent completely takes a request for so many of its children; a look-up takes one for each."""

_LOOKED_UP_IF_EMPTY = 100
"""Known children that are looked up if a full sync returns none."""


async def read_groups(
    sync: SyncContext, planned: PlannedSync, state: FetchState, files: tuple[Path, ...], fetch: FetchSlices, store: LoadPages
) -> ChildDeletions | None:
    """Read what the planned slices have left open; return what the end of the sync marks, or None if nothing.

    Args:
        sync: The sync.
        planned: The plan; its slices have been read and loaded.
        state: Progress of the extraction.
        files: Files with the keys of their records.
        fetch: Fetches and loads more slices.
        store: Loads records that were looked up.

    Raises:
        KlaviyoError: If Klaviyo refuses or fails.
        WarehouseError: If the database fails.
    """
    entry, context, access = sync.entry, planned.context, ChildAccess(sync.loader)
    parent = entry.required_parent
    if not planned.parents and not (sync.loader.progress.row_count and sync.options.mode is SyncMode.full):
        return None
    first = GroupRead(_parts(state.finished), files)
    missing = await in_thread(access.missing_in_parts, first)
    few = {id_ for id_, (count, rows) in missing.items() if count <= -(-rows // _ROWS_PER_REQUEST)}
    complete = {id_ for id_, part in first.parts if part.state is None}
    again = [id_ for id_ in missing if id_ not in few and id_ not in complete]
    many = GroupRead(tuple(one for one in first.parts if one[0] in missing and one[0] in complete and one[0] not in few), files)
    reads = [many, await _read_again(sync, context, state, again, fetch, files)]
    if any(read.parts for read in reads) and not reads[-1].files and not await _is_really_empty(sync, many, store):
        reads = []
    gone = await _gone(sync, await in_thread(access.missing_ids, first, few) if few else [], store)
    live = {*planned.parents} - {*state.gone_parents}
    verified = _verified_coverage(sync, context, again, due_parents(context), _continued(state.finished))
    return ChildDeletions(
        parent.column, live, verified=[row for row in verified if row.parent in live], parts=reads, gone=gone, whole=entry.subsets[0].name
    )


def _parts(slices: Sequence[AnySlice]) -> tuple[tuple[str, ChildPart], ...]:
    """Return the parents and parts that were read from the beginning: the files have all keys of these."""
    return tuple(part for one in slices for part in one.whole_parts)


def _continued(slices: Sequence[AnySlice]) -> Iterator[tuple[str, datetime]]:
    """Yield the parents of chains that an earlier sync began, and when."""
    for one in slices:
        yield from one.continued


async def _read_again(
    sync: SyncContext, context: PlanContext, state: FetchState, parents: Sequence[str], fetch: FetchSlices, files: tuple[Path, ...]
) -> GroupRead:
    """Read all children of some parents."""
    if not parents:
        return GroupRead((), files)
    sync.log.info("%s: many rows of %s parents were not returned, so all of their children are read", sync.entry.name, f"{len(parents):,}")
    before = len(state.finished)
    more = await fetch([*slices_of(context, parents, None)])
    return GroupRead(_parts(state.finished[before:]), files + more)


async def _is_really_empty(sync: SyncContext, read: GroupRead, store: LoadPages) -> bool:
    """Return whether to accept a read that returned nothing at all: in a full sync, if none of some known records still exists; otherwise note it."""
    if sync.refuses_empty(sync.loader.progress.row_count):
        return False
    some = await in_thread(ChildAccess(sync.loader).missing_ids, read, {id_ for id_, _ in read.parts}, _LOOKED_UP_IF_EMPTY)
    there = len(some) - len(await _gone(sync, some, store))
    if there:
        name = sync.entry.name
        sync.note(
            f"Klaviyo returned no {name} at all, but has {there:,} of {len(some):,} that were requested by id: the others were not marked as deleted."
        )
    return not there


async def _gone(sync: SyncContext, missing: Sequence[tuple[str, str]], store: LoadPages) -> list[Key]:
    """Look up the records of rows that were not returned, load those that exist, and return the keys of the others."""
    pages = await look_up(sync.client, sync.entry, [id_ for _, id_ in missing]) if missing else []
    if pages:
        await store(pages)
    still_there = {record.id for page in pages for record in page.records}
    return [key for key in missing if key[1] not in still_there]


def _verified_coverage(
    sync: SyncContext, context: PlanContext, again: Collection[str], due: Collection[str], continued: Iterable[tuple[str, datetime]]
) -> list[CoverageRow]:
    """Return the coverage of the parents whose children were all read, as of the start of the earliest sync that has read some of them."""
    read_at: dict[str, datetime] = dict.fromkeys((*due, *again), sync.row.started_at)
    for id_, at in (*((row.parent, row.read_at) for row, _ in read_before(context)), *continued):
        if id_ in due and id_ not in again:
            read_at[id_] = min(at, read_at[id_])
    return [one for id_, at in read_at.items() for one in verified_coverage(sync.entry, [id_], at - LAG, at, sync.fingerprint)]
