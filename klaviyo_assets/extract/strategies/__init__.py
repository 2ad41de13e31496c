"""The behavior of each kind of replication: what a sync reads, and how it treats rows that it did not return.

One class per module: ``full_table``, ``incremental``, ``newest_first``, ``per_parent``. ``base`` has the protocol, ``timed`` the base class of the
strategies that read by time, and ``slicing`` cuts time windows into slices.
"""

from collections.abc import Callable, Mapping
from typing import Any

from klaviyo_assets.catalog.replication import FullTable, Incremental, NewestFirst, PerParent
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.strategies.base import Strategy
from klaviyo_assets.extract.strategies.full_table import FullTableStrategy
from klaviyo_assets.extract.strategies.incremental import IncrementalStrategy
from klaviyo_assets.extract.strategies.newest_first import NewestFirstStrategy
from klaviyo_assets.extract.strategies.per_parent import PerParentStrategy

__all__ = ["FullTableStrategy", "IncrementalStrategy", "NewestFirstStrategy", "PerParentStrategy", "Strategy", "strategy_for"]

_STRATEGIES: Mapping[type, Callable[[Any], Strategy]] = {
    FullTable: FullTableStrategy,
    Incremental: IncrementalStrategy,
    NewestFirst: NewestFirstStrategy,
    PerParent: PerParentStrategy,
}


def strategy_for(entry: ResourceType) -> Strategy:
    """Return the strategy of a resource type: its replication itself if that implements :class:`Strategy`, else the one of its kind.

    Raises:
        TypeError: If the replication is not one of this library's and does not implement :class:`Strategy`.
    """
    replication = entry.replication
    if isinstance(replication, Strategy):
        return replication
    if (strategy := _STRATEGIES.get(type(replication))) is None:
        raise TypeError(f"{type(replication).__name__}, the replication of {entry.name}, does not implement Strategy.")
    return strategy(replication)
