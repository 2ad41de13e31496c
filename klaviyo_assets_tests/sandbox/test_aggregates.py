"""The sandbox's counts of events: they match its truth and follow the documented contract."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from klaviyo_assets.catalog.types.metric_aggregates import METRIC_AGGREGATES
from klaviyo_assets.sandbox.app import build_app
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, key_lacking
from klaviyo_assets.sandbox.limits import Limits
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.sandbox.state import begin
from klaviyo_assets_tests.sandbox.helpers import BASE, SMALL, ManualClock, headers


def post(sandbox: SandboxProcess, key: str = ALL_SCOPES_KEY, **attributes: Any) -> httpx.Response:
    return httpx.post(f"{sandbox.base_url}{METRIC_AGGREGATES.path}", **request_arguments(key, **attributes))


def request_arguments(key: str, **attributes: Any) -> dict[str, Any]:
    """Return the body and the headers of a request for counts."""
    body = {"data": {"type": METRIC_AGGREGATES.jsonapi_type, "attributes": {"measurements": ["count"], **attributes}}}
    return {"json": body, "headers": {**headers(key), "Content-Type": "application/vnd.api+json"}}


def year_before(end: datetime) -> list[str]:
    start = end - METRIC_AGGREGATES.longest_span
    return [f"greater-or-equal(datetime,{start:%Y-%m-%dT%H:%M:%S})", f"less-than(datetime,{end:%Y-%m-%dT%H:%M:%S})"]


def some_metric(sandbox: SandboxProcess) -> str:
    return str(sandbox.truth("metrics")[0]["id"])


def test_the_counts_match_the_truth(account: SandboxProcess) -> None:
    end = (account.now() - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    metric = some_metric(account)
    expected: Counter[str] = Counter()
    for event in account.truth("events"):
        relationship = event["relationships"].get("metric", {}).get("data") or {}
        moment = datetime.fromisoformat(event["attributes"]["datetime"])
        if relationship.get("id") == metric and moment < end:
            expected[f"{moment:%Y-%m-%d}"] += 1

    found = post(account, metric_id=metric, filter=year_before(end)).json()["data"]["attributes"]

    (measured,) = found["data"]
    counts = dict(zip([date[:10] for date in found["dates"]], measured["measurements"]["count"], strict=True))
    assert len(counts) == 365
    assert {day: count for day, count in counts.items() if count} == dict(expected)
    assert sum(expected.values()) > 0


def test_a_time_range_can_start_within_a_day(account: SandboxProcess) -> None:
    metric, noon = some_metric(account), account.now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    time_range = [f"greater-or-equal(datetime,{noon - timedelta(days=2):%Y-%m-%dT%H:%M:%S})", f"less-than(datetime,{noon:%Y-%m-%dT%H:%M:%S})"]

    dates = post(account, metric_id=metric, filter=time_range).json()["data"]["attributes"]["dates"]

    assert [date[:10] for date in dates] == [f"{noon - timedelta(days=days):%Y-%m-%d}" for days in (2, 1, 0)]


@pytest.mark.parametrize(
    "attributes",
    [
        {"filter": ["greater-or-equal(datetime,2026-01-01T00:00:00)"]},
        {"filter": ["greater-or-equal(datetime,2024-01-01T00:00:00)", "less-than(datetime,2026-01-01T00:00:00)"]},
        {"filter": ["greater-or-equal(datetime,2026-01-02T00:00:00)", "less-than(datetime,2026-01-01T00:00:00)"]},
        {"filter": ["greater-or-equal(datetime,yesterday)", "less-than(datetime,2026-01-01T00:00:00)"]},
        {"filter": ["greater-or-equal(datetime,2025-09-01T00:00:00)", "less-than(datetime,2026-01-01T00:00:00)"], "timezone": "Mars/Olympus"},
        {"filter": ["greater-or-equal(datetime,2025-09-01T00:00:00)", "less-than(datetime,2026-01-01T00:00:00)"], "measurements": ["mood"]},
        {},
    ],
)
def test_what_klaviyo_rejects_is_rejected(account: SandboxProcess, attributes: dict[str, Any]) -> None:
    response = post(account, metric_id=some_metric(account), **attributes)

    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "invalid"


def test_an_unknown_metric_is_not_found(account: SandboxProcess) -> None:
    assert post(account, metric_id="NONE", filter=year_before(account.now())).status_code == 404


def test_a_key_without_the_scope_is_denied(account: SandboxProcess) -> None:
    response = post(account, key_lacking("metrics:read"), metric_id=some_metric(account), filter=year_before(account.now()))

    assert response.status_code == 403
    assert "metrics:read" in response.text


@pytest.fixture
def clock() -> ManualClock:
    """The clock of the rate limits, at the start of a minute."""
    return ManualClock(600.0)


@pytest.fixture
def post_once(clock: ManualClock) -> Callable[[], tuple[int, str | None]]:
    """A function that sends a request to an account in this process and returns the status and ``Retry-After``; the rate limits use the clock."""
    state = begin(replace(SMALL, limits=True))
    state.limits = Limits(clock)
    app = httpx.ASGITransport(build_app(state))  # type: ignore[arg-type]
    metric = next(iter(state.account.store["metrics"])).id

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=app, base_url="http://sandbox") as client:
            return await client.post(METRIC_AGGREGATES.path, **request_arguments(ALL_SCOPES_KEY, metric_id=metric, filter=year_before(BASE)))

    def post_once() -> tuple[int, str | None]:
        response = asyncio.run(send())
        return response.status_code, response.headers.get("Retry-After")

    return post_once


def test_three_requests_per_second_are_allowed(clock: ManualClock, post_once: Callable[[], tuple[int, str | None]]) -> None:
    assert [post_once() for _ in range(4)] == [(200, None)] * 3 + [(429, "1")]
    clock.now += 1
    assert post_once() == (200, None)


def test_sixty_requests_per_minute_are_allowed(clock: ManualClock, post_once: Callable[[], tuple[int, str | None]]) -> None:
    for _ in range(20):
        assert [post_once() for _ in range(3)] == [(200, None)] * 3
        clock.now += 1

    assert post_once() == (429, "40")
    clock.now += 40
    assert post_once() == (200, None)


def test_rate_limit_headers_of_a_response(new_account: Callable[..., SandboxProcess]) -> None:
    sandbox = new_account(limits=True, events=50)

    response = post(sandbox, metric_id=some_metric(sandbox), filter=year_before(sandbox.now()))

    assert (response.headers["RateLimit-Limit"], response.headers["RateLimit-Remaining"]) == ("3, 3;w=1, 60;w=60", "2")
    assert response.headers["RateLimit-Reset"] == "0"
