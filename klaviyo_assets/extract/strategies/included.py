"""Included: every sync takes all records from the responses of the host."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from klaviyo_assets.catalog.replication import Included
from klaviyo_assets.extract.slices import SubsetSlice
from klaviyo_assets.extract.strategies.strategy import Completion, PlanContext
from klaviyo_assets.extract.sync_options import SyncMode


@dataclass(frozen=True)
class IncludedStrategy:
    """Reads everything that the host's responses include, whatever the mode."""

    replication: Included

    def history_field(self, context: PlanContext) -> str | None:
        """Return None: nothing is read by time."""
        return None

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[SubsetSlice]:
        """Return a slice for each subset of the host."""
        return [SubsetSlice(subset) for subset in context.entry.required_host.entry.subsets]

    def completion(self, mode: SyncMode) -> Completion:
        """Return ``COMPARE_INCLUDED``."""
        return Completion.COMPARE_INCLUDED
