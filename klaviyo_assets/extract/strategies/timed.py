"""Base class of the strategies that read by time."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from klaviyo_assets.extract.slices import Slice
from klaviyo_assets.extract.strategies import slicing
from klaviyo_assets.extract.strategies.slicing import FieldWindow
from klaviyo_assets.extract.strategies.strategy import Completion, PlanContext
from klaviyo_assets.extract.sync_options import SyncMode


class TimedStrategy(ABC):
    """Reads windows of time fields in slices; a range is one such window. Pure."""

    def history_field(self, context: PlanContext) -> str | None:
        """Return the field of a history that has not been read yet; None if there is none."""
        return slicing.history_field(self._windows(context))

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[Slice]:
        """Return the chains of changes, then the windows that are not covered, newest first.

        Raises:
            InvalidRange: If the requested range cannot be read.
        """
        windows = self._windows(context)
        if context.options.mode is SyncMode.range:
            return slicing.cut(context.entry, windows, oldest)
        return [*self._changes(context), *slicing.cut(context.entry, windows, oldest, open_end=context.top)]

    def completion(self, mode: SyncMode) -> Completion:
        """Return ``SWAP`` for a full read, ``COMPARE_WINDOW`` for a range, else ``COVERAGE``."""
        return {SyncMode.full: Completion.SWAP, SyncMode.range: Completion.COMPARE_WINDOW}.get(mode, Completion.COVERAGE)

    def _windows(self, context: PlanContext) -> list[FieldWindow]:
        return slicing.range_windows(context) if context.options.mode is SyncMode.range else self._windows_to_read(context)

    @abstractmethod
    def _windows_to_read(self, context: PlanContext) -> list[FieldWindow]:
        """Return the windows that are left to read."""

    @abstractmethod
    def _changes(self, context: PlanContext) -> list[Slice]:
        """Return the chains that find changes outside of these windows; empty before the history has been read."""
