"""How many requests are under way: what the rate limit and the latency ask for, and no more where more bring nothing."""

import math

import pytest

from klaviyo_assets.api.rate_limit.concurrency import Concurrency


def simulated(rate: float, latency: float, seconds: float, *, capacity: float = math.inf, size: Concurrency | None = None) -> Concurrency:
    """Answer requests for so many seconds: under the rate, and as fast as the server can; what is under way beyond that only waits."""
    found = size or Concurrency(rate)
    if size is None:
        found.note(0.0, latency)  # the probe, which is alone
    now = 0.0
    while now < seconds:
        throughput = min(rate, capacity, found.size / latency)
        took = max(latency, found.size / capacity)
        now += 1 / throughput
        found.note(now, took)
    return found


@pytest.mark.parametrize("latency", [0.03, 0.08, 0.3, 0.8])
@pytest.mark.parametrize("rate", [58.3, 12.5, 2.5])
def test_it_follows_from_rate_and_latency(rate: float, latency: float) -> None:
    found = simulated(rate, latency, 60)

    assert rate * latency <= found.size <= 1.5 * rate * latency + 2


def test_before_anything_is_known_the_usual_latency_counts() -> None:
    assert Concurrency(58.3).size == 23


def test_when_answers_become_slower_more_are_under_way() -> None:
    found = simulated(58.3, 0.08, 30)
    before = found.size

    simulated(58.3, 0.4, 60, size=found)

    assert before < 10
    assert found.size >= 58.3 * 0.4


def test_a_busy_processor_is_not_met_with_more_requests() -> None:
    """Where only 30 a second can be handled, waiting makes answers look slow, and more requests would make them slower still."""
    found = simulated(58.3, 0.08, 600, capacity=30)

    assert found.size <= 12
