"""The number of requests in flight: what the rate limit and the latency need, and no more if more do not increase throughput."""

import math

import pytest

from klaviyo_assets.api.rate_limit.concurrency import Concurrency


def simulated(rate: float, latency: float, seconds: float, *, capacity: float = math.inf, size: Concurrency | None = None) -> Concurrency:
    """Simulate responses at the rate limit or the server's capacity, whichever is lower; further requests in flight only wait."""
    found = size or Concurrency(rate)
    if size is None:
        found.note(0.0, latency)  # the probe, which runs alone
    now = 0.0
    while now < seconds:
        throughput = min(rate, capacity, found.size / latency)
        took = max(latency, found.size / capacity)
        now += 1 / throughput
        found.note(now, took)
    return found


@pytest.mark.parametrize("latency", [0.03, 0.08, 0.3, 0.8])
@pytest.mark.parametrize("rate", [58.3, 12.5, 2.5])
def test_number_of_requests_follows_from_rate_and_latency(rate: float, latency: float) -> None:
    found = simulated(rate, latency, 60)

    assert rate * latency <= found.size <= 1.5 * rate * latency + 2


def test_default_latency_applies_before_the_first_response() -> None:
    assert Concurrency(58.3).size == 23


def test_slower_responses_increase_the_requests_in_flight() -> None:
    found = simulated(58.3, 0.08, 30)
    before = found.size

    simulated(58.3, 0.4, 60, size=found)

    assert before < 10
    assert found.size >= 58.3 * 0.4


def test_busy_processor_does_not_get_more_requests() -> None:
    """If only 30 requests per second can be processed, waiting makes responses look slow, and more requests would make them even slower."""
    found = simulated(58.3, 0.08, 600, capacity=30)

    assert found.size <= 12
