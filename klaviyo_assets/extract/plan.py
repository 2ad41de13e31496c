"""Plans which slices a sync reads, from the resource type, the coverage so far and the options. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from klaviyo_assets.catalog.catalog_errors import CatalogError
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.metric_selection import is_divided
from klaviyo_assets.extract.slices import AnySlice, Slice, WindowKey
from klaviyo_assets.extract.strategies.strategy import PlanContext, Strategy
from klaviyo_assets.extract.sync_options import SyncMode, check_range
from klaviyo_assets.state.coverage import CoverageRow


@dataclass(frozen=True)
class Plan:
    """What a sync reads.

    Attributes:
        slices: Cursor chains, the most urgent first.
        stale: True if some slices are read again because they were read with other options or columns.
    """

    slices: tuple[AnySlice, ...]
    stale: bool = False


def plan(strategy: Strategy, context: PlanContext, oldest: datetime | None) -> Plan:
    """Plan one sync.

    Args:
        strategy: The strategy of the resource type.
        context: The facts that planning needs.
        oldest: Time of the oldest record, used to cut a history whose beginning is unknown into slices; None if there is none or it is not known.

    Raises:
        InvalidRange: If the requested range cannot be read.
        CatalogError: If a strategy from outside of the package plans something that is not a slice.
    """
    if context.options.mode is SyncMode.range:
        check_range(context.entry, context.options)
    plans = [_plan(strategy, part, oldest) for part in parts_by_metric(context)]
    if len(plans) == 1:
        return plans[0]
    slices = [slice_ for one in plans for slice_ in one.slices]
    windows = [slice_ for slice_ in slices if isinstance(slice_, Slice)]
    if len(windows) == len(slices):  # the newest of all parts first
        slices = [*sorted(windows, key=lambda window: window.covers_to, reverse=True)]
    return Plan(tuple(slices), stale=any(one.stale for one in plans))


def parts_by_metric(context: PlanContext) -> list[PlanContext]:
    """Return the parts of a resource type that the selection of metrics divides it into, each with the coverage that it has."""
    entry, selection, covered = context.entry, context.selection, context.covered
    if entry.metric_filter is None or (selection.selects_all and not is_divided(covered)):
        return [context]
    if context.options.mode in (SyncMode.full, SyncMode.range):
        covered = ()  # everything that is selected is read
    parts = selection.parts(entry.metric_filter, covered)
    return [replace(context, entry=replace(entry, subsets=(subset,)), covered=rows) for subset, rows in parts]


def _plan(strategy: Strategy, context: PlanContext, oldest: datetime | None) -> Plan:
    slices = tuple(strategy.plan(context, oldest))
    for slice_ in slices:
        _check(slice_, context.entry)
    return Plan(slices, stale=context.options.mode not in (SyncMode.full, SyncMode.range) and _is_stale(slices, context))


def _check(slice_: object, entry: ResourceType) -> None:
    if not isinstance(slice_, AnySlice):
        raise CatalogError(
            f"The strategy of {entry.name} plans a {type(slice_).__name__}, which is not a kind of slice that can be read.",
            "Return objects of SubsetSlice, Slice, ParentSlice or ReportSlice of klaviyo_assets.extract.strategies.",
        )


def _is_stale(slices: Sequence[AnySlice], context: PlanContext) -> bool:
    """Return whether a slice reads again what coverage that is no longer trusted covers."""
    trusted, ignored = {*context.trusted}, defaultdict[WindowKey, list[CoverageRow]](list)  # a child type has a row per parent
    for row in context.covered:
        if row not in trusted:
            ignored[row.subset, row.field, row.parent].append(row)
    return any(slice_.overlaps(row) for slice_ in slices if slice_.window_key is not None for row in ignored.get(slice_.window_key, ()))
