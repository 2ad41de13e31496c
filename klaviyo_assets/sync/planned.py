"""The plan of one sync, with the facts that it was made from. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from klaviyo_assets.extract.slices import AnySlice
from klaviyo_assets.extract.strategies.strategy import PlanContext
from klaviyo_assets.load.children.child_rows import ParentCount


@dataclass(frozen=True)
class PlannedSync:
    """What a sync reads.

    Attributes:
        slices: The slices, the most urgent first.
        oldest: Time of the oldest record, where planning needed it.
        parents: Ids of the parents in the parent's table that are not deleted; empty for a type without parents.
        context: The facts that the plan was made from.
        counts: Klaviyo's numbers of the children of some parents, requested before their children are read.
    """

    slices: tuple[AnySlice, ...]
    oldest: datetime | None
    parents: tuple[str, ...]
    context: PlanContext
    counts: Mapping[str, ParentCount] = field(default_factory=dict)
