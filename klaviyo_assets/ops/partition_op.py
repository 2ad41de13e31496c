"""Runs the op of the partitions of events: reads the selected days again, and reports them."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from klaviyo_assets.errors import NotSynced
from klaviyo_assets.ops.asset_sync import AssetDone, AssetSync, Result
from klaviyo_assets.ops.execute_hook import results_of
from klaviyo_assets.ops.sync_op import SyncStep
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.reporting.dagster_events import ROW_COUNT, log_check, log_result
from klaviyo_assets.reporting.failures import EXPLAINED, failure
from klaviyo_assets.reporting.period_report import PeriodReport
from klaviyo_assets.reporting.provenance import InputVersions
from klaviyo_assets.reporting.run_log import log_with_configured_names
from klaviyo_assets.run_config import KlaviyoSyncConfig, SyncMode
from klaviyo_assets.state.coverage import TimeWindow


@dataclass(frozen=True)
class RangeStep(SyncStep):
    """A step that reads a time window of its only asset again, which belongs to another op.

    Args:
        checks: Names of the asset's checks. Its materialization needs their results, as each one by its own op does.
    """

    checks: frozenset[str] = frozenset()

    def require_a_type_for_each_key(self) -> None:
        """Do nothing: the selected asset is the one with the partitions."""

    def _syncs(self) -> Iterator[AssetSync]:
        ((asset, entry),) = self.assets.items()
        yield AssetSync(self._step_context(self._rules(), of_partitions=True), entry, asset, AssetDone(not_synced=True), checks=self.checks)


@dataclass(frozen=True)
class PartitionStep:
    """One execution of the op: a sync of mode ``range`` for each run of adjacent days. Usually that is one.

    Args:
        context: Dagster's execution context.
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

    def run(self) -> Iterator[Any]:
        """Read the selected days again, and yield the materialization of all of them, and what else ``execute`` yields.

        Raises:
            dagster.Failure: If a sync failed, or was skipped. Days that were read before are reported.
        """
        selected = {EventPartitions.period(key) for key in self.context.partition_keys}
        done: set[date] = set()
        try:
            for window in self.partitions.periods.windows(selected):
                yield from self._read(window)
                done |= {period for period in selected if window.start <= self.partitions.periods.start(period) < window.end}
        except Exception:
            self._report_before_failure(done)
            raise
        yield from self._materializations(selected)

    def _read(self, window: TimeWindow) -> Iterator[Any]:
        """Sync a window; yield what Dagster itself has to handle."""
        config = KlaviyoSyncConfig(mode=SyncMode.range, start=window.start.isoformat(), end=window.end.isoformat())
        (events,) = self.sync.assets
        synced = 0
        inputs = InputVersions(self.context, [events])  # only those that a translator has added
        for result in results_of(self.execute, self.context, self.sync.with_config(config)):
            if isinstance(result, dg.MaterializeResult) and result.asset_key in (None, events):
                log_result(self.context, events, result, inputs)  # the sync has changed the table's own asset too
                synced += 1
            elif isinstance(result, dg.AssetCheckResult) and result.asset_key == events and result.check_name in self.sync.checks:
                log_check(self.context, result)
            else:
                yield result
        if synced != 1:  # the user's `execute` has not run the sync, or has handled its failure
            raise failure(
                NotSynced(
                    f"{window.start:%Y-%m-%dT%H:%MZ} to {window.end:%Y-%m-%dT%H:%MZ} of {events.to_user_string()} had to be read for its partitions, "
                    f"but execute yielded {synced or 'no'} materializations of it."
                ),
                self._with_configured_names,
            )

    def _materializations(self, selected: set[date]) -> Iterator[dg.MaterializeResult[Any]]:
        """Yield the materialization of all partitions, which has one data version in Dagster, and give those that have another their own."""
        report = self._report
        try:
            found = report.send(described=selected)
        except EXPLAINED as error:
            raise failure(error, self._with_configured_names) from None
        for period in selected:
            self.context.add_asset_metadata({ROW_COUNT: found[period].rows}, self.asset, EventPartitions.key(period))
        versions = [found[period].version for period in selected]
        ((usual, _),) = Counter(sorted(versions)).most_common(1)
        yield dg.MaterializeResult(asset_key=self.asset, data_version=dg.DataVersion(usual))
        report.log({period: found[period] for period in selected if found[period].version != usual})

    @property
    def _report(self) -> PeriodReport:
        sync = self.sync
        (entry,) = sync.assets.values()
        return PeriodReport(self.context, self.asset, self.partitions, sync.warehouse, sync.schema, entry, sync.klaviyo.starts_at)

    def _report_before_failure(self, done: set[date]) -> None:
        """Report the days that were read before a failure, which is what the op fails with, also if they cannot be reported."""
        try:
            self._report.send(selected=done)
        except Exception as error:
            log = log_with_configured_names(self.context.log, self._with_configured_names)
            log.warning(
                "%d partitions that were read could not be reported; the next sync reports those that have changed. %s",
                len(done),
                error,
                exc_info=not isinstance(error, EXPLAINED),
            )

    @property
    def _with_configured_names(self) -> Callable[[str], str]:
        return self.sync.setting_names.with_configured_names
