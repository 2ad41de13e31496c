"""What the client sends, what it tries again, and where it does not go."""

import asyncio
import gzip
import time
from collections.abc import Callable
from email.utils import formatdate

import httpx
import msgspec
import pytest

from klaviyo_assets._version import __version__
from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.errors import (
    BadAnswer,
    BadRequest,
    ConnectionFailed,
    CursorRefused,
    ForeignLink,
    RateLimited,
    RequestRefused,
    ServerFault,
)
from klaviyo_assets.api.options import ClientSettings
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets_tests.api.asking import HTML, KEY, LISTS, ask, errors, page, refused
from klaviyo_assets_tests.api.scripted import Reply, Scripted


def test_every_request_carries_the_key_the_revision_and_an_honest_name(server: Scripted) -> None:
    ask(server)

    ((_, headers),) = server.requests
    assert headers["authorization"] == f"Klaviyo-API-Key {KEY}"
    assert headers["revision"] == "2026-07-15"
    assert headers["x-klaviyo-revision-fall-forward-opt-out"] == "1"
    assert headers["accept"] == "application/vnd.api+json"
    assert headers["user-agent"] == f"klaviyo-assets/{__version__} python-httpx/{httpx.__version__}"


def test_the_key_is_in_no_url_and_in_one_header(server: Scripted) -> None:
    server.will(page("a", next_url="/api/lists?page%5Bcursor%5D=abc"), page("b"))

    ask(server)

    assert len(server.requests) == 2
    for path, headers in server.requests:
        assert KEY not in path
        assert [name for name, value in headers.items() if KEY in value] == ["authorization"]


def test_traffic_counts_what_was_sent_and_received(server: Scripted) -> None:
    replies = [Reply(503, b"busy"), page("a", next_url="/api/lists?page%5Bcursor%5D=abc"), Reply(drop=True), page("b")]
    server.will(*replies)

    _, client = ask(server)

    assert (client.traffic.requests, client.traffic.throttled) == (4, 0)
    assert client.traffic.bytes == len(replies[0].body) + len(replies[1].body) + len(replies[3].body)


def test_bytes_are_counted_as_they_are_read(server: Scripted) -> None:
    plain = page("a")
    server.will(Reply(body=gzip.compress(plain.body), headers={"Content-Encoding": "gzip"}))

    found, client = ask(server)

    assert found == ["a"]
    assert client.traffic.bytes == len(plain.body)
    assert "gzip" in server.requests[0][1]["accept-encoding"]


def test_an_error_of_the_decoder_that_is_none_of_the_answer_is_not_hidden(server: Scripted) -> None:
    async def get() -> None:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url)) as client:
            await client.get(LISTS, "/api/lists", {}, lambda body: body.nothing)  # type: ignore[attr-defined]

    with pytest.raises(AttributeError):
        asyncio.run(get())
    assert len(server.requests) == 1


TRANSIENT = {
    "500": errors(500, "error", "A server error occurred."),
    "502-html": Reply(502, b"<html>Bad gateway</html>", HTML),
    "503": errors(503, "service_unavailable", "Please try again."),
    "dropped": Reply(drop=True),
    "cut": Reply(cut=True),
    "html": Reply(body=b"<html>Sign in</html>", type=HTML),
    "broken-json": Reply(body=b'{"data": ['),
    "no-collection": Reply(body=b'{"data": 5}'),
    "no-utf8": Reply(body=b'{"data": [{"id": "a\xff"}]}'),
    "bad-gzip": Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"}),
    "429": errors(429, "throttled", "Request was throttled.", **{"Retry-After": "0"}),
}


@pytest.mark.parametrize("reply", TRANSIENT.values(), ids=TRANSIENT)
def test_a_transient_fault_is_tried_again(reply: Reply, server: Scripted) -> None:
    server.will(reply, reply, page("a"))

    found, client = ask(server, retries=2)

    assert found == ["a"]
    assert len(server.requests) == client.traffic.requests == 3
    assert client.traffic.throttled == (2 if reply.status == 429 else 0)


def test_a_record_that_is_nested_too_deeply_for_parsers_stops_no_page(server: Scripted) -> None:
    server.will(Reply(body=b'{"data": [{"type": "list", "id": "a", "attributes": {"new": ' + b"[" * 100_000 + b"]" * 100_000 + b'}}], "links": {}}'))

    assert ask(server, retries=0)[0] == ["a"]


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_fault_that_lasts_is_tried_as_often_as_is_set(retries: int, server: Scripted) -> None:
    server.will(Reply(503, b""))

    refused(server, ServerFault, retries=retries)

    assert len(server.requests) == retries + 1


def test_connection_refused(server: Scripted) -> None:
    server.base_url = "http://127.0.0.1:9"
    assert "https://status.klaviyo.com" in refused(server, ConnectionFailed)


@pytest.mark.parametrize(("asked", "waits"), [("0", [0.01, 0.02, 0.03]), ("1", [1.0, 1.0, 1.0])])
def test_a_429_that_comes_again_and_again_is_waited_for_longer_each_time(
    asked: str, waits: list[float], server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A neighbour that keeps the account's limit full lasts longer than a few answers that ask for next to nothing."""
    closed: list[float] = []
    monkeypatch.setattr("klaviyo_assets.api.retries.backoff", lambda state: state.attempt_number / 100)
    monkeypatch.setattr("klaviyo_assets.api.rate_limit.limiter.RateLimiter.close_for", lambda _, seconds: closed.append(seconds))
    server.will(errors(429, "throttled", "Request was throttled.", **{"Retry-After": asked}))

    refused(server, RateLimited, retries=3)

    assert closed == waits


def test_a_429_makes_every_request_wait(server: Scripted) -> None:
    server.will(errors(429, "throttled", "Request was throttled.", **{"Retry-After": "1"}), page("a"))

    async def two_at_once() -> float:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url, concurrency=1)) as client:
            decode = PageDecoder(LISTS).page
            await asyncio.gather(client.get(LISTS, "/api/lists", {}, decode), client.get(LISTS, "/api/lists", {}, decode))
            return client.seconds_waited

    assert asyncio.run(two_at_once()) >= 1.0


def test_pages_are_walked_by_links_next(server: Scripted) -> None:
    second = f"{server.base_url}/api/lists?page%5Bcursor%5D=abc"
    server.will(page("a", "b", next_url=second), page("c", next_url=None))

    assert ask(server)[0] == ["a", "b", "c"]
    assert server.requests[1][0] == "/api/lists?page%5Bcursor%5D=abc"


def test_a_link_to_another_host_is_not_followed(server: Scripted, elsewhere: Scripted) -> None:
    server.will(page("a", next_url=f"{elsewhere.base_url}/api/lists?page%5Bcursor%5D=abc"))

    words = refused(server, ForeignLink)

    assert "it was not followed" in words
    assert elsewhere.requests == []


def test_a_redirect_to_another_host_is_not_followed(server: Scripted, elsewhere: Scripted) -> None:
    server.will(Reply(307, b"", headers={"Location": f"{elsewhere.base_url}/api/lists"}))

    refused(server, RequestRefused)

    assert elsewhere.requests == []


def test_links_that_lead_in_a_circle_are_noticed(server: Scripted) -> None:
    server.will(page("a", next_url=f"{server.base_url}/api/lists?page%5Bcursor%5D=abc"))

    assert "form a loop" in refused(server, BadAnswer)


def test_a_key_in_klaviyos_own_words_is_masked(server: Scripted) -> None:
    server.will(errors(400, "invalid", f"Unexpected value {KEY} in header"))

    assert "Unexpected value pk_*** in header" in refused(server, BadRequest)


def test_the_servers_clock_is_the_date_of_its_answers(server: Scripted) -> None:
    async def clock() -> str:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url)) as client:
            with pytest.raises(RuntimeError, match="before the first response"):
                client.now()
            answer = await client.get(LISTS, "/api/lists", {}, msgspec.json.decode)
            assert answer.requested_at <= client.now()
            return client.now().tzname() or ""

    assert asyncio.run(clock()) == "UTC"


def test_a_wait_that_is_too_long_ends_the_sync_and_says_so(server: Scripted) -> None:
    server.will(errors(429, "throttled", "Request was throttled.", **{"Retry-After": "3600"}))

    assert "The server asks to wait 1 hour, until " in refused(server, RateLimited)
    assert len(server.requests) == 1


def test_an_answer_that_never_ends_is_given_up(server: Scripted) -> None:
    server.will(Reply(drip=0.05), page("a"))

    found, client = ask(server, timeout=0.2)

    assert found == ["a"]
    assert client.traffic.requests == 2


def test_a_link_of_klaviyos_that_is_refused_is_told_apart(server: Scripted) -> None:
    server.will(page("a", next_url="/api/lists?page%5Bcursor%5D=abc"), errors(400, "invalid", "Invalid cursor provided."))

    assert "no longer accepts the cursor of its own link" in refused(server, CursorRefused)
    assert len(server.requests) == 2


def test_a_document_without_links_is_not_taken_for_the_last_page(server: Scripted) -> None:
    server.will(Reply(body=b'{"data": []}'))

    async def walk() -> None:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url, max_retries=1)) as client:
            await anext(client.pages(LISTS, {}, PageDecoder(LISTS).linked_page))

    with pytest.raises(BadAnswer):
        asyncio.run(walk())


@pytest.mark.parametrize("header", [lambda: "1", lambda: formatdate(time.time() + 2, usegmt=True)], ids=["seconds", "date"])
def test_a_fault_that_asks_to_wait_is_waited_for(header: Callable[[], str], server: Scripted) -> None:
    server.will(Reply(503, b"", headers={"Retry-After": header()}), page("a"))
    began = time.monotonic()

    found, client = ask(server)

    assert (found, client.traffic.requests) == (["a"], 2)
    assert time.monotonic() - began >= 0.9


def test_a_fault_that_asks_to_wait_too_long_ends_the_request(server: Scripted) -> None:
    server.will(Reply(503, b"", headers={"Retry-After": "301"}))

    assert "The server asks to wait 5 minutes 1 second, until" in refused(server, ServerFault)
    assert len(server.requests) == 1
