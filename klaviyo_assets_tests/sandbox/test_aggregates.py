"""The sandbox's counts of events: they equal its truth, and keep to the documented contract."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from klaviyo_assets.catalog import REVISION
from klaviyo_assets.catalog.aggregates import METRIC_AGGREGATES
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess


def ask(sandbox: SandboxProcess, key: str = ALL_SCOPES_KEY, **attributes: Any) -> httpx.Response:
    headers = {"Authorization": f"Klaviyo-API-Key {key}", "revision": REVISION, "Content-Type": "application/vnd.api+json"}
    body = {"data": {"type": METRIC_AGGREGATES.jsonapi_type, "attributes": {"measurements": ["count"], **attributes}}}
    return httpx.post(f"{sandbox.base_url}{METRIC_AGGREGATES.path}", json=body, headers=headers)


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


def at_the_start_of(seconds: int) -> None:
    """Wait until a window of the sandbox's has just begun."""
    time.sleep(seconds - time.time() % seconds)


def test_three_in_a_second_pass_and_the_next_does_not(new_account: Callable[..., SandboxProcess]) -> None:
    sandbox = new_account(limits=True, events=50)
    question = {"metric_id": some_metric(sandbox), "filter": year_before(sandbox.now())}
    ask(sandbox, **question)
    at_the_start_of(1)

    answers = [ask(sandbox, **question) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "1"
    assert answers[0].headers["RateLimit-Limit"] == "60"
    at_the_start_of(1)
    assert ask(sandbox, **question).status_code == 200


@pytest.mark.slow
def test_sixty_in_a_minute_pass_and_the_next_does_not(new_account: Callable[..., SandboxProcess]) -> None:
    sandbox = new_account(limits=True, events=50)
    question = {"metric_id": some_metric(sandbox), "filter": year_before(sandbox.now())}
    if time.time() % 60 > 30:  # the twenty seconds that it takes must lie in one minute
        at_the_start_of(60)
    passed, waited = 0, 0
    while passed < 60:
        answer = ask(sandbox, **question)
        if answer.status_code == 429:
            assert answer.headers["Retry-After"] == "1", f"{passed} passed: only the second's window may be full"
            at_the_start_of(1)
            waited += 1
        passed += answer.status_code == 200
    at_the_start_of(1)

    refused = ask(sandbox, **question)

    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 1
    assert waited >= 18
