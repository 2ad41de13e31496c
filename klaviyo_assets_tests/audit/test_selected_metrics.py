"""The audit compares only the metrics that are selected, each on the days that were read with it."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.audit.audit import Audit
from klaviyo_assets.audit.audit_store import AuditStore
from klaviyo_assets.audit.audit_tables import AuditRecord
from klaviyo_assets.audit.compare import Difference
from klaviyo_assets.extract.metric_selection import MetricRules
from klaviyo_assets.extract.sync_options import SyncOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import sync

pytestmark = pytest.mark.usefixtures("unpaced")


def audited(shop: SandboxProcess, warehouse: LocalFile, rules: MetricRules) -> tuple[AuditRecord, list[Difference]]:
    async def run() -> tuple[AuditRecord, list[Difference]]:
        async with KlaviyoClient(parse_api_key(shop.keys.all_scopes), ClientSettings(base_url=shop.base_url, rate_limit_share=1.0)) as client:
            return await Audit(client, AuditStore(warehouse, "klaviyo"), logging.getLogger("klaviyo_assets_tests"), metrics=rules).run()

    return asyncio.run(run())


@pytest.mark.long
def test_only_selected_metrics_are_compared(new_account: Callable[..., SandboxProcess], warehouse: LocalFile) -> None:
    shop = new_account(metrics=3, events=200, profiles=60)
    shop.advance(timedelta(days=40))
    left_out, *others = [one["id"] for one in shop.truth("metrics")]
    without, everything = MetricRules(exclude=(left_out,)), MetricRules()
    sync("events", shop, warehouse, SyncOptions(metrics=without))

    record, found = audited(shop, warehouse, without)

    assert found == []
    assert record.metrics == len(others)
    assert record.excluded["Not selected (KLAVIYO_EVENT_METRICS, KLAVIYO_EXCLUDE_EVENT_METRICS)"] == [left_out]

    # Selected again, but not read yet: no day of it is covered.
    record, found = audited(shop, warehouse, everything)
    assert (found, record.metrics) == ([], len(others))

    sync("events", shop, warehouse, SyncOptions(metrics=everything))
    record, found = audited(shop, warehouse, everything)
    assert (found, record.metrics) == ([], len(others) + 1)
