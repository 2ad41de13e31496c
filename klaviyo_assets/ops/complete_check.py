"""The check ``complete`` of events: an audit that compares Klaviyo's own counts with the table, and what Dagster shows of it."""

import logging
from dataclasses import dataclass, field
from datetime import date

import dagster as dg
import duckdb

from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.api.klaviyo_errors import AccessDenied, ApiKeyError
from klaviyo_assets.audit.audit import Audit
from klaviyo_assets.audit.audit_store import AuditStore, names_of_metrics
from klaviyo_assets.audit.audit_tables import AuditRecord
from klaviyo_assets.audit.compare import Difference
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.checks import asset_checks
from klaviyo_assets.errors import SyncError
from klaviyo_assets.reporting.period_report import PeriodReport
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.warehouse.interface import Warehouse, WarehouseError


@dataclass(frozen=True)
class CompleteCheck:
    """One execution of the check ``complete``.

    Args:
        log: The run's log.
        asset: Key of the events' asset.
        schema: DuckDB schema.
        klaviyo: The Klaviyo resource.
        warehouse: The database.
        catalog: All resource types in use.
    """

    log: logging.Logger
    asset: dg.AssetKey
    schema: str
    klaviyo: KlaviyoResource
    warehouse: Warehouse
    catalog: Catalog = field(default_factory=lambda: CATALOG)

    @property
    def _store(self) -> AuditStore:
        return AuditStore(self.warehouse, self.schema, self.catalog)

    async def compare(self, *, only_rereads: bool) -> tuple[dg.AssetCheckResult, ApiKeyError | None]:
        """Request Klaviyo's counts, compare them with the table, and store the differences.

        Args:
            only_rereads: True to compare only the days that a repair has requested to be read again.

        Returns:
            The result, and the error if the key cannot be used at all: then the run must fail.

        Raises:
            KlaviyoError: If Klaviyo fails.
            SyncError: If a setting is wrong, or a later version of this library has written the schema.
            WarehouseError: If the database cannot be used.
        """
        try:
            record, found = await self._audit(only_rereads=only_rereads)
        except AccessDenied as error:
            return asset_checks.could_not_audit(str(error), self.asset), None
        except ApiKeyError as error:
            return asset_checks.could_not_audit(str(error), self.asset), error
        return await in_thread(self._result, record, found), None

    def last_result(self) -> dg.AssetCheckResult | None:
        """Return the result of the last audit, without a request to Klaviyo; None if there was no audit, so the check neither passes nor fails."""
        try:
            last = self._store.last_if_any()
            if last is not None:
                return self._result(*last)
        except (SyncError, WarehouseError, duckdb.Error) as error:
            return asset_checks.unreadable(asset_checks.COMPLETE, error, self.asset)
        self.log.info("The check complete has no result, since no audit has run yet. The audit job compares the table with Klaviyo's own counts.")
        return None

    def report_days(self, partitions: PeriodReport, result: dg.AssetCheckResult) -> None:
        """Let Dagster show the partitions of days that differ as failed, and no longer those that failed before and agree.

        Args:
            partitions: Reports the days of the table.
            result: What :meth:`compare` has returned.
        """
        compared, days = self.compared_days()
        partitions.clear_failed(compared, days)
        if not result.passed and result.severity is dg.AssetCheckSeverity.ERROR:
            partitions.mark_as_failed(days)

    def compared_days(self) -> tuple[TimeWindow | None, list[date]]:
        """Return the window that the last full audit compared, and the days (UTC) that differ according to the last one."""
        last = self._store.last_if_any()
        return (None, []) if last is None else (last[0].compared, sorted({one.day for one in last[1]}))

    def _result(self, record: AuditRecord, found: list[Difference]) -> dg.AssetCheckResult:
        names = names_of_metrics(self.warehouse, self.schema, {one.metric_id for one in found})
        return asset_checks.complete(record, found, names, self.asset)

    async def _audit(self, *, only_rereads: bool) -> tuple[AuditRecord, list[Difference]]:
        async with self.klaviyo.client() as client:
            return await Audit(
                client,
                self._store,
                self.log,
                start_date=self.klaviyo.starts_at,
                metrics=self.klaviyo.metric_rules,
                only_rereads=only_rereads,
            ).run()
