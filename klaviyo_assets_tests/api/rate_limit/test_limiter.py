"""The rate limiter: no window has more requests than Klaviyo allows, and none are sent while the limiter is closed."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence

import pytest

from klaviyo_assets.api.rate_limit.limiter import RateLimiter
from klaviyo_assets.catalog.endpoint import TIER_L, TIER_M, TIER_S, TIER_XL, TIER_XS, RateLimit
from klaviyo_assets_tests.api.virtual_time import now, run_in_virtual_time

TIERS = {"XS": TIER_XS, "S": TIER_S, "M": TIER_M, "L": TIER_L, "XL": TIER_XL}
SOON = 0.26
"""A closed limiter opens up to a quarter of a second later (jitter)."""


async def acquired(limiter: RateLimiter, count: int, workers: int = 8) -> list[float]:
    """Acquire the limiter some number of times from several workers; return the times."""
    times: list[float] = []
    turns = iter(range(count))

    async def work() -> None:
        for _ in turns:
            await limiter.acquire()
            times.append(now())
            limiter.release({})

    await asyncio.gather(*(work() for _ in range(workers)))
    return times


def most_in(times: Sequence[float], seconds: float) -> int:
    """Return the maximum number of turns within any window of this length."""
    most, first = 0, 0
    for last, moment in enumerate(times):
        while moment - times[first] >= seconds - 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.long
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("limit", TIERS.values(), ids=TIERS)
def test_no_window_has_more_requests_than_klaviyo_allows(limit: RateLimit, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    async def two_rushes() -> list[float]:
        limiter = RateLimiter("/api/any", limit, share)
        first = await acquired(limiter, limit.steady + 20)
        await asyncio.sleep(30)
        second = await acquired(limiter, limit.steady + 20)
        limiter.dispose()
        return first + second

    times = run_in_virtual_time(two_rushes(), monkeypatch)

    assert len(times) == 2 * (limit.steady + 20)
    assert most_in(times, 1) <= limit.burst
    assert most_in(times, 60) <= limit.steady


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("limit", [TIER_S, TIER_M, TIER_L, TIER_XL], ids=["S", "M", "L", "XL"])
def test_configured_share_is_used_and_not_exceeded(limit: RateLimit, share: float, monkeypatch: pytest.MonkeyPatch) -> None:

    async def rush() -> list[float]:
        limiter = RateLimiter("/api/any", limit, share)
        times = await acquired(limiter, 2 * limit.steady)
        limiter.dispose()
        return times

    times = run_in_virtual_time(rush(), monkeypatch)

    assert most_in(times, 60) <= limit.steady * share + 1e-6
    assert times[-1] - times[0] <= 60 * 2 / share * 1.005


@pytest.mark.long
@pytest.mark.parametrize("limit", [TIER_L, TIER_XL], ids=["L", "XL"])
def test_time_lost_in_stalls_is_caught_up(limit: RateLimit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fifteen seconds the process stalls briefly, as if it had no processor; the following minutes still reach the full limit."""

    async def stalling() -> list[float]:
        limiter = RateLimiter("/api/any", limit, 1.0)
        began, times, stalls = now(), [], 0
        while now() < began + 240:
            await limiter.acquire()
            times.append(now() - began)
            limiter.release({})
            if now() > began + 15 * (stalls + 1):
                stalls += 1
                await asyncio.sleep(0.4)
        limiter.dispose()
        return times

    times = run_in_virtual_time(stalling(), monkeypatch)

    assert most_in(times, 60) <= limit.steady
    assert most_in(times, 1) <= limit.burst
    assert sum(60 <= time < 240 for time in times) >= 3 * limit.steady * 0.998


@pytest.mark.parametrize("share", [0.5, 0.9, 1.0])
def test_one_per_second_endpoints_get_a_request_a_second_after_the_last_response(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request arrives at any time before its response; two that are sent a second apart may arrive closer together."""

    async def rush() -> list[tuple[float, float]]:
        limiter = RateLimiter("/api/accounts", TIER_XS, share)
        times: list[tuple[float, float]] = []

        async def one(latency: float) -> None:
            await limiter.acquire()
            sent = now()
            await asyncio.sleep(latency)
            times.append((sent, now()))
            limiter.release({})

        await asyncio.gather(*(one(latency) for latency in (0.1, 3, 0.9, 0)))
        limiter.dispose()
        return times

    times = run_in_virtual_time(rush(), monkeypatch)

    assert min(sent - answered for (_, answered), (sent, _) in itertools.pairwise(times)) >= 1 / share


def test_unused_turn_blocks_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are cancelled while the server's minute is used up, or while another has the turn."""

    async def rush() -> float:
        limiter = RateLimiter("/api/accounts", TIER_XS, 1.0)
        await limiter.acquire()
        limiter.release({"RateLimit-Limit": "15", "RateLimit-Remaining": "0", "RateLimit-Reset": "60"})
        waiting = [asyncio.create_task(limiter.acquire()) for _ in range(3)]
        await asyncio.sleep(10)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        began = now()
        await limiter.acquire()
        limiter.release({})
        limiter.dispose()
        return now() - began

    assert 40 < run_in_virtual_time(rush(), monkeypatch) < 55


def test_request_that_is_cancelled_while_it_has_the_turn_passes_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def rush() -> float:
        limiter = RateLimiter("/api/accounts", TIER_XS, 1.0)
        await limiter.acquire()
        waiting = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        limiter.release({})
        await asyncio.sleep(0.5)
        limiter.close_for(20)
        await asyncio.sleep(10)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        began = now()
        await asyncio.wait_for(limiter.acquire(), 60)
        limiter.release({})
        limiter.dispose()
        return now() - began

    assert 10 <= run_in_virtual_time(rush(), monkeypatch) <= 10 + SOON


# --- the limiter closes


def run_with_limiter(action: Callable[[RateLimiter], Awaitable[list[float]]], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Run an action with a fast limiter; return its times in seconds since the start."""

    async def run() -> list[float]:
        limiter, began = RateLimiter("/api/any", TIER_XL, 0.9), now()
        times = await action(limiter)
        limiter.dispose()
        return [time - began for time in times]

    return run_in_virtual_time(run(), monkeypatch)


def test_no_request_passes_a_closed_limiter(monkeypatch: pytest.MonkeyPatch) -> None:
    async def action(limiter: RateLimiter) -> list[float]:
        limiter.close_for(5)
        return await acquired(limiter, 20)

    times = run_with_limiter(action, monkeypatch)

    assert len(times) == 20
    assert 5 <= min(times) <= 5 + SOON


def test_limiter_that_is_closed_again_for_longer_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def action(limiter: RateLimiter) -> list[float]:
        limiter.close_for(2)
        waiting = asyncio.create_task(acquired(limiter, 5))
        await asyncio.sleep(1)
        limiter.close_for(10)
        limiter.close_for(1)
        return await waiting

    assert 11 <= min(run_with_limiter(action, monkeypatch)) <= 11 + SOON


def test_limiter_that_closes_during_a_wait_for_the_turn_blocks_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    async def action(limiter: RateLimiter) -> list[float]:
        slow = RateLimiter("/api/any", TIER_XS, 0.5)
        first = await acquired(slow, 1)
        waiting = asyncio.create_task(acquired(slow, 1))
        await asyncio.sleep(1)
        slow.close_for(20)
        second = await waiting
        slow.dispose()
        return first + second

    first, second = run_with_limiter(action, monkeypatch)

    assert first == 0
    assert 21 <= second <= 21 + SOON


def after_response(headers: dict[str, str], others: int) -> Callable[[RateLimiter], Awaitable[list[float]]]:
    """Record a response while other requests are in flight, then acquire the limiter once more."""

    async def action(limiter: RateLimiter) -> list[float]:
        for _ in range(others + 1):
            await limiter.acquire()
        limiter.release(headers)
        return await acquired(limiter, 1)

    return action


@pytest.mark.parametrize(("others", "remaining"), [(0, "0"), (3, "3"), (3, "0"), (3, "-1"), (3, "2.0")])
def test_a_limiter_closes_until_the_reset_when_the_rest_of_the_minute_is_in_flight(
    others: int, remaining: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"RateLimit-Limit": "3500", "RateLimit-Remaining": remaining, "RateLimit-Reset": "17"}

    (time,) = run_with_limiter(after_response(headers, others), monkeypatch)

    assert 17 <= time <= 17 + SOON


@pytest.mark.parametrize("reset", ["0", "1"])
def test_the_rest_of_a_second_is_left_to_others_when_its_burst_is_nearly_used_up(reset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"RateLimit-Limit": "350, 350;w=1, 3500;w=60", "RateLimit-Remaining": "12", "RateLimit-Reset": reset}

    (time,) = run_with_limiter(after_response(headers, 0), monkeypatch)

    assert 1 <= time <= 1.1


def test_responses_that_report_a_lower_limit_lower_the_pace_until_they_no_longer_do(monkeypatch: pytest.MonkeyPatch) -> None:
    async def action(limiter: RateLimiter) -> list[float]:
        times = []
        for number in range(40):
            await limiter.acquire()
            times.append(now())
            limit = "1, 1;w=1, 15;w=60, 225;w=86400" if number < 10 else "350, 350;w=1, 3500;w=60"
            limiter.release({"RateLimit-Limit": limit, "RateLimit-Remaining": "1" if number < 10 else "349", "RateLimit-Reset": "0"})
        return times

    times = run_with_limiter(action, monkeypatch)
    gaps = [after - before for before, after in itertools.pairwise(times)]

    assert min(gaps[1:10]) >= 60 / 15
    assert max(gaps[12:]) < 0.1


def test_lower_limit_of_a_one_per_second_endpoint_spreads_requests_over_the_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    async def rush() -> list[float]:
        limiter, times = RateLimiter("/api/accounts", TIER_XS, 1.0), []
        for _ in range(4):
            await limiter.acquire()
            times.append(now())
            limiter.release({"RateLimit-Limit": "1, 1;w=1, 2;w=60, 225;w=86400", "RateLimit-Remaining": "0", "RateLimit-Reset": "0"})
        limiter.dispose()
        return times

    times = run_in_virtual_time(rush(), monkeypatch)

    assert min(after - before for before, after in itertools.pairwise(times)) >= 30


def test_first_response_of_a_new_minute_opens_the_limiter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resets have whole seconds; waiting for them would waste up to a second in each minute."""

    async def action(limiter: RateLimiter) -> list[float]:
        for _ in range(4):
            await limiter.acquire()
        limiter.release({"RateLimit-Limit": "3500", "RateLimit-Remaining": "3", "RateLimit-Reset": "17"})
        waiting = asyncio.create_task(acquired(limiter, 1))
        await asyncio.sleep(0.2)
        limiter.release({"RateLimit-Limit": "3500", "RateLimit-Remaining": "3499", "RateLimit-Reset": "60"})
        return await waiting

    (time,) = run_with_limiter(action, monkeypatch)

    assert 0.2 <= time < 0.3


def test_limiter_opens_when_responses_show_that_requests_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests in flight are assumed not to be counted until they have a response."""

    async def action(limiter: RateLimiter) -> list[float]:
        for _ in range(4):
            await limiter.acquire()
        limiter.release({"RateLimit-Remaining": "2", "RateLimit-Reset": "17"})
        waiting = asyncio.create_task(acquired(limiter, 1))
        for _ in range(2):
            await asyncio.sleep(1)
            limiter.release({"RateLimit-Remaining": "2", "RateLimit-Reset": "16"})
        return await waiting

    (time,) = run_with_limiter(action, monkeypatch)

    assert 2 <= time < 2.1


@pytest.mark.parametrize(
    "headers",
    [
        {"RateLimit-Remaining": "4", "RateLimit-Reset": "17"},
        {"RateLimit-Remaining": "0"},
        {"RateLimit-Reset": "17"},
        {"RateLimit-Remaining": "none", "RateLimit-Reset": "17"},
        {"RateLimit-Remaining": "0", "RateLimit-Reset": ""},
        {"RateLimit-Remaining": "0", "RateLimit-Reset": "inf"},
        {"RateLimit-Limit": "350, 350;w=1, 3500;w=60", "RateLimit-Remaining": "40", "RateLimit-Reset": "0"},
        {"RateLimit-Limit": "225, 350;w=1, 3500;w=60, 225;w=86400", "RateLimit-Remaining": "0", "RateLimit-Reset": "40000"},
        {},
    ],
    ids=["one left", "no reset", "no remaining", "words", "blank", "forever", "burst", "day", "nothing"],
)
def test_limiter_stays_open_while_requests_are_left_or_unknown(headers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    (time,) = run_with_limiter(after_response(headers, 3), monkeypatch)

    assert time < 1


def test_waiting_time_of_requests_is_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def action(limiter: RateLimiter) -> list[float]:
        began = now()
        limiter.close_for(5)
        await asyncio.gather(limiter.acquire(), limiter.acquire())
        assert limiter.seconds_waited == pytest.approx(2 * (now() - began))
        return [now()]

    (time,) = run_with_limiter(action, monkeypatch)

    assert time >= 5


def test_number_of_requests_in_flight_follows_the_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sizes() -> tuple[int, int, int]:
        limiter = RateLimiter("/api/any", TIER_XL, 0.9)
        before = limiter.target_in_flight
        limiter.observe_latency(0.05)
        quick = limiter.target_in_flight
        for _ in range(1000):
            await asyncio.sleep(0.6 / limiter.target_in_flight)
            limiter.observe_latency(0.6)
        slow = limiter.target_in_flight
        limiter.dispose()
        return before, quick, slow

    before, quick, slow = run_in_virtual_time(sizes(), monkeypatch)

    assert 1 < quick < before < slow


@pytest.mark.parametrize(
    ("limit", "remaining"),
    [
        ("-5", "-1"),
        ("0", "-1.7e308"),
        ("1e308", "1e308"),
        ("1e308", "-1"),
        ("1e308", "-1.7e308"),
    ],
)
def test_nonsensical_headers_do_no_harm(limit: str, remaining: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def action(limiter: RateLimiter) -> list[float]:
        for number in range(4):
            await limiter.acquire()
            await asyncio.sleep(20)
            limiter.release({"RateLimit-Limit": limit, "RateLimit-Remaining": remaining if number else "1e308", "RateLimit-Reset": str(60 - number)})
        return [now()]

    assert len(run_with_limiter(action, monkeypatch)) == 1
