"""Counts of events: incomplete responses are requested again, and counts are decoded completely."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import pytest

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import InvalidResponse
from klaviyo_assets.audit.event_counts import _decode, counts_by_day
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.extract.metric_names import metric_names
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess

T = TypeVar("T")

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def with_client(sandbox: SandboxProcess, call: Callable[[KlaviyoClient], Awaitable[T]], retries: int = 2) -> T:
    async def run() -> T:
        async with KlaviyoClient(parse_api_key(ALL_SCOPES_KEY), ClientSettings(base_url=sandbox.base_url, max_retries=retries)) as client:
            return await call(client)

    return asyncio.run(run())


def response_body(*measured: dict[str, Any], days: int = 2) -> bytes:
    dates = [f"2026-01-0{day}T00:00:00+00:00" for day in range(1, days + 1)]
    return json.dumps({"data": {"type": "metric-aggregate", "attributes": {"dates": dates, "data": list(measured)}}}).encode()


async def names_of_metrics(client: KlaviyoClient) -> dict[str, str]:
    return await metric_names(client, CATALOG.metrics_type)


@pytest.mark.long
def test_a_page_of_metrics_without_links_is_requested_again(new_account: Callable[..., SandboxProcess]) -> None:
    sandbox = new_account(metrics=8, events=50)
    sandbox.faults({"path": "/api/metrics", "kind": "no_links"})

    assert len(with_client(sandbox, names_of_metrics)) == 8
    assert sandbox.stats()["endpoints"]["/api/metrics"]["requests"] == 2
    sandbox.faults({"path": "/api/metrics", "kind": "no_links", "times": None})
    with pytest.raises(InvalidResponse):
        with_client(sandbox, names_of_metrics, retries=0)


def test_days_without_measurements_count_as_zero() -> None:
    expected = {date(2026, 1, 1): 0, date(2026, 1, 2): 0}

    assert _decode(response_body()) == expected
    assert _decode(response_body({"measurements": {"count": [3.0, 4]}})) == {date(2026, 1, 1): 3, date(2026, 1, 2): 4}


@pytest.mark.parametrize("measured", [{"measurements": {}}, {"measurements": {"unique": [1, 2]}}, {"measurements": {"count": [1]}}, {}])
def test_a_response_without_counts_is_rejected(measured: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"count|measurements|argument"):
        _decode(response_body(measured))


def test_counts_of_a_window_are_returned_by_day(account: SandboxProcess) -> None:
    metric = account.truth("metrics")[0]["id"]

    found = with_client(account, lambda client: counts_by_day(client, metric, NEW_YEAR, datetime(2026, 1, 4, tzinfo=UTC)))

    assert list(found) == [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)]
