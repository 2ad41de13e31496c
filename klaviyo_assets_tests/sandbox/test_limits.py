import pytest

from klaviyo_assets.catalog.endpoint import TIER_L, TIER_S, TIER_XS
from klaviyo_assets.sandbox.errors import ApiError
from klaviyo_assets.sandbox.limits import Limits, RateLimitHeaders
from klaviyo_assets_tests.sandbox.helpers import ManualClock


def retry_after(limits: Limits, *arguments) -> int | None:
    """Count a request and return its ``Retry-After``; None if it was not throttled."""
    throttled = None
    try:
        limits.enter(*arguments)
    except ApiError as error:
        throttled = error
    return int(throttled.headers["Retry-After"]) if throttled else None


def test_a_throttled_request_gets_klaviyos_error():
    limits = Limits(ManualClock(600.0))
    limits.enter("/a", TIER_XS)
    with pytest.raises(ApiError, match="throttled") as caught:
        limits.enter("/a", TIER_XS)
    assert (caught.value.status, caught.value.code, set(caught.value.headers)) == (429, "throttled", {"Retry-After"})


def test_windows_are_fixed_and_aligned():
    clock = ManualClock(600.9)
    limits = Limits(clock)
    assert [retry_after(limits, "/a", TIER_S) for _ in range(4)] == [None, None, None, 1]
    clock.now = 601.0
    assert [retry_after(limits, "/a", TIER_S) for _ in range(4)] == [None, None, None, 1]


def test_the_steady_window_limits_the_minute():
    clock = ManualClock(600.0)
    limits = Limits(clock)
    for second in range(20):
        clock.now = 600.0 + second
        assert [retry_after(limits, "/a", TIER_S) for _ in range(3)] == [None] * 3
    clock.now = 630.5
    assert retry_after(limits, "/a", TIER_S) == 30
    clock.now = 660.0
    assert retry_after(limits, "/a", TIER_S) is None


def headers(limit: str, remaining: int, reset: int) -> dict[str, str]:
    return {"RateLimit-Limit": limit, "RateLimit-Remaining": str(remaining), "RateLimit-Reset": str(reset)}


def test_headers_describe_the_window_with_the_least_remaining():
    clock = ManualClock(650.25)
    limits = Limits(clock)
    assert limits.enter("/a", TIER_S) == headers("3, 3;w=1, 60;w=60", 2, 0)
    assert limits.enter("/a", TIER_S) == headers("3, 3;w=1, 60;w=60", 1, 0)
    for second in range(660, 679):
        clock.now = second + 0.5
        found = [limits.enter("/a", TIER_S)["RateLimit-Remaining"] for _ in range(3)]
        assert found == ["2", "1", "0"]
    clock.now = 679.5
    assert [limits.enter("/a", TIER_S)["RateLimit-Remaining"] for _ in range(2)] == ["2", "1"]
    clock.now = 680.5
    assert limits.enter("/a", TIER_S) == headers("60, 3;w=1, 60;w=60", 0, 39)


def test_headers_can_always_describe_the_burst():
    clock = ManualClock(600.0)
    limits = Limits(clock, RateLimitHeaders.ALWAYS_BURST)
    for second in range(20):
        clock.now = 600.9 + second
        assert [limits.enter("/a", TIER_S) for _ in range(3)][-1] == headers("3, 3;w=1, 60;w=60", 0, 0)


def test_headers_can_describe_the_minute_as_documented():
    limits = Limits(ManualClock(650.25), RateLimitHeaders.MINUTE)
    assert limits.enter("/a", TIER_L) == headers("750", 749, 10)
    assert limits.enter("/a", TIER_L)["RateLimit-Remaining"] == "748"


def test_a_daily_limit_throttles_until_the_end_of_the_day():
    clock = ManualClock(86_400.0 * 3 + 3600)
    limits = Limits(clock, daily=2)
    assert limits.enter("/a", TIER_L) == headers("2, 75;w=1, 750;w=60, 2;w=86400", 1, 82_800)
    limits.enter("/a", TIER_L)
    clock.now += 120
    assert retry_after(limits, "/a", TIER_L) == 86_400 - 3720


def test_a_lower_limit_counts_in_addition_to_the_endpoints_own():
    limits = Limits(ManualClock(600.0))
    assert limits.enter("/a", TIER_L, TIER_XS)["RateLimit-Limit"] == "1, 1;w=1, 15;w=60"
    assert retry_after(limits, "/a", TIER_L, TIER_XS) == 1
    assert limits.enter("/a", TIER_L)["RateLimit-Remaining"] == "73"


def test_endpoints_do_not_share_a_window():
    limits = Limits(ManualClock(600.0))
    limits.enter("/a", TIER_XS)
    limits.enter("/b", TIER_XS)
    with pytest.raises(ApiError):
        limits.enter("/a", TIER_XS)
