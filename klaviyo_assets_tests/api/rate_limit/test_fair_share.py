"""Usage by other clients is detected from the headers of either window and left to them; without others, the full share is used."""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.api.rate_limit.fair_share import FairShare
from klaviyo_assets.api.rate_limit.headers import RateReport
from klaviyo_assets.api.rate_limit.usage import Usage
from klaviyo_assets.catalog.endpoint import TIER_L, TIER_M, TIER_S, TIER_XL, TIER_XS, RateLimit
from klaviyo_assets.sandbox.limits import RateLimitHeaders
from klaviyo_assets_tests.api.shared_account import Responses, SharedAccount, at_random, evenly, in_groups
from klaviyo_assets_tests.api.virtual_time import run_in_virtual_time

FORMS = list(RateLimitHeaders)
RECORDED = RateLimitHeaders.RECORDED


def played(scene: Coroutine[Any, Any, SharedAccount], monkeypatch: pytest.MonkeyPatch) -> SharedAccount:
    account = run_in_virtual_time(scene, monkeypatch)
    assert isinstance(account, SharedAccount)
    return account


async def with_another(limit: RateLimit, form: RateLimitHeaders, share: float, times: list[float], seconds: float, **server: Any) -> SharedAccount:
    account = SharedAccount(limit, form, **server)
    await asyncio.gather(account.sync(share, seconds), account.other(times))
    return account


def rejected_shares(account: SharedAccount) -> tuple[float, float]:
    """Return the rejected share of the others' requests after ten seconds, and of ours."""
    accepted, rejected = account.others.since(10)
    return rejected / (accepted + rejected), len(account.ours.rejected) / (len(account.ours.accepted) + len(account.ours.rejected))


def combined(account: SharedAccount, limit: RateLimit, seconds: float) -> float:
    return (len(account.ours.accepted) + len(account.others.accepted)) / (limit.steady / 60 * seconds)


@pytest.mark.long
@pytest.mark.parametrize("offset", [0.0, 20.37, 55.0])
@pytest.mark.parametrize("form", FORMS)
def test_client_that_uses_half_of_the_limit_gets_almost_no_rejections(form: RateLimitHeaders, offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever within the server's minute a sync begins."""
    share = 1.0 if offset else 0.9
    account = played(with_another(TIER_XL, form, share, at_random(29.2, 0, 120), 120, offset=offset), monkeypatch)

    others, ours = rejected_shares(account)
    assert others <= 0.01
    assert ours <= 0.001
    assert combined(account, TIER_XL, 120) >= 0.9


@pytest.mark.long
@pytest.mark.parametrize(
    ("form", "times", "server"),
    [
        (RECORDED, evenly(29.2, 0, 80), {}),
        (RECORDED, in_groups(29.2, 0, 80), {}),
        (RECORDED, at_random(29.2, 0, 80), {"latency": 0.3, "jitter": 0.4}),
        (RECORDED, at_random(29.2, 0, 80), {"jitter": 0.3, "counts_late": True}),
        (RECORDED, at_random(46.7, 0, 80), {"offset": 3.0}),
        (RateLimitHeaders.MINUTE, at_random(46.7, 0, 80), {"offset": 3.0}),
        (RECORDED, at_random(11.7, 0, 80), {}),
    ],
    ids=["evenly", "once a second", "slow", "counted late", "four fifths", "four fifths, minute", "a fifth"],
)
def test_other_clients_keep_what_they_use(
    form: RateLimitHeaders, times: list[float], server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    account = played(with_another(TIER_XL, form, 0.9, times, 80, **server), monkeypatch)

    others, ours = rejected_shares(account)
    assert others <= 0.01
    assert ours <= 0.002
    assert combined(account, TIER_XL, 80) >= 0.9


@pytest.mark.long
def test_share_follows_when_others_start_and_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    account = played(with_another(TIER_XL, RECORDED, 0.9, at_random(29.2, 40, 90), 150), monkeypatch)

    assert rejected_shares(account)[0] <= 0.01
    by_second = [sum(second <= at < second + 10 for at in account.ours.accepted) / 10 for second in (20, 70, 130)]
    assert by_second[0] == pytest.approx(52.5, abs=1.5)
    assert by_second[1] < 32
    assert by_second[2] == pytest.approx(52.5, abs=1.5)


@pytest.mark.long
@pytest.mark.parametrize("share", [0.95, 1.0])
@pytest.mark.parametrize("form", FORMS)
def test_full_share_is_used_without_other_clients(form: RateLimitHeaders, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    account = played(with_another(TIER_XL, form, share, [], 120, jitter=0.2), monkeypatch)

    assert account.ours.rejected == []
    assert len(account.ours.accepted) == pytest.approx(2 * share * TIER_XL.steady, rel=0.006)


@pytest.mark.parametrize("limit", [TIER_L, TIER_M, TIER_S, TIER_XS], ids=["L", "M", "S", "XS"])
@pytest.mark.parametrize("form", [RECORDED, RateLimitHeaders.MINUTE])
def test_small_limit_is_used_fully_without_other_clients(form: RateLimitHeaders, limit: RateLimit, monkeypatch: pytest.MonkeyPatch) -> None:
    account = played(with_another(limit, form, 1.0, [], 180), monkeypatch)

    assert account.ours.rejected == []
    assert len(account.ours.accepted) >= 3 * limit.steady


@pytest.mark.long
@pytest.mark.parametrize(("limit", "max_rejected"), [(TIER_L, 0.01), (TIER_M, 0.08), (TIER_S, 0.15)], ids=["L", "M", "S"])
@pytest.mark.parametrize("form", FORMS)
def test_other_clients_keep_what_they_use_of_small_limits_too(
    form: RateLimitHeaders, limit: RateLimit, max_rejected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With few requests, some rejections happen by chance."""
    account = played(with_another(limit, form, 0.9, at_random(limit.steady / 120, 0, 240), 240), monkeypatch)

    assert rejected_shares(account)[0] <= max_rejected
    assert combined(account, limit, 240) >= 0.8


def test_429_with_a_wait_of_more_than_a_second_reveals_other_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst window of one request never has any left."""
    account = played(with_another(TIER_XS, RECORDED, 0.9, evenly(0.12, 0.5, 240), 240), monkeypatch)

    minutes = [sum(60 * number <= at < 60 * number + 60 for at in account.ours.accepted) for number in range(4)]
    assert max(minutes) <= 14
    assert min(minutes) <= 7


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
def test_two_syncs_share_the_limit_without_oscillating(form: RateLimitHeaders, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Responses()

    async def scene() -> SharedAccount:
        account = SharedAccount(TIER_XL, form)
        await asyncio.gather(account.sync(0.9, 140), account.sync(0.9, 140, other))
        return account

    account = played(scene(), monkeypatch)

    assert len(account.ours.rejected) + len(other.rejected) <= 7
    late = [(sum(at // 20 == number for at in account.ours.accepted), sum(at // 20 == number for at in other.accepted)) for number in range(2, 7)]
    assert all(0.82 <= (one + another) / (TIER_XL.steady / 3) <= 1.04 for one, another in late)
    assert all(0.5 <= one / another <= 2 for one, another in late)


@pytest.mark.parametrize("others", [0, 6, 30])
@pytest.mark.parametrize("ours", [6, 30, 55])
def test_sliding_window_is_recognized(ours: int, others: int) -> None:
    usage = Usage()
    counted: list[float] = []
    for number in range(ours * 10):
        at = number / ours
        counted += [at - part / others for part in range(math.ceil(others / ours)) if others and number % max(1, round(ours / others)) == 0] + [at]
        counted = [one for one in counted if one > at - 1]
        usage.record_response(usage.record_request(at), used=len(counted))
    usage.look(10.0)

    rate = (len(counted) - ours) if others else 0
    assert usage.others == pytest.approx(rate, abs=max(1.5, 0.15 * rate))


def test_sync_continues_however_busy_others_are() -> None:
    share, at = FairShare(TIER_XL, 0.9), 0.0
    for number in range(4000):
        at += 0.02
        share.record_response(share.record_request(at), RateReport(350, 1, max(0, 300 - 6 * (number % 50)), 0), at)

    assert share.own_share == pytest.approx(0.09)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2, 60, 86_400]),
            st.none() | st.integers(-(10**9), 10**9),
            st.integers(-(10**9), 10**9),
            st.integers(-(10**9), 10**9),
            st.floats(0, 1e6),
            st.none() | st.floats(0, 1e9),
        ),
        max_size=60,
    )
)
def test_arbitrary_headers_do_no_harm(responses: list[tuple[int, int | None, int, int, float, float | None]]) -> None:
    share, at = FairShare(TIER_XL, 0.9), 0.0
    for seconds, limit, remaining, reset, passed, rejected_for in responses:
        at += passed
        request = share.record_request(at)
        if rejected_for is not None:
            share.record_rejection(request, rejected_for, at)
        else:
            share.record_response(request, RateReport(limit, seconds, remaining, reset), at)
        assert 0.09 - 1e-9 <= share.own_share <= 0.9
        assert 0 <= share.foreign_share <= 1
