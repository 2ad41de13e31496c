"""Plans one sync: fetches the facts that planning needs, then plans without I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.errors import SyncError
from klaviyo_assets.extract.lookup import oldest_record
from klaviyo_assets.extract.plan import plan
from klaviyo_assets.extract.slices import AnySlice, shorten_names
from klaviyo_assets.extract.strategies.base import PlanContext
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets.sync.context import SyncContext


@dataclass(frozen=True)
class PlannedSync:
    """What a sync reads.

    Attributes:
        slices: The slices, the most urgent first.
        oldest: Time of the oldest record, where planning needed it.
        parents: Ids of the parents in the parent's table that are not deleted; empty for a type without parents.
    """

    slices: tuple[AnySlice, ...]
    oldest: datetime | None
    parents: tuple[str, ...]


async def plan_sync(sync: SyncContext, covered: Sequence[CoverageRow]) -> PlannedSync:
    """Plan a sync, and write the names of its first slices into its row of ``_syncs``.

    Args:
        sync: The sync.
        covered: The coverage so far.

    Raises:
        KlaviyoError: If the oldest record cannot be fetched.
        SyncError: If the requested range cannot be read, or the parent's table does not exist.
        WarehouseError: If the parent's table cannot be read.
    """
    entry, strategy = sync.entry, sync.strategy
    context = PlanContext(entry, sync.options, covered, sync.row.started_at, sync.fingerprint, await _parents(sync))
    field_name = strategy.history_field(context)
    oldest = await oldest_record(sync.client, entry, field_name) if field_name else None
    planned = plan(strategy, context, oldest)
    if planned.stale:
        sync.note(
            f"{entry.name} was read before with other options or columns: that part is read again (set accept_changed_options to keep it unchanged)."
        )
    sync.log.info("%s: %s sync, %d slices to read", entry.name, sync.options.mode, len(planned.slices))
    sync.row.slices = msgspec.json.encode(shorten_names([one.name for one in planned.slices])).decode()
    return PlannedSync(planned.slices, oldest, tuple(context.parents))


async def _parents(sync: SyncContext) -> tuple[str, ...]:
    if sync.entry.parent is None:
        return ()
    parent = sync.entry.parent.entry
    ids = await in_thread(sync.loader.parent_ids, parent)
    if ids is None:
        raise SyncError(f"{sync.entry.name} needs the table {parent.name}, which does not exist yet.", f"Sync {parent.name} first.")
    return tuple(ids)
