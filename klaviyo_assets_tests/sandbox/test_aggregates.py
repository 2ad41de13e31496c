"""The sandbox's counts of events: they equal its truth, and keep to the documented contract."""

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
from klaviyo_assets_tests.sandbox.helpers import BASE, SMALL, Hand, headers


def ask(sandbox: SandboxProcess, key: str = ALL_SCOPES_KEY, **attributes: Any) -> httpx.Response:
    return httpx.post(f"{sandbox.base_url}{METRIC_AGGREGATES.path}", **question(key, **attributes))


def question(key: str, **attributes: Any) -> dict[str, Any]:
    """Return the body and the headers of a request for counts."""
    body = {"data": {"type": METRIC_AGGREGATES.jsonapi_type, "attributes": {"measurements": ["count"], **attributes}}}
    return {"json": body, "headers": {**headers(key), "Content-Type": "application/vnd.api+json"}}


def year_before(end: datetime) -> list[str]:
    start = end - METRIC_AGGREGATES.longest_span
    return [f"greater-or-equal(datetime,{start:%Y-%m-%dT%H:%M:%S})", f"less-than(datetime,{end:%Y-%m-%dT%H:%M:%S})"]


def some_metric(sandbox: SandboxProcess) -> str:
    return str(sandbox.truth("metrics")[0]["id"])


def test_the_counts_equal_the_truth(account: SandboxProcess) -> None:
    end = (account.now() - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    metric = some_metric(account)
    expected: Counter[str] = Counter()
    for event in account.truth("events"):
        relationship = event["relationships"].get("metric", {}).get("data") or {}
        moment = datetime.fromisoformat(event["attributes"]["datetime"])
        if relationship.get("id") == metric and moment < end:
            expected[f"{moment:%Y-%m-%d}"] += 1

    found = ask(account, metric_id=metric, filter=year_before(end)).json()["data"]["attributes"]

    (measured,) = found["data"]
    counts = dict(zip([date[:10] for date in found["dates"]], measured["measurements"]["count"], strict=True))
    assert len(counts) == 365
    assert {day: count for day, count in counts.items() if count} == dict(expected)
    assert sum(expected.values()) > 0


def test_a_span_may_begin_within_a_day(account: SandboxProcess) -> None:
    metric, noon = some_metric(account), account.now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    span = [f"greater-or-equal(datetime,{noon - timedelta(days=2):%Y-%m-%dT%H:%M:%S})", f"less-than(datetime,{noon:%Y-%m-%dT%H:%M:%S})"]

    dates = ask(account, metric_id=metric, filter=span).json()["data"]["attributes"]["dates"]

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
def test_what_klaviyo_refuses_is_refused(account: SandboxProcess, attributes: dict[str, Any]) -> None:
    answer = ask(account, metric_id=some_metric(account), **attributes)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "invalid"


def test_a_metric_that_is_not_there_is_not_found(account: SandboxProcess) -> None:
    assert ask(account, metric_id="NONE", filter=year_before(account.now())).status_code == 404


def test_a_key_without_the_scope_is_denied(account: SandboxProcess) -> None:
    answer = ask(account, key_lacking("metrics:read"), metric_id=some_metric(account), filter=year_before(account.now()))

    assert answer.status_code == 403
    assert "metrics:read" in answer.text


@pytest.fixture
def hand() -> Hand:
    """The time as the limits are told it: a minute has just begun."""
    return Hand(600.0)


@pytest.fixture
def ask_once(hand: Hand) -> Callable[[], tuple[int, str | None]]:
    """Asks an account whose limits follow the hand, within this process; returns the status and ``Retry-After``."""
    state = begin(replace(SMALL, limits=True))
    state.limits = Limits(hand)
    app = httpx.ASGITransport(build_app(state))  # type: ignore[arg-type]
    metric = next(iter(state.account.store["metrics"])).id

    async def answer() -> httpx.Response:
        async with httpx.AsyncClient(transport=app, base_url="http://sandbox") as client:
            return await client.post(METRIC_AGGREGATES.path, **question(ALL_SCOPES_KEY, metric_id=metric, filter=year_before(BASE)))

    def ask_once() -> tuple[int, str | None]:
        answered = asyncio.run(answer())
        return answered.status_code, answered.headers.get("Retry-After")

    return ask_once


def test_three_in_a_second_pass_and_the_next_does_not(hand: Hand, ask_once: Callable[[], tuple[int, str | None]]) -> None:
    assert [ask_once() for _ in range(4)] == [(200, None)] * 3 + [(429, "1")]
    hand.now += 1
    assert ask_once() == (200, None)


def test_sixty_in_a_minute_pass_and_the_next_does_not(hand: Hand, ask_once: Callable[[], tuple[int, str | None]]) -> None:
    for _ in range(20):
        assert [ask_once() for _ in range(3)] == [(200, None)] * 3
        hand.now += 1

    assert ask_once() == (429, "40")
    hand.now += 40
    assert ask_once() == (200, None)


def test_an_answer_tells_what_is_left_of_the_minute(new_account: Callable[..., SandboxProcess]) -> None:
    sandbox = new_account(limits=True, events=50)

    answer = ask(sandbox, metric_id=some_metric(sandbox), filter=year_before(sandbox.now()))

    assert (answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]) == ("3, 3;w=1, 60;w=60", "2")
    assert answer.headers["RateLimit-Reset"] == "0"
