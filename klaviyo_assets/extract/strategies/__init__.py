"""The behavior of each kind of replication: what a sync reads, and how it treats rows that it did not return.

One class per module: ``full_table``, ``included``, ``incremental``, ``newest_first``, ``per_parent``, ``parent_windows``,
``grouped_parents``, ``report``. ``strategy`` has the protocol, ``timed`` the base class of the strategies that read by time, ``slicing`` cuts time
windows into slices, and ``verification`` decides which parents are compared. The names in ``__all__`` are public: with them, code from outside this
package implements other strategies.
"""

from collections.abc import Callable, Mapping
from typing import Any

from klaviyo_assets.catalog.catalog_errors import CatalogError
from klaviyo_assets.catalog.replication import FullTable, Included, Incremental, NewestFirst, PerParent, Report
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.report_facts import ReportFacts
from klaviyo_assets.extract.slices import ParentSlice, ReportSlice, Slice, SubsetSlice
from klaviyo_assets.extract.strategies.full_table import FullTableStrategy
from klaviyo_assets.extract.strategies.included import IncludedStrategy
from klaviyo_assets.extract.strategies.incremental import IncrementalStrategy
from klaviyo_assets.extract.strategies.newest_first import NewestFirstStrategy
from klaviyo_assets.extract.strategies.per_parent import PerParentStrategy, per_parent_strategy
from klaviyo_assets.extract.strategies.report import ReportStrategy
from klaviyo_assets.extract.strategies.strategy import Completion, PlanContext, Strategy
from klaviyo_assets.extract.sync_options import SyncMode

__all__ = [
    "Completion",
    "FullTableStrategy",
    "IncludedStrategy",
    "IncrementalStrategy",
    "NewestFirstStrategy",
    "ParentSlice",
    "PerParentStrategy",
    "PlanContext",
    "ReportFacts",
    "ReportSlice",
    "ReportStrategy",
    "Slice",
    "Strategy",
    "SubsetSlice",
    "SyncMode",
    "strategy_for",
]

_STRATEGIES: Mapping[type, Callable[[Any], Strategy]] = {
    FullTable: FullTableStrategy,
    Included: IncludedStrategy,
    Incremental: IncrementalStrategy,
    NewestFirst: NewestFirstStrategy,
    PerParent: per_parent_strategy,
    Report: ReportStrategy,
}


_METHODS = ("history_field", "plan", "completion")
"""Methods of :class:`Strategy`."""


def strategy_for(entry: ResourceType) -> Strategy:
    """Return the strategy of a resource type: its replication itself if that implements :class:`Strategy`, else the one of its kind.

    A subclass of one of this library's replications has the strategy of that replication.

    Raises:
        CatalogError: If the replication has no strategy, or implements only a part of :class:`Strategy`.
    """
    replication = entry.replication
    if isinstance(replication, Strategy):
        return replication
    kind = type(replication).__name__
    if some := [name for name in _METHODS if hasattr(replication, name)]:
        missing = ", ".join(name for name in _METHODS if name not in some)
        raise CatalogError(f"{kind}, the replication of {entry.name}, has {', '.join(some)} but not {missing}. Implement all methods of Strategy.")
    strategy = next((_STRATEGIES[base] for base in type(replication).__mro__ if base in _STRATEGIES), None)
    if strategy is None:
        raise CatalogError(
            f"{kind}, the replication of {entry.name}, does not implement Strategy. Implement its methods ({', '.join(_METHODS)}), or use one of "
            f"{', '.join(one.__name__ for one in _STRATEGIES)}."
        )
    return strategy(replication)
