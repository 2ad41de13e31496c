"""Runs the op of the partitions of events: reads the selected days again, and reports them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from klaviyo_assets.asset_sync import AssetSync, Ending, Result
from klaviyo_assets.config import KlaviyoSyncConfig, SyncMode
from klaviyo_assets.event_batch import ROW_COUNT
from klaviyo_assets.failures import EXPLAINED, failure
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.period_report import PeriodReport
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.sync_op import SyncStep
from klaviyo_assets.warehouse.base import Warehouse


@dataclass(frozen=True)
class RangeStep(SyncStep):
    """A step that reads a time window of its only asset again, which belongs to another op."""

    def require_a_type_for_each_key(self) -> None:
        """Do nothing: the selected asset is the one with the partitions."""

    def _syncs(self, warehouse: Warehouse) -> Iterator[AssetSync]:
        ((asset, entry),) = self.assets.items()
        yield self._sync(entry, asset, warehouse, self._rules(), Ending(failed=True), reports_partitions=False)


@dataclass(frozen=True)
class PartitionStep:
    """One execution of the op: a sync of mode ``range`` for each row of adjacent days. Usually that is one.

    Args:
        context: Dagster's.
        asset: Key that the asset with the partitions has in this run.
        partitions: The partitions.
        sync: The sync of events; each range replaces its run config.
        execute: Runs a sync: ``sync.run()``, and the user's own code around it.
    """

    context: dg.AssetExecutionContext
    asset: dg.AssetKey
    partitions: EventPartitions
    sync: RangeStep
    execute: Callable[[dg.AssetExecutionContext, SyncStep], Iterator[Result]]

    def run(self) -> Iterator[dg.MaterializeResult[Any]]:
        """Read the selected days again, and yield the materialization of all of them.

        Raises:
            dagster.Failure: If a sync failed. Days that were read before are reported.
        """
        periods = self.partitions.periods
        selected = {EventPartitions.period(key) for key in self.context.partition_keys}
        version: dg.DataVersion | None = None
        done: set[date] = set()
        try:
            for window in periods.windows(selected):
                for result in self.execute(self.context, self._step(window)):
                    assert isinstance(result, dg.MaterializeResult)
                    version = result.data_version
                    self._log(result)
                done |= {period for period in selected if window.start <= periods.start(period) < window.end}
        except Exception:
            self._report(selected=done)
            raise
        counts = self._report(left_out=selected)
        for period in selected:
            self.context.add_asset_metadata({ROW_COUNT: counts[period]}, self.asset, EventPartitions.key(period))
        yield dg.MaterializeResult(asset_key=self.asset, data_version=version)

    def _step(self, window: TimeWindow) -> RangeStep:
        config = KlaviyoSyncConfig(mode=SyncMode.range, start=window.start.isoformat(), end=window.end.isoformat())
        return self.sync.with_config(config)

    def _report(self, **periods: set[date]) -> dict[date, int]:
        sync = self.sync
        (entry,) = sync.assets.values()
        try:
            return PeriodReport(self.context, self.asset, self.partitions, sync.warehouse, sync.schema, entry).send(**periods)
        except EXPLAINED as error:
            raise failure(error, sync.setting_names.worded) from None

    def _log(self, result: dg.MaterializeResult[Any]) -> None:
        """Record the materialization of the table's own asset: the sync has changed it too."""
        assert result.asset_key is not None
        tags = {"dagster/data_version": result.data_version.value} if result.data_version is not None else {}
        self.context.log_event(dg.AssetMaterialization(result.asset_key, metadata=dict(result.metadata or {}), tags=tags))
