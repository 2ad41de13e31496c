"""Runs the op of the marts' partitions: computes the selected days again, and reports them."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from klaviyo_assets.marts.results import ModelResult
from klaviyo_assets.ops.mart_op import MartStep
from klaviyo_assets.reporting.dagster_events import ROW_COUNT, log_check, log_result
from klaviyo_assets.reporting.failures import EXPLAINED, failure
from klaviyo_assets.reporting.provenance import InputVersions
from klaviyo_assets.reporting.run_log import each_in_the_log_of


@dataclass(frozen=True)
class MartPartitionStep:
    """One execution of the op.

    The models are updated as the op of the marts does: all days that have changed are computed, and those that are selected in any case. Models that
    they need are built before them, and the days of these are reported as well.

    Args:
        context: Dagster's execution context.
        models: The models by the key that the asset with their partitions has in this run.
        step: The step of the marts, for its models and settings.
        checks: The checks of the models' own assets.
    """

    context: dg.AssetExecutionContext
    models: Mapping[dg.AssetKey, str]
    step: MartStep
    checks: Collection[dg.AssetCheckKey] = ()

    def run(self) -> Iterator[dg.MaterializeResult[Any]]:
        """Yield the materialization of each selected model's partitions.

        Raises:
            dagster.Failure: If a model failed, or the database cannot be used.
        """
        with_configured_names = self.step.setting_names.with_configured_names
        try:
            yield from self._results(with_configured_names)
        except EXPLAINED as error:
            raise failure(error, with_configured_names) from None

    def _results(self, with_configured_names: Callable[[str], str]) -> Iterator[dg.MaterializeResult[Any]]:
        selected = {self.models[key]: key for key in self.context.selected_asset_keys}
        days = [*self.context.partition_keys]
        errors: dict[str, Exception] = {}
        inputs = InputVersions(self.context, [*self.models, *self.step.assets])
        for result in each_in_the_log_of(self.context.log, self.step.runner.run([*selected], days=days), with_configured_names):
            if result.error is not None:
                errors[result.model] = result.error
                continue
            self._log(result, inputs)
            asset = selected.get(result.model)
            # Those of a model that a selected one needs, too: a change of theirs is not found again.
            self.step.report_days(result, inputs, left_out=() if asset is None else days)
            if asset is not None:
                yield from self._selected(asset, result, days, inputs)
        if errors:
            self.step.fail(errors, len(selected))

    def _selected(self, asset: dg.AssetKey, result: ModelResult, days: Sequence[str], inputs: InputVersions) -> Iterator[dg.MaterializeResult[Any]]:
        """Yield the materialization of the selected days, which has one data version in Dagster, and give those that have another their own."""
        found = self.step.days_of(result)
        versions = {day: found.day(day).version for day in days}
        for day in days:
            self.context.add_asset_metadata({ROW_COUNT: found.day(day).rows}, asset, day)
        ((usual, _),) = Counter(sorted(versions.values())).most_common(1)
        yield dg.MaterializeResult(asset_key=asset, data_version=dg.DataVersion(usual))
        found.log([day for day, version in versions.items() if version != usual], inputs)

    def _log(self, result: ModelResult, inputs: InputVersions) -> None:
        """Record the materialization of the model's own asset, and the results of its checks."""
        asset = self.step.key_of(result.model)
        log_result(self.context, asset, self.step.materialization(result), inputs)
        for check in self.step.check_results(result, {key.name for key in self.checks if key.asset_key == asset}):
            log_check(self.context, check)
