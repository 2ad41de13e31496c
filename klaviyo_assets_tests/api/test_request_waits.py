"""Log messages of waiting requests."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import httpx
import pytest

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.klaviyo_errors import ConnectionFailed, RateLimited, ServerFault
from klaviyo_assets.api.rate_limit.limiter import RateLimiter
from klaviyo_assets.api.request_waits import RequestWaits, WaitReason
from klaviyo_assets.api.response_memory import ResponseMemory
from klaviyo_assets.catalog.endpoint import RateLimit
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets_tests.api.client_helpers import KEY, LISTS, page
from klaviyo_assets_tests.api.virtual_time import run_in_virtual_time

EVENTS = "GET /api/events"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    """Run a coroutine; return its log messages with their times in seconds."""
    caplog.set_level(logging.INFO, "klaviyo_assets")

    def run(work: Coroutine[Any, Any, None]) -> list[tuple[float, str]]:
        found: list[tuple[float, str]] = []

        async def timed() -> None:
            loop = asyncio.get_running_loop()
            began = loop.time()
            caplog.handler.addFilter(lambda record: found.append((round(loop.time() - began, 1), record.getMessage())) or True)
            await work

        run_in_virtual_time(timed(), monkeypatch)
        return found

    return run


def test_a_short_wait_is_not_logged(logged: Any) -> None:
    async def work() -> None:
        with RequestWaits().of(EVENTS) as wait:
            wait.begin("response", lambda: WaitReason(logging.WARNING, "no response"))
            await asyncio.sleep(4)
            wait.retry(ServerFault("Klaviyo could not process the request."), 0.5, 2, 7)
            await asyncio.sleep(0.5)
        await asyncio.sleep(100)

    assert logged(work()) == []


@pytest.mark.parametrize("after", [0.0, 0.1, 2.4, 4.9, 7.6])
def test_long_phase_is_logged_within_ten_seconds(after: float, logged: Any) -> None:
    async def work() -> None:
        with RequestWaits().of(EVENTS) as wait:
            await asyncio.sleep(after)
            wait.begin("response", lambda: WaitReason(logging.WARNING, "no response"))
            await asyncio.sleep(130)

    first, second, third = logged(work())
    assert 5 <= first[0] - after <= 10
    assert [first[1], second[1], third[1]] == [f"{EVENTS}: no response"] * 3
    assert 60 <= second[0] - first[0] < 65


def test_requests_with_the_same_wait_are_logged_once(logged: Any) -> None:
    waits = RequestWaits()

    async def request(endpoint: str, kind: str) -> None:
        with waits.of(endpoint) as wait:
            wait.begin(kind, lambda: WaitReason(logging.WARNING, kind))
            await asyncio.sleep(30)

    async def work() -> None:
        await asyncio.gather(*(request(EVENTS, "response") for _ in range(64)), request(EVENTS, "turn"), request("GET /api/lists", "response"))

    assert sorted(words for _, words in logged(work())) == [f"{EVENTS}: response", f"{EVENTS}: turn", "GET /api/lists: response"]


def test_long_wait_before_a_retry_is_logged_at_once(logged: Any) -> None:
    async def work() -> None:
        with RequestWaits().of(EVENTS) as wait:
            wait.retry(ServerFault("Klaviyo could not process the request.", retry_after=30.0, endpoint=EVENTS, status=503), 30.4, 2, 7)
            await asyncio.sleep(31)

    ((at, words),) = logged(work())
    assert at == 0
    assert words == (
        f"{EVENTS}: Klaviyo could not process the request. The server asks to wait 30 seconds. "
        f"[{EVENTS}: 503] Attempt 2 of 7 begins in 31 seconds. What to do: nothing yet, "
        "it continues by itself. If the last attempt fails too: This is usually temporary: run the sync again later. What was read so far is kept."
    )


def test_short_waits_are_logged_once_they_add_up(logged: Any) -> None:
    async def work() -> None:
        with RequestWaits().of(EVENTS) as wait:
            for number in range(2, 22):
                wait.begin("response", lambda: WaitReason(logging.WARNING, "no response"))
                await asyncio.sleep(1)
                wait.retry(ConnectionFailed("No complete response from a.klaviyo.com (ReadError)."), 1.0, number, 21)
                await asyncio.sleep(1)

    ((at, words),) = logged(work())
    assert 5 <= at <= 10
    assert "No complete response from a.klaviyo.com (ReadError)." in words
    assert "Check the network and https://status.klaviyo.com" in words


def test_requests_at_a_closed_limiter_are_not_logged_again(logged: Any) -> None:
    async def work() -> None:
        waits, limiter = RequestWaits(), RateLimiter("/api/events", RateLimit(350, 3500), 1.0)
        with waits.of(EVENTS) as rejected, waits.of(EVENTS) as other:
            limiter.close_for(30)
            rejected.retry(RateLimited(30.0), 30.0, 2, 7)
            rejected.begin("turn", limiter.wait_reason)
            other.begin("turn", limiter.wait_reason)
            limiter.release({}, await limiter.acquire())
        limiter.dispose()

    ((at, words),) = logged(work())
    assert at == 0
    assert "Klaviyo's rate limit is used up. The server asks to wait 30 seconds." in words


def test_a_wait_of_some_seconds_for_the_rate_limit_is_logged_once_it_lasts(logged: Any) -> None:
    async def work() -> None:
        waits, limiter = RequestWaits(), RateLimiter("/api/events", RateLimit(350, 3500), 1.0)
        limiter.release({"RateLimit-Limit": "3500", "RateLimit-Remaining": "0", "RateLimit-Reset": "9"}, await limiter.acquire())
        with waits.of(EVENTS) as wait:
            wait.begin("turn", limiter.wait_reason)
            limiter.release({}, await limiter.acquire())
        limiter.dispose()

    ((at, words),) = logged(work())
    assert 5 <= at < 9
    assert words.startswith(f"{EVENTS}: waiting ")
    assert "since the account's rate limit is used up. What to do: nothing, it continues by itself." in words


def test_a_response_that_waits_for_memory_is_logged_with_the_reason(logged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.client.ResponseMemory", lambda: ResponseMemory(len(page("a").body)))

    async def work() -> None:
        transport = httpx.MockTransport(lambda request: httpx.Response(200, content=page("a").body))
        async with KlaviyoClient(ApiKey(KEY), transport=transport) as client:
            pages = client.pages(LISTS, {}, PageDecoder(LISTS).page)
            await anext(pages)
            other = asyncio.create_task(client.get(LISTS, "/api/lists", {}, PageDecoder(LISTS).page))
            await asyncio.sleep(12)
            await pages.aclose()
            assert (await other).value.count == 1

    ((at, words),) = logged(work())
    assert 5 <= at <= 10
    assert words == "GET /api/lists: the response is received after earlier ones are stored, to limit memory. What to do: nothing."


def test_a_queue_for_a_slow_endpoint_is_logged_with_its_pace(logged: Any) -> None:
    async def work() -> None:
        waits, limiter = RequestWaits(), RateLimiter("/api/metric-aggregates", RateLimit(1, 15), 1.0)

        async def request() -> None:
            with waits.of("POST /api/metric-aggregates") as wait:
                wait.begin("turn", limiter.wait_reason)
                limiter.release({}, await limiter.acquire())

        await asyncio.gather(*(request() for _ in range(12)))
        limiter.dispose()

    found = logged(work())
    assert 5 <= found[0][0] <= 10
    assert found[0][1].startswith("POST /api/metric-aggregates: requests wait for their turn; at most 15 a minute are sent, 100 % of the account's")
