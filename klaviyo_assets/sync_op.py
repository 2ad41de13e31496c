"""What an asset does when it runs: probe, sync, report."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import duckdb

from klaviyo_assets import checks
from klaviyo_assets._internal.event_loop import run_to_its_end
from klaviyo_assets._internal.sanitize import markdown, one_line
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.errors import KlaviyoError, RequestFailed
from klaviyo_assets.api.scope_check import Access, access_from, assess
from klaviyo_assets.assets import KlaviyoSyncConfig
from klaviyo_assets.audit_op import AuditExecution
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.errors import InvalidMode, InvalidRange, StillLocked, SyncError, SyncTaken
from klaviyo_assets.extract.options import SyncMode, SyncOptions, parse_instant, parse_start_date
from klaviyo_assets.privacy.apply import FieldRuleSet, guards_for
from klaviyo_assets.privacy.rules import InvalidFieldRules
from klaviyo_assets.quality.inspector import Inspector
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets.run_log import in_the_log_of
from klaviyo_assets.setting_names import VARIABLES, SettingNames
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.sync.report import SyncReport
from klaviyo_assets.sync.runner import SyncRunner
from klaviyo_assets.warehouse.base import Warehouse, WarehouseBusy, WarehouseError
from klaviyo_assets.warehouse.factory import warehouse_from

_SCHEDULE_TAG = "dagster/schedule_name"


@dataclass(frozen=True)
class _Outcome:
    """What one execution has found out; ``access`` is None if nobody asked."""

    access: Access | None = None
    report: SyncReport | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class Execution:
    """One execution of an asset or of some of its checks.

    Args:
        context: Dagster's.
        config: Run config.
        entry: The resource type.
        asset: Key of the asset.
        schema: DuckDB schema.
        klaviyo: The Klaviyo resource.
        duckdb: The DuckDB resource.
        setting_names: What messages call the settings.
    """

    context: dg.AssetExecutionContext
    config: KlaviyoSyncConfig
    entry: ResourceType
    asset: dg.AssetKey
    schema: str
    klaviyo: KlaviyoResource
    duckdb: Any
    setting_names: SettingNames = VARIABLES

    def run(self) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:  # type: ignore[type-arg]
        """Probe, sync if the asset is selected, and yield what is asked for; checks come before a failure."""
        results = self._results()
        while True:
            # Only while the work goes on, not while Dagster has a result in hand and may do something else in this thread.
            with in_the_log_of(self.context.log, self.setting_names.worded):
                try:
                    result = next(results)
                except StopIteration:
                    return
                except (KlaviyoError, SyncError, WarehouseError, InvalidFieldRules) as error:
                    raise failure(error, self.setting_names.worded) from None
            yield self._worded(result)

    def _results(self) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:  # type: ignore[type-arg]
        klaviyo = self.klaviyo
        warehouse = warehouse_from(
            self.duckdb, patience=klaviyo.duckdb_patience, memory_limit=klaviyo.duckdb_memory_limit, threads=klaviyo.duckdb_threads
        )
        outcome = run_to_its_end(self._outcome(warehouse))
        if outcome.access is not None and checks.API_KEY_VALID in self._checks:
            yield checks.api_key_valid(outcome.access, self.asset)
        if outcome.access is not None and checks.SCOPE_COVERAGE in self._checks:
            yield checks.scope_coverage(outcome.access, self.asset)
        if outcome.report is not None:
            yield self._materialization(outcome.report, warehouse)
        if not isinstance(outcome.error, WarehouseError):
            # Of a sync that failed too: a check that is selected and not reported counts as failed, and says something wrong about the table.
            yield from self._table_checks(warehouse, outcome.report)
            yield from self._complete(warehouse, synced=outcome.report is not None)
        if outcome.error is not None:
            self._give_up(outcome.error, outcome.access)

    def _worded(self, result: dg.AssetCheckResult | dg.MaterializeResult) -> dg.AssetCheckResult | dg.MaterializeResult:  # type: ignore[type-arg]
        """Return a result whose words name the user's own settings."""
        if not isinstance(result, dg.AssetCheckResult):
            return result
        worded = self.setting_names.worded
        metadata = {
            name: dg.MetadataValue.text(worded(value.text or "")) if isinstance(value, dg.TextMetadataValue) else value
            for name, value in result.metadata.items()
        }
        return result._replace(description=worded(result.description or ""), metadata=metadata)

    @property
    def _checks(self) -> set[str]:
        return {key.name for key in self.context.selected_asset_check_keys}

    async def _outcome(self, warehouse: Warehouse) -> _Outcome:
        if not (self._materializes or self._checks & set(checks.ACCESS_CHECKS)):
            return _Outcome()
        try:
            client = self.klaviyo.client()
        except KlaviyoError as error:
            return _Outcome(access_from(error, self.entry), error=error if self._materializes else None)
        async with client:
            access = await assess(client, self.entry)
            if not self._materializes:
                return _Outcome(access)
            try:
                return _Outcome(access, report=await self._sync(client, warehouse, access))
            except (KlaviyoError, SyncError, WarehouseError) as error:
                return _Outcome(access, error=error)

    async def _sync(self, client: KlaviyoClient, warehouse: Warehouse, access: Access) -> SyncReport:
        request = self._request()
        # Of all types: a rule that is misspelt is told at once, not by values that are stored as they are.
        guard = guards_for(self.klaviyo.field_rules).get(self.entry.name, FieldRuleSet())
        sync = SyncRunner(
            entry=self.entry,
            request=request,
            client=client,
            warehouse=warehouse,
            schema=self.schema,
            run_id=self.context.run.run_id,
            log=self.context.log,
            refusal=access.error,
            account_id=self.klaviyo.account_id,
            guard=guard,
            accept_other_account=self.klaviyo.accept_other_account,
        )
        return await sync.run()

    @property
    def _materializes(self) -> bool:
        return bool(self.context.selected_asset_keys)

    def _request(self) -> SyncOptions:
        config, start_date = self.config, self.klaviyo.start_date
        if config.mode is SyncMode.repair and self.entry.counted_by is None:
            raise InvalidMode(f"Mode repair reads again what an audit has found; {self.entry.name} has no audit.", "Use another mode.")
        if config.mode is not SyncMode.range and (config.field or config.start or config.end):
            raise InvalidRange(
                f"field, start and end are for mode range, and the mode is {config.mode.name}.", "Add mode: range, or leave the three out."
            )
        start = parse_instant(config.start, "start") if config.start else None
        end = parse_instant(config.end, "end") if config.end else None
        return SyncOptions(
            mode=config.mode,
            field=config.field,
            span=TimeWindow(start, end) if start and end else None,
            start_date=parse_start_date(start_date, "KLAVIYO_START_DATE") if start_date else None,
            accept_changed_options=self.klaviyo.accept_changed_options,
        )

    def _give_up(self, error: Exception, access: Access | None) -> None:
        """Fail with the reason, or end green where there is nothing wrong."""
        scheduled = _SCHEDULE_TAG in self.context.run.tags
        if (access is not None and access.optional) or (isinstance(error, SyncTaken) and scheduled):
            reason = access.advice if access is not None and access.optional else str(error)
            self.context.log.warning("Skipped. %s", self.setting_names.worded(reason))
            return
        raise error

    def _materialization(self, report: SyncReport, warehouse: Warehouse) -> dg.MaterializeResult:  # type: ignore[type-arg]
        row = report.row
        metadata: dict[str, Any] = {
            "dagster/row_count": report.row_count,
            "mode": row.mode,
            "records_read": row.records_read,
            "rows_inserted": row.rows_inserted,
            "rows_updated": row.rows_updated,
            "rows_deleted": row.rows_deleted,
            "requests": row.requests,
            "throttled_429": row.throttled,
            "bytes": row.bytes,
            "seconds": round(report.seconds, 2),
            "seconds_waited_for_rate_limit": row.seconds_waited,
            "read": dg.MetadataValue.md("\n".join(f"- {name}" for name in report.slices) or "nothing"),
            "resumed": report.resumed,
            "account": row.account_id,
            "preview": dg.MetadataValue.md(self._preview(warehouse)),
        }
        if report.notes:
            metadata["notes"] = dg.MetadataValue.md("\n".join(f"- {markdown(self.setting_names.worded(note))}" for note in report.notes))
        return dg.MaterializeResult(asset_key=self.asset, metadata=metadata)

    def _preview(self, warehouse: Warehouse) -> str:
        try:
            return Inspector(warehouse, self.entry, self.schema).preview()
        except (WarehouseError, duckdb.Error) as error:
            return markdown(str(error))  # the rows are committed, whatever became of the database since

    def _table_checks(self, warehouse: Warehouse, report: SyncReport | None) -> Iterator[dg.AssetCheckResult]:
        inspector = Inspector(warehouse, self.entry, self.schema)
        since = report.row.started_at if report else None
        looks: dict[str, Callable[[], dg.AssetCheckResult]] = {
            checks.PRIMARY_KEY: lambda: checks.primary_key(inspector.primary_key(since), self.asset),
            checks.UNKNOWN_ATTRIBUTES: lambda: checks.unknown_attributes(inspector.unknown_attributes(), self.asset),
            checks.SCHEMA_DRIFT: lambda: checks.schema_drift(inspector.drifts(), self.asset),
        }
        for name, look in looks.items():
            if name in self._checks:
                yield self._looked(name, look)

    def _complete(self, warehouse: Warehouse, *, synced: bool) -> Iterator[dg.AssetCheckResult]:
        """Audit where the check runs by itself; compare the repaired days after a repair; else report what the last audit has found.

        The result belongs to each materialization, since Dagster shows a check only for the latest one.
        """
        repaired = synced and self.config.mode is SyncMode.repair
        if not (repaired or checks.COMPLETE in self._checks):
            return
        audit = AuditExecution(self.context, self.asset, self.schema, self.klaviyo, warehouse)
        if self._materializes and not repaired:
            yield from self._last_audit(audit)
            return
        result, unusable_key = audit.compare(only_struck=repaired)
        if checks.COMPLETE in self._checks:
            yield result
        elif not result.passed:
            self.context.log.warning("%s", self.setting_names.worded(result.description or ""))
        if unusable_key is not None:
            raise unusable_key

    def _last_audit(self, audit: AuditExecution) -> Iterator[dg.AssetCheckResult]:
        try:
            result = audit.stored()
        except (SyncError, WarehouseError, duckdb.Error) as error:
            yield checks.could_not_look(checks.COMPLETE, error, self.asset)
            return
        if result is not None:
            yield result
        else:
            self.context.log.info("Not audited yet, so the check complete has no result. The audit job compares the table with Klaviyo's own counts.")

    def _looked(self, name: str, look: Callable[[], dg.AssetCheckResult]) -> dg.AssetCheckResult:
        """Look at the table; that it cannot be looked at is the result of this check alone: the rows are committed, and other checks go on."""
        try:
            return look()
        except (WarehouseError, duckdb.Error, ValueError) as error:
            self.context.log.warning("The check %s could not look at the table: %s", name, one_line(str(error)))
            return checks.could_not_look(name, error, self.asset)


def failure(error: Exception, worded: Callable[[str], str]) -> dg.Failure:
    """Turn an error into what the UI shows; only what may be over by the next try is worth a retry.

    Args:
        error: The error.
        worded: Puts the user's own names of settings into a message.
    """
    metadata: dict[str, Any] = {"error": type(error).__name__}
    for attribute in ("endpoint", "status", "code", "detail", "scope"):
        if (value := getattr(error, attribute, None)) is not None:
            metadata[attribute] = value
    if advice := getattr(error, "advice", ""):
        metadata["what_to_do"] = worded(advice)
    return dg.Failure(description=worded(str(error)), metadata=metadata, allow_retries=_may_end_soon(error))


def _may_end_soon(error: Exception) -> bool:
    if isinstance(error, RequestFailed):
        return error.may_end_soon
    return isinstance(error, SyncTaken | StillLocked | WarehouseBusy)
