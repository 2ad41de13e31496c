"""The behaviour of each kind of replication: what a sync reads, and what becomes of rows that it does not return.

One class a module: ``full_table``, ``incremental``, ``newest_first``, ``per_parent``. ``base`` has the protocol, ``timed``
what those that read by time share, and ``slicing`` how windows become slices.
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
        TypeError: If the kind of replication is not one of ours and has no strategy.
    """
    replication = entry.replication
    if isinstance(replication, Strategy):
        return replication
    if (strategy := _STRATEGIES.get(type(replication))) is None:
        raise TypeError(f"{type(replication).__name__}, the replication of {entry.name}, does not implement Strategy.")
    return strategy(replication)
