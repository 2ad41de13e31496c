"""The requests that show Klaviyo's time before a sync."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import InvalidResponse, NotFound
from klaviyo_assets.api.probe import sync_clock
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets_tests.api.client_helpers import HTML, KEY, LISTS, errors, page
from klaviyo_assets_tests.api.scripted import Reply, Scripted
from klaviyo_assets_tests.outside_types import SEGMENT_PEOPLE

GONE = errors(404, "not_found", "A segment with id a does not exist.")
FIVE_HOURS_AHEAD = format_datetime(datetime.now(UTC) + timedelta(hours=5), usegmt=True)


def clock_known(server: Scripted, entry: ResourceType) -> bool:
    """Synchronize the clock with a type's endpoint; return whether the time is known then."""

    async def run() -> bool:
        options = ClientSettings(base_url=server.base_url, max_retries=0, rate_limit_share=1.0)
        async with KlaviyoClient(ApiKey(KEY), options) as client:
            await sync_clock(client, entry)
            return client.time_is_known

    return asyncio.run(run())


def test_responses_with_another_time_each_are_an_error_after_a_few_requests(server: Scripted) -> None:
    noon = datetime.now(UTC)
    dates = [format_datetime(noon + timedelta(hours=5 * (number + 1)), usegmt=True) for number in range(10)]
    server.respond_with(*(Reply(headers={"Date": date}) for date in dates))

    with pytest.raises(InvalidResponse, match=r"^Klaviyo's responses disagree about the current time, so the end of the covered time is unknown\."):
        clock_known(server, LISTS)
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("entry", "reply"),
    [(LISTS, errors(404, "not_found", "Not found.")), (LISTS, Reply(404, b"<html>", HTML)), (SEGMENT_PEOPLE, Reply(404, b"<html>", HTML))],
    ids=["no collection", "no server", "no server of the children"],
)
def test_an_endpoint_that_does_not_exist_is_an_error_although_its_response_has_a_date(entry: ResourceType, reply: Reply, server: Scripted) -> None:
    server.responder = lambda path: page("a") if entry.parent is not None and path.startswith("/api/segments?") else reply

    with pytest.raises(NotFound):
        clock_known(server, entry)


def test_a_response_that_a_parent_is_deleted_shows_the_time_too(server: Scripted) -> None:
    at = {"Date": FIVE_HOURS_AHEAD}
    server.responder = lambda path: Reply(200, page("a").body, headers=at) if path.startswith("/api/segments?") else Reply(404, GONE.body, headers=at)

    assert clock_known(server, SEGMENT_PEOPLE)
