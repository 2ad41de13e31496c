"""One asset in a sync op: probe the API, sync, inspect the table, report."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import dagster as dg

from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.klaviyo_errors import KlaviyoError, ScopeMissing
from klaviyo_assets.api.rate_limit.daily import is_daily_limit
from klaviyo_assets.api.scope_check import Access, access_from, assess, assess_all
from klaviyo_assets.audit.audit import request_rereads
from klaviyo_assets.audit.audit_store import AuditStore
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.checks import asset_checks
from klaviyo_assets.checks.table_checks import TableChecks
from klaviyo_assets.errors import SyncAlreadyRunning, SyncError
from klaviyo_assets.extract.feed import Feed
from klaviyo_assets.ops.complete_check import CompleteCheck
from klaviyo_assets.ops.step_context import StepContext
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.reporting.failures import EXPLAINED
from klaviyo_assets.reporting.materialization import materialization
from klaviyo_assets.reporting.period_report import PeriodReport
from klaviyo_assets.run_config import SyncMode, is_unattended
from klaviyo_assets.sync.sync_report import SyncReport
from klaviyo_assets.sync.sync_runner import SyncRunner
from klaviyo_assets.warehouse.interface import WarehouseError

Result = dg.AssetCheckResult | dg.MaterializeResult  # type: ignore[type-arg]
"""What an op reports to Dagster."""


@dataclass(frozen=True)
class AssetFailure:
    """A resource type failed, after its results."""

    entry: ResourceType
    error: Exception


@dataclass
class AssetDone:
    """Signals that an asset's part of the step is done; its child types wait for it.

    Attributes:
        not_synced: True until the requested sync has succeeded; False if none was requested.
        event: Set when the asset is done, successfully or not.
    """

    not_synced: bool
    event: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class AssetSync:
    """The part of a step for one asset.

    Args:
        step: What the assets of the step share.
        entry: The resource type.
        asset: Key of the asset.
        done: Reports when it is done, and whether its sync failed.
        materializes: True to sync it, False to run checks only.
        checks: Names of its selected checks.
        parent_done: The same as ``done`` for its parent, if that is part of the step: its table must be up to date first.
        host_done: The same for its host: its results must come first.
        feeds: Types of the step that take their records from this sync's responses.
        feed: The responses of its host's sync, if that is part of the step.
    """

    step: StepContext
    entry: ResourceType
    asset: dg.AssetKey
    done: AssetDone
    materializes: bool = True
    checks: frozenset[str] = frozenset()
    parent_done: AssetDone | None = None
    host_done: AssetDone | None = None
    feeds: Sequence[Feed] = ()
    feed: Feed | None = None

    @property
    def partitions(self) -> tuple[dg.AssetKey, EventPartitions] | None:
        """The key of the asset with the partitions of its rows, and the partitions; None if there is none."""
        return self.step.partitions.get(self.entry.name)

    async def results(self) -> AsyncIterator[Result | AssetFailure]:
        """Yield the check results and the materialization, and at the end the failure if there is one; never raise."""
        try:
            if self.parent_done is not None:
                await self.parent_done.event.wait()
            async for result in self._results() if self.host_done is None else self._results_after(self.host_done):
                yield result
        except Exception as error:  # any error concerns only this asset; the step raises it when the other assets are done
            yield AssetFailure(self.entry, error)
        finally:
            self._leave_feeds()
            self.done.event.set()

    async def _results_after(self, host_done: AssetDone) -> AsyncIterator[Result]:
        """Yield the results once the host's asset is done: the two sync at the same time, but Dagster wants results in the order of dependency."""
        results: list[Result] = []
        failure: Exception | None = None
        try:
            async for result in self._results():
                results.append(result)
        except Exception as error:  # raised below, after the results that came before it
            failure = error
        self._leave_feeds()
        await host_done.event.wait()
        for result in results:
            yield result
        if failure is not None:
            raise failure

    def _leave_feeds(self) -> None:
        """Release the host, and the types that read this sync's responses, from waiting for this sync."""
        if self.feed is not None:
            self.feed.leave()
        for feed in self.feeds:
            feed.abandon()

    async def _results(self) -> AsyncIterator[Result]:
        access: Access | None = None
        report: SyncReport | None = None
        failure: Exception | None = None
        if self.materializes or self.checks & set(asset_checks.ACCESS_CHECKS):
            access, report, failure = await self._probe_and_sync()
            if report is not None:
                self.done.not_synced = False
            for result in self._access_checks(access):
                yield result
        if not isinstance(failure, WarehouseError):
            # Also after a failed sync: Dagster counts a selected check without a result as failed, which would be wrong about the table.
            for result in await in_thread(self._materialization_and_checks, report):
                yield result
            if self.materializes:
                failure = await self._report_partitions(failure)
            async for check in self._complete(report):
                yield check
        if failure is not None:
            self._skip_or_raise(failure, access)

    async def _probe_and_sync(self) -> tuple[Access, SyncReport | None, Exception | None]:
        try:
            client = self.step.klaviyo.client()
        except KlaviyoError as error:
            return access_from(error, self.entry), None, error if self.materializes else None
        async with client:
            if not self.materializes:
                (access,) = await assess_all(client, [self.entry])
                return access, None, None
            access = await assess(client, self.entry)
            try:
                return access, await self._sync(client, access), None
            except (KlaviyoError, SyncError, WarehouseError) as error:
                return await self._access_after(error, access, client), None, error

    async def _access_after(self, error: Exception, access: Access, client: KlaviyoClient) -> Access:
        """Return the verdict after a failed sync: it may have lacked scopes of other types that it also reads, such as accounts for a report."""
        cause = error.__cause__ if access.granted else access.error
        if not isinstance(cause, ScopeMissing) or not self.entry.also_reads:
            return access
        (found,) = await assess_all(client, [self.entry])
        return access_from(cause, self.entry, found.missing_scopes)

    async def _sync(self, client: KlaviyoClient, access: Access) -> SyncReport:
        sync = SyncRunner(
            entry=self.entry,
            options=self.step.options_for(self.entry),
            client=client,
            warehouse=self.step.warehouse,
            schema=self.step.schema,
            run_id=self.step.dagster.run.run_id,
            log=self.step.log,
            refusal=access.error,
            account_id=self.step.klaviyo.account_id,
            field_rules=self.step.rules_of(self.entry),
            accept_other_account=self.step.klaviyo.accept_other_account,
            parent_failed=self.parent_done is not None and self.parent_done.not_synced,
            feeds=self.feeds,
            feed=self.feed,
            periods=self.partitions[1].periods if self.partitions is not None else None,
            waits=self._waits,
            catalog=self.step.catalog,
        )
        if self.step.config.mode is SyncMode.repair and access.error is None:
            await request_rereads(client, AuditStore(self.step.warehouse, self.step.schema, self.step.catalog))
        return await sync.run()

    @property
    def _waits(self) -> bool:
        """Whether the sync waits for another one of its type: Dagster starts a run for each range of days, and *Materialize all* the table as well.

        A sync of the table that no user has started is skipped instead: its next run is scheduled anyway.
        """
        return self.step.of_partitions or (self.partitions is not None and not is_unattended(self.step.dagster.run.tags))

    async def _report_partitions(self, failure: Exception | None) -> Exception | None:
        """Report the partitions, also after a failed sync, which may have changed rows before it failed.

        Returns:
            The error that the asset fails with. If the report fails, the next sync reports the partitions.
        """
        if isinstance(failure, SyncAlreadyRunning) or self.step.of_partitions:
            return failure
        try:
            if (report := self._period_report) is not None:
                await in_thread(report.send)
        except Exception as error:
            if failure is None:
                return error
            unexplained = not isinstance(error, EXPLAINED)
            self.step.log.warning("The partitions could not be reported either; the next sync reports them. %s", error, exc_info=unexplained)
        return failure

    @property
    def _period_report(self) -> PeriodReport | None:
        if self.partitions is None:
            return None
        return PeriodReport(self.step.dagster, *self.partitions, self.step.warehouse, self.step.schema, self.entry, self.step.klaviyo.starts_at)

    def _skip_or_raise(self, failure: Exception, access: Access | None) -> None:
        """Raise the failure, or log it and skip the asset if the user need not do anything about it.

        The asset is skipped if the key or the plan lacks what only this optional asset needs, if the daily limit of a report is used up, or if a run
        that no user started has found another sync of the type running.
        """
        if self.step.of_partitions:
            raise failure
        if access is not None and access.optional and access.error is not None and access.error in (failure, failure.__cause__):
            self.step.log.warning("Skipped. %s", access.advice)
        elif self.entry.replication.report is not None and is_daily_limit(failure):
            self.step.log.warning("Skipped until the daily limit is renewed. %s", failure)
        elif isinstance(failure, SyncAlreadyRunning) and is_unattended(self.step.dagster.run.tags):
            self.step.log.warning("Skipped. %s", failure)
        else:
            raise failure

    def _access_checks(self, access: Access) -> list[Result]:
        reports = {asset_checks.API_KEY_VALID: asset_checks.api_key_valid, asset_checks.SCOPE_COVERAGE: asset_checks.scope_coverage}
        return [report(access, self.asset) for name, report in reports.items() if name in self.checks]

    def _materialization_and_checks(self, report: SyncReport | None) -> list[Result]:
        """Return the materialization if there was a sync, and the results of the checks of the table."""
        if report is None and not self.checks & set(asset_checks.TABLE_CHECKS):
            return []
        table = TableChecks(self.step.warehouse, self.entry, self.step.schema, self.asset, self.step.with_configured_names)
        found = table.run(self.checks, report.row.started_at if report else None)
        return [*([materialization(report, found.preview, self.asset, self.step.with_configured_names)] if report else []), *found.results]

    async def _complete(self, report: SyncReport | None) -> AsyncIterator[dg.AssetCheckResult]:
        """Audit if the check runs alone; compare the days that a repair has read again; otherwise report what the last audit found.

        The result is repeated for each materialization, since Dagster shows the results of the latest one only.
        """
        repaired = report is not None and self.step.config.mode is SyncMode.repair
        if not (repaired or asset_checks.COMPLETE in self.checks):
            return
        audit = CompleteCheck(self.step.log, self.asset, self.step.schema, self.step.klaviyo, self.step.warehouse, self.step.catalog)
        if self.materializes and not repaired:
            if (last := await in_thread(audit.last_result)) is not None:
                yield last
            return
        result, unusable_key = await audit.compare(only_rereads=repaired)
        if asset_checks.COMPLETE in self.checks:
            yield result
        elif not result.passed:
            self.step.log.warning("%s", result.description or "")
        if unusable_key is not None:
            raise unusable_key
        if (partitions := self._period_report) is not None:
            await in_thread(audit.report_days, partitions, result)
