"""Too large responses are aborted, and too large pages are requested again with fewer records."""

import asyncio
import gzip
import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import ConnectionFailed, InvalidResponse, KlaviyoError, ResponseTooLarge, ServerFault
from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets_tests.api.client_helpers import HTML, KEY, LISTS, error_text, page, read_lists
from klaviyo_assets_tests.api.scripted import Reply, Scripted
from klaviyo_assets_tests.api.test_response_body import bomb

LIMIT = 2_000_000
TOO_LARGE = "Klaviyo's response is larger than 2,000,000 bytes, the maximum size of a response. [GET /api/lists] What to do: If records are"

TOO_LARGE_REPLIES: dict[str, Callable[[], Reply]] = {
    "plain": lambda: Reply(body=b" " * (LIMIT + 1)),
    "announced": lambda: Reply(headers={"Content-Length": "5000000000"}),
    "announced beyond all numbers": lambda: Reply(headers={"Content-Length": "9" * 19}),
    "endless": lambda: Reply(body=b" " * 60_000, endless=True),
    "endless in small chunks": lambda: Reply(body=b" " * 100, endless=True),
    "endless gzip": lambda: Reply(body=gzip.compress(bytes(range(256)) * 1_000), endless=True, headers={"Content-Encoding": "gzip"}),
    "bomb": lambda: Reply(body=bomb(30), headers={"Content-Encoding": "gzip"}),
    "bomb in a bomb": lambda: Reply(body=bomb(30, 2), headers={"Content-Encoding": "gzip, gzip"}),
}


@pytest.mark.parametrize("reply", TOO_LARGE_REPLIES.values(), ids=TOO_LARGE_REPLIES)
def test_too_large_response_is_aborted_at_once(reply: Callable[[], Reply], server: Scripted) -> None:
    server.respond_with(reply())

    assert error_text(server, ResponseTooLarge, retries=2, max_response_bytes=LIMIT).startswith(TOO_LARGE)
    assert len(server.requests) == 1, "a retry would be as large"
    assert server.bytes_sent < 20 * LIMIT, "no more than fits in the buffers between client and server"


def test_response_of_exactly_the_limit_is_read(server: Scripted) -> None:
    body = page("a").body
    for reply in (Reply(body=body), Reply(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})):
        server.respond_with(reply)
        assert read_lists(server, max_response_bytes=max(len(body), len(reply.body)))[0] == ["a"]


@pytest.mark.parametrize("reply", [Reply(503, b"<p>" * 30_000, HTML, endless=True), Reply(503, bomb(30), headers={"Content-Encoding": "gzip"})])
def test_endless_error_response_is_mapped_by_its_status(reply: Reply, server: Scripted) -> None:
    server.respond_with(reply)

    error_text(server, ServerFault, retries=0)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(headers={"Content-Length": "10"}), InvalidResponse),
        (Reply(headers={"Content-Length": "1000"}), ConnectionFailed),
        (Reply(headers={"Content-Length": "-1"}), ConnectionFailed),
        (Reply(headers={"Content-Length": "many"}), ConnectionFailed),
        (Reply(headers={"Content-Encoding": "br"}), InvalidResponse),
        (Reply(headers={"Content-Encoding": "gzip"}), InvalidResponse),
        (Reply(headers={"Content-Encoding": "gzip, " * 1000}), InvalidResponse),
    ],
    ids=["too short", "too long", "negative", "no number", "not requested", "not gzip", "a thousand times"],
)
def test_wrong_length_or_encoding_raises_an_error(reply: Reply, kind: type[KlaviyoError], server: Scripted) -> None:
    server.respond_with(reply)

    error_text(server, kind, retries=0, timeout=0.3)


def events(count: int, size: int, next_url: str | None) -> Reply:
    records = [{"type": "event", "id": str(one), "attributes": {"event_properties": {"text": "x" * size}}} for one in range(count)]
    return Reply(body=json.dumps({"data": records, "links": {"next": next_url}}).encode())


def page_sizes(server: Scripted) -> list[str]:
    return [parse_qs(urlsplit(path).query)["page[size]"][0] for path, _ in server.requests]


def walk(server: Scripted) -> int:
    async def run() -> int:
        options = ClientSettings(base_url=server.base_url, max_retries=0, rate_limit_share=1.0, max_response_bytes=LIMIT)
        async with KlaviyoClient(ApiKey(KEY), options) as client:
            pages = client.pages(EVENTS, {"page[size]": "1000", "sort": "datetime"}, PageDecoder(EVENTS).linked_page)
            return sum([response.value.count async for response in pages])

    return asyncio.run(run())


def test_too_large_page_is_requested_again_with_fewer_records(server: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    link = f"{server.base_url}/api/events?sort=datetime&page%5Bsize%5D=125&page%5Bcursor%5D=abc"
    server.respond_with(events(300, 10_000, None), events(2, 10_000, link), events(250, 10_000, None), events(15, 10_000, None))

    assert walk(server) == 17
    assert page_sizes(server) == ["1000", "125", "125", "15"]
    assert "page%5Bcursor%5D=abc" in server.requests[-1][0], "it continues from the same cursor"
    assert "Pages of 125 records are requested instead of 1000." in caplog.text


def test_too_large_single_record_raises_an_error(server: Scripted) -> None:
    server.respond_with(events(1, LIMIT, None))

    with pytest.raises(ResponseTooLarge):
        walk(server)
    assert page_sizes(server) == ["1000", "125", "15", "1"]


def test_endpoint_without_page_size_is_not_requested_again(server: Scripted) -> None:
    server.respond_with(Reply(body=b" " * (LIMIT + 1)))

    error_text(server, ResponseTooLarge, max_response_bytes=LIMIT)
    assert LISTS.endpoint.path in server.requests[0][0]
    assert len(server.requests) == 1
