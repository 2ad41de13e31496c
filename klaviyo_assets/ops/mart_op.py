"""Runs the op of the marts: builds the selected models, and reports each with its checks."""

from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dagster as dg

from klaviyo_assets._internal.redaction import redact
from klaviyo_assets._internal.sanitize import one_line
from klaviyo_assets.catalog import Catalog
from klaviyo_assets.errors import SyncAlreadyRunning
from klaviyo_assets.marts.library import Models
from klaviyo_assets.marts.mart_errors import ModelSkipped
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets.marts.results import CheckResult, ModelResult
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.reporting.failures import EXPLAINED, failure, failure_of_types
from klaviyo_assets.reporting.mart_days import MartDays
from klaviyo_assets.reporting.provenance import InputVersions
from klaviyo_assets.reporting.run_log import each_in_the_log_of
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets.run_config import KlaviyoMartConfig, is_unattended
from klaviyo_assets.setting_names import SettingNames
from klaviyo_assets.warehouse.factory import warehouse_with

MartStepResult = dg.AssetCheckResult | dg.MaterializeResult  # type: ignore[type-arg]
"""What the op reports to Dagster."""


@dataclass(frozen=True)
class MartStep:
    """One execution of the op: its selected models and checks.

    A model that fails stops those that need it and no other. The results of all others are reported before the step fails.

    Args:
        context: Dagster's execution context.
        config: Run config.
        models: All models.
        assets: The models by the key that their asset has in this run.
        schema: DuckDB schema of the raw tables.
        klaviyo: The Klaviyo resource, for its settings of the database.
        duckdb: The DuckDB resource.
        setting_names: What messages call the settings.
        catalog: All resource types.
        partitions: By model that is maintained by day, the key of the asset with its partitions, and these.
    """

    context: dg.AssetExecutionContext
    config: KlaviyoMartConfig
    models: Models
    assets: Mapping[dg.AssetKey, str]
    schema: str
    klaviyo: KlaviyoResource
    duckdb: Any
    setting_names: SettingNames
    catalog: Catalog
    partitions: Mapping[str, tuple[dg.AssetKey, EventPartitions]] = field(default_factory=dict)
    _warned: list[str] = field(default_factory=list, init=False)

    def run(self) -> Iterator[MartStepResult]:
        """Yield materializations and check results as they come.

        Raises:
            dagster.Failure: At the end, if a model failed; at once, if the database cannot be used.
        """
        try:
            yield from each_in_the_log_of(self.context.log, self._results(), self.setting_names.with_configured_names)
        except EXPLAINED as error:
            if not isinstance(error, SyncAlreadyRunning) or not is_unattended(self.context.run.tags):
                raise failure(error, self.setting_names.with_configured_names) from None
            self.context.log.warning("Skipped. %s", error)

    def _results(self) -> Generator[MartStepResult]:
        materialized = [name for key, name in self.assets.items() if key in self.context.selected_asset_keys]
        checked = [name for key, name in self.assets.items() if key not in self.context.selected_asset_keys and self._selected_checks(key)]
        errors: dict[str, Exception] = {}
        inputs = InputVersions(self.context, [asset for asset, _ in self.partitions.values()])
        if materialized:
            for result in self.runner.run_only(materialized, rebuild=self.config.rebuild):
                if result.error is None:
                    self.report_days(result, inputs)
                    yield self.materialization(result)
                    yield from self._checks(result)
                else:
                    errors[result.model] = result.error
        if checked:
            for result in self.runner.check(checked):
                yield from self._checks(result)
        if errors:
            self.fail(errors, len(materialized))

    def report_days(self, result: ModelResult, inputs: InputVersions, left_out: Collection[str] = ()) -> None:
        """Report days of a model that is maintained by day as partitions, except some that the op itself reports."""
        if result.model not in self.partitions:
            return
        days = self.days_of(result)
        reported = days.report(inputs, left_out)
        if days.differ_from_partitions([*reported, *left_out]) and not self._warned:
            self._warned.append(result.model)
            zone, of_partitions = result.timezone, days.partitions.timezone
            self.context.log.warning(
                "Marts count days in the account's time zone, %s (UTC until a sync of accounts has stored it), and partitions are days of %s. So a "
                "day of %s is not the same period as that of events, and assets downstream may be requested for a day too many. To make them "
                'agree, set partitions=EventPartitions("daily", timezone="%s"), or, with the code location of this package, '
                "KLAVIYO_PARTITIONS_TIMEZONE=%s.",
                zone,
                of_partitions,
                result.model,
                zone,
                zone,
            )

    def days_of(self, result: ModelResult) -> MartDays:
        """Return the days of a model that has partitions."""
        return MartDays(self.context, *self.partitions[result.model], result)

    def fail(self, errors: Mapping[str, Exception], models: int) -> None:
        """Raise a failure that names the models that failed, and those that were not built for that reason."""
        skipped = [name for name, error in errors.items() if isinstance(error, ModelSkipped)]
        failed = {name: error for name, error in errors.items() if name not in skipped} or dict(errors)
        found = failure_of_types(failed, models, self.setting_names.with_configured_names, what="models")
        if skipped and skipped != [*failed]:
            found.description = f"{found.description}\nNot built, because they need these: {', '.join(skipped)}."
        raise found

    @cached_property
    def runner(self) -> MartRunner:
        """Builds the models.

        With partitions, it waits for another run that builds models: Dagster starts one for each range of days, also while this op runs.
        """
        warehouse = warehouse_with(self.klaviyo, self.duckdb)
        return MartRunner(warehouse, self.schema, self.models, self.catalog, self.context.run.run_id, waits=bool(self.partitions))

    @cached_property
    def _keys(self) -> dict[str, dg.AssetKey]:
        return {name: key for key, name in self.assets.items()}

    def key_of(self, model: str) -> dg.AssetKey:
        """Return the key of a model's own asset."""
        return self._keys[model]

    def materialization(self, result: ModelResult) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Return the materialization of a model that was built."""
        model = self.models[result.model]
        columns = [dg.TableColumn(name, type_, model.header.columns.get(name.lower())) for name, type_ in result.columns.items()]
        metadata: dict[str, Any] = {
            "dagster/row_count": result.rows,
            "dagster/column_schema": dg.TableSchema(columns),
            "outcome": str(result.outcome),
            "seconds": round(result.seconds, 2),
            **({"reason": result.reason} if model.header.scope and result.reason else {}),
            **({"groups_computed": result.groups} if result.groups else {}),
            **dict(result.metadata),
        }
        return dg.MaterializeResult(asset_key=self._keys[result.model], metadata=metadata, data_version=dg.DataVersion(result.version))

    def _checks(self, result: ModelResult) -> Iterator[dg.AssetCheckResult]:
        return self.check_results(result, self._selected_checks(self._keys[result.model]))

    def check_results(self, result: ModelResult, names: Collection[str]) -> Iterator[dg.AssetCheckResult]:
        """Yield the results of some checks of a model; of the others, log those that could not run."""
        asset = self._keys[result.model]
        for check in result.checks:
            if check.name in names:
                yield _check_result(check, asset)
            elif check.error:
                self.context.log.warning("%s: %s could not run: %s", result.model, check.name, redact(check.error))

    def _selected_checks(self, asset: dg.AssetKey) -> set[str]:
        return {key.name for key in self.context.selected_asset_check_keys if key.asset_key == asset}


def _check_result(check: CheckResult, asset: dg.AssetKey) -> dg.AssetCheckResult:
    if check.rows is None:
        words = f"The check could not run: {check.error}"
    else:
        words = "No row is wrong." if check.passed else f"{check.rows:,} rows are wrong."
    examples = [dg.TableRecord({name: one_line(value) for name, value in row.items()}) for row in check.examples if row]
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=check.name,
        passed=check.passed,
        severity=dg.AssetCheckSeverity.WARN if check.warns else dg.AssetCheckSeverity.ERROR,
        description=redact(words),
        metadata={
            **({"rows": check.rows} if check.rows is not None else {}),
            **({"keys": dg.MetadataValue.table(examples)} if examples else {}),
        },
    )
