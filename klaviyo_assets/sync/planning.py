"""Plans one sync: fetches the facts that planning needs, then plans without I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec

from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.errors import SyncError
from klaviyo_assets.extract.chain_position import UnfinishedChain
from klaviyo_assets.extract.lookup import oldest_record
from klaviyo_assets.extract.plan import parts_by_metric, plan
from klaviyo_assets.extract.slices import shorten_names
from klaviyo_assets.extract.strategies.strategy import PlanContext
from klaviyo_assets.load.access.row_access import RowAccess
from klaviyo_assets.load.children.parent_table import ParentTable
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets.sync.children import parent_facts, requested_counts
from klaviyo_assets.sync.context import SyncContext
from klaviyo_assets.sync.parent_selection import selected_parents
from klaviyo_assets.sync.planned import PlannedSync
from klaviyo_assets.sync.request_report_facts import report_facts


async def plan_sync(sync: SyncContext, covered: Sequence[CoverageRow], unfinished: Sequence[UnfinishedChain] = ()) -> PlannedSync:
    """Plan a sync, and write the names of its first slices into its row of ``_syncs``.

    Args:
        sync: The sync.
        covered: The coverage so far.
        unfinished: Chains of interrupted syncs that can be continued.

    Raises:
        KlaviyoError: If the oldest record cannot be fetched.
        SyncError: If the requested range cannot be read, the parent's table does not exist or is not complete, or a report lacks a fact of the
            account.
        WarehouseError: If the parent's table cannot be read.
    """
    entry, strategy = sync.entry, sync.strategy
    parents = await _parents(sync)
    selected = await selected_parents(sync, parents)
    context = PlanContext(entry, sync.options, covered, sync.row.started_at, sync.fingerprint, selected, sync.selection)
    context = replace(context, report=await report_facts(sync), facts=await parent_facts(sync, selected), unfinished=unfinished)
    counts = await requested_counts(sync, context)
    field_name = next((name for part in parts_by_metric(context) if (name := strategy.history_field(part))), None)
    oldest = await oldest_record(sync.client, entry, field_name) if field_name else None
    planned = plan(strategy, context, oldest)
    if planned.stale:
        sync.note(
            f"{entry.name} was read before with other options or columns: that part is read again (set accept_changed_options to keep it unchanged)."
        )
    sync.log.info("%s: %s sync, %s slices to read", entry.name, sync.options.mode, f"{len(planned.slices):,}")
    sync.row.slices = msgspec.json.encode(shorten_names([one.name for one in planned.slices])).decode()
    return PlannedSync(planned.slices, oldest, parents, context, counts)


async def _parents(sync: SyncContext) -> tuple[str, ...]:
    """Return the ids of the parents; their table must be complete, and so must be those of their own parents."""
    tables = [await in_thread(_complete_table, sync, one) for one in _ancestors(sync.entry)]
    return tables[0].ids if tables else ()


def _ancestors(entry: ResourceType) -> Iterator[ResourceType]:
    while entry.parent is not None:
        entry = entry.parent.entry
        yield entry


def _complete_table(sync: SyncContext, ancestor: ResourceType) -> ParentTable:
    """Return an ancestor's table; note if its latest sync failed.

    Raises:
        SyncError: If the table does not exist, or may lack records that an earlier sync has not read or another program has deleted.
    """
    name, parent, advice = sync.entry.name, ancestor.name, f"Sync {ancestor.name} first."
    table = RowAccess(sync.loader).parent_table(ancestor, sync.row)
    if table is None:
        raise SyncError(f"{name} needs the table {parent}, which does not exist yet.", advice)
    if table.last_complete is None:
        raise SyncError(
            f"{name} needs the complete table {parent}, and no sync that has read {parent} completely is recorded for this account.", advice
        )
    if table.lost is not None:
        raise SyncError(f"{name} needs the complete table {parent}, which {table.lost}.", advice)
    if not table.last_complete.is_latest or (sync.parent_failed and sync.entry.parent is not None and ancestor is sync.entry.parent.entry):
        sync.note(
            f"The latest sync of {parent} has not succeeded: {name} of {parent} that are newer than its last complete sync "
            f"({table.last_complete.started_at:%Y-%m-%d %H:%M} UTC) are missing. Sync {parent}, then {name}."
        )
    return table
