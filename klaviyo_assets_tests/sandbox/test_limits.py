import pytest

from klaviyo_assets.catalog.model import TIER_L, TIER_S, TIER_XS
from klaviyo_assets.sandbox.errors import ApiError
from klaviyo_assets.sandbox.limits import Limits
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


def test_headers_tell_the_steady_window():
    limits = Limits(Hand(650.25))
    assert limits.enter("/a", TIER_L) == {"RateLimit-Limit": "750", "RateLimit-Remaining": "749", "RateLimit-Reset": "10"}
    assert limits.enter("/a", TIER_L)["RateLimit-Remaining"] == "748"


def test_a_lower_limit_counts_besides_the_endpoints_own():
    limits = Limits(Hand(600.0))
    assert limits.enter("/a", TIER_L, TIER_XS)["RateLimit-Limit"] == "15"
    assert retry_after(limits, "/a", TIER_L, TIER_XS) == 1
    assert limits.enter("/a", TIER_L)["RateLimit-Remaining"] == "748"


def test_endpoints_do_not_share_a_window():
    limits = Limits(Hand(600.0))
    limits.enter("/a", TIER_XS)
    limits.enter("/b", TIER_XS)
    with pytest.raises(ApiError):
        limits.enter("/a", TIER_XS)
