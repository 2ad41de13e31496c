"""FullTable: every sync reads every subset, each by one cursor chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.extract.options import SyncMode, check_range
from klaviyo_assets.extract.slices import SubsetSlice
from klaviyo_assets.extract.strategies.base import Completion, PlanContext


@dataclass(frozen=True)
class FullTableStrategy:
    """Reads everything, whatever the mode."""

    replication: FullTable

    def history_field(self, context: PlanContext) -> str | None:
        """Return None: nothing is read by time."""
        return None

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[SubsetSlice]:
        """Return a slice for each subset.

        Raises:
            InvalidRange: If a range is requested, which this replication does not support.
        """
        if context.options.mode is SyncMode.range:
            check_range(context.entry, context.options)
        return [SubsetSlice(subset) for subset in context.entry.subsets]

    def completion(self, mode: SyncMode) -> Completion:
        """Return ``COMPARE_ALL``."""
        return Completion.COMPARE_ALL
