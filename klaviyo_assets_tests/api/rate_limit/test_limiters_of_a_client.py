"""The limiters that a client has for its endpoints."""

import asyncio
import threading
from collections import Counter
from dataclasses import replace

import pytest

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import RateLimited
from klaviyo_assets.catalog import LISTS, PROFILES
from klaviyo_assets.catalog.endpoint import TIER_L, TIER_M, RateLimit
from klaviyo_assets_tests.api.client_helpers import KEY, error_text, errors, page, read_lists
from klaviyo_assets_tests.api.scripted import Scripted
from klaviyo_assets_tests.api.virtual_time import now

# --- limiters of the client


def limiters_of(client: KlaviyoClient) -> Counter[tuple[str, RateLimit]]:
    return Counter(client._limiters.keys())


def test_each_limit_has_its_own_limiter(server: Scripted) -> None:
    async def run() -> set[tuple[str, RateLimit]]:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url)) as client:
            predictive = {"additional-fields[profile]": "subscriptions,predictive_analytics"}
            await client.get(PROFILES, "/api/profiles", {}, len)
            await client.get(PROFILES, "/api/profiles", predictive, len)
            await client.get(PROFILES, "/api/profiles?additional-fields%5Bprofile%5D=predictive_analytics&page%5Bcursor%5D=a", {}, len)
            await client.get(PROFILES, "/api/profiles/P1", {}, len)
            await client.get(PROFILES, f"{server.base_url}/api/profiles/P2", {}, len)
            await client.get(LISTS, "/api/lists", {}, len)
            return set(limiters_of(client))

    assert asyncio.run(run()) == {
        ("/api/profiles", TIER_L),
        ("/api/profiles", TIER_M),
        ("/api/profiles/id", TIER_L),
        ("/api/lists", TIER_L),
    }


@pytest.mark.long
def test_429_closes_the_limiter_of_its_endpoint_only_for_all_requests(server: Scripted) -> None:
    """No request is sent before the second is over, however many are waiting."""
    server.respond_with(errors(429, "throttled", "Request was throttled.", **{"Retry-After": "1"}), page("a"))

    async def run() -> tuple[float, float, list[float]]:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url, concurrency=1)) as client:
            began = now()
            granted: list[float] = []

            async def one() -> None:
                await client.get(LISTS, "/api/lists", {}, len)
                granted.append(now() - began)

            first = asyncio.create_task(one())
            while not client.traffic.throttled:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            others = [asyncio.create_task(one()) for _ in range(3)]
            await asyncio.gather(first, *others)
            lists, profiles = (client._limiter(entry, entry.endpoint.path, {}) for entry in (LISTS, PROFILES))
            return lists.seconds_waited, profiles.seconds_waited, granted

    lists, profiles, granted = asyncio.run(run())

    assert min(granted) >= 1
    assert lists >= 1
    assert profiles == 0
    assert len(server.requests) == 5


def test_daily_limit_is_not_waited_for_and_the_message_has_its_end(server: Scripted) -> None:
    server.respond_with(errors(429, "throttled", "Request was throttled.", **{"Retry-After": "78035"}))

    text = error_text(server, RateLimited)

    assert "The server asks to wait 21 hours 40 minutes, until 20" in text
    assert "A daily limit of the account seems to be used up" in text
    assert len(server.requests) == 1


@pytest.mark.long
def test_next_request_waits_for_the_reset_if_no_requests_are_left(server: Scripted) -> None:
    spent = {"RateLimit-Limit": "750", "RateLimit-Remaining": "0", "RateLimit-Reset": "2"}
    server.respond_with(replace(page("a", next_url="/api/lists?page%5Bcursor%5D=abc"), headers=spent), page("b"))

    found, client = read_lists(server)

    assert found == ["a", "b"]
    assert client.seconds_waited >= 1
    assert (client.traffic.requests, client.traffic.throttled) == (2, 0)


def test_concurrency_limits_the_requests_in_flight(server: Scripted) -> None:
    server.together = threading.Barrier(3)

    async def run() -> None:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url, concurrency=3)) as client:
            await asyncio.gather(*(client.get(LISTS, "/api/lists", {}, len) for _ in range(9)))

    asyncio.run(run())

    assert server.most_at_once == 3
    assert len(server.requests) == 9
