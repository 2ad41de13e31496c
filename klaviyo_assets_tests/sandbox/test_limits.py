import pytest

from klaviyo_assets.catalog.endpoint import TIER_L, TIER_S, TIER_XS
from klaviyo_assets.sandbox.errors import ApiError
from klaviyo_assets.sandbox.limits import Limits, RateLimitHeaders
from klaviyo_assets_tests.sandbox.helpers import Hand


def retry_after(limits: Limits, *asked) -> int | None:
    """Ask, and return what a refusal says; None if there is none."""
    refusal = None
    try:
        limits.enter(*asked)
    except ApiError as error:
        refusal = error
    return int(refusal.headers["Retry-After"]) if refusal else None


def test_a_refusal_is_klaviyos():
    limits = Limits(Hand(600.0))
    limits.enter("/a", TIER_XS)
    with pytest.raises(ApiError, match="throttled") as caught:
        limits.enter("/a", TIER_XS)
    assert (caught.value.status, caught.value.code, set(caught.value.headers)) == (429, "throttled", {"Retry-After"})


def test_windows_are_fixed_and_aligned():
    hand = Hand(600.9)
    limits = Limits(hand)
    assert [retry_after(limits, "/a", TIER_S) for _ in range(4)] == [None, None, None, 1]
    hand.now = 601.0
    assert [retry_after(limits, "/a", TIER_S) for _ in range(4)] == [None, None, None, 1]


def test_the_steady_window_holds_for_the_minute():
    hand = Hand(600.0)
    limits = Limits(hand)
    for second in range(20):
        hand.now = 600.0 + second
        assert [retry_after(limits, "/a", TIER_S) for _ in range(3)] == [None] * 3
    hand.now = 630.5
    assert retry_after(limits, "/a", TIER_S) == 30
    hand.now = 660.0
    assert retry_after(limits, "/a", TIER_S) is None


def headers(limit: str, remaining: int, reset: int) -> dict[str, str]:
    return {"RateLimit-Limit": limit, "RateLimit-Remaining": str(remaining), "RateLimit-Reset": str(reset)}


def test_headers_are_about_the_window_with_the_least_remaining():
    hand = Hand(650.25)
    limits = Limits(hand)
    assert limits.enter("/a", TIER_S) == headers("3, 3;w=1, 60;w=60", 2, 0)
    assert limits.enter("/a", TIER_S) == headers("3, 3;w=1, 60;w=60", 1, 0)
    for second in range(660, 679):
        hand.now = second + 0.5
        found = [limits.enter("/a", TIER_S)["RateLimit-Remaining"] for _ in range(3)]
        assert found == ["2", "1", "0"]
    hand.now = 679.5
    assert [limits.enter("/a", TIER_S)["RateLimit-Remaining"] for _ in range(2)] == ["2", "1"]
    hand.now = 680.5
    assert limits.enter("/a", TIER_S) == headers("60, 3;w=1, 60;w=60", 0, 39)


def test_headers_may_always_be_about_the_burst():
    hand = Hand(600.0)
    limits = Limits(hand, RateLimitHeaders.ALWAYS_BURST)
    for second in range(20):
        hand.now = 600.9 + second
        assert [limits.enter("/a", TIER_S) for _ in range(3)][-1] == headers("3, 3;w=1, 60;w=60", 0, 0)


def test_headers_may_be_about_the_minute_as_documented():
    limits = Limits(Hand(650.25), RateLimitHeaders.MINUTE)
    assert limits.enter("/a", TIER_L) == headers("750", 749, 10)
    assert limits.enter("/a", TIER_L)["RateLimit-Remaining"] == "748"


def test_a_daily_limit_asks_to_wait_until_the_day_is_over():
    hand = Hand(86_400.0 * 3 + 3600)
    limits = Limits(hand, daily=2)
    assert limits.enter("/a", TIER_L) == headers("2, 75;w=1, 750;w=60, 2;w=86400", 1, 82_800)
    limits.enter("/a", TIER_L)
    hand.now += 120
    assert retry_after(limits, "/a", TIER_L) == 86_400 - 3720


def test_a_lower_limit_counts_besides_the_endpoints_own():
    limits = Limits(Hand(600.0))
    assert limits.enter("/a", TIER_L, TIER_XS)["RateLimit-Limit"] == "1, 1;w=1, 15;w=60"
    assert retry_after(limits, "/a", TIER_L, TIER_XS) == 1
    assert limits.enter("/a", TIER_L)["RateLimit-Remaining"] == "73"


def test_endpoints_do_not_share_a_window():
    limits = Limits(Hand(600.0))
    limits.enter("/a", TIER_XS)
    limits.enter("/b", TIER_XS)
    with pytest.raises(ApiError):
        limits.enter("/a", TIER_XS)
