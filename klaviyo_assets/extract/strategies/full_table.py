"""FullTable: every sync reads every subset, each by one cursor chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.extract.slices import SubsetSlice
from klaviyo_assets.extract.strategies.strategy import Completion, PlanContext
from klaviyo_assets.extract.sync_options import SyncMode


@dataclass(frozen=True)
class FullTableStrategy:
    """Reads everything, whatever the mode."""

    replication: FullTable

    def history_field(self, context: PlanContext) -> str | None:
        """Return None: nothing is read by time."""
        return None

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[SubsetSlice]:
        """Return a slice for each subset; for a sort with cursors that may not hold the id, a second one in the opposite order.

        Of two records with the same value, at the end of a page and at the beginning of the next one, such a cursor may skip the second. In the
        opposite order, it would be the first.
        """
        orders = (False, True) if self.replication.order else (False,)
        return [SubsetSlice(subset, descending) for subset in context.entry.subsets for descending in orders]

    def completion(self, mode: SyncMode) -> Completion:
        """Return ``COMPARE_ALL``."""
        return Completion.COMPARE_ALL
