"""Audits a world's events as the audit job does."""

import logging
from datetime import date

from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.audit.audit import Audit
from klaviyo_assets.audit.audit_store import AuditStore
from klaviyo_assets.audit.compare import DifferenceState
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets_tests.scenarios.difference import Difference

MetricDay = tuple[str, date]
"""A metric and a day (UTC): the unit that the audit compares."""


async def audit(client: KlaviyoClient, warehouse: Warehouse, schema: str) -> set[MetricDay]:
    """Compare Klaviyo's counts with the table and return the days that differ."""
    _, found = await Audit(client, AuditStore(warehouse, schema), logging.getLogger("klaviyo_assets_tests.scenarios")).run()
    if any(one.state is DifferenceState.REREAD_PENDING for one in found):
        raise Difference("events: days that the repair should have reread are still pending after the next audit")
    return {(one.metric_id, one.day) for one in found}
