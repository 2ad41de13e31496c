"""Requests of the client, its retries, and links and redirects that it does not follow."""

import asyncio
import gzip
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate

import httpx
import msgspec
import pytest

from klaviyo_assets._version import __version__
from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import (
    BadRequest,
    ConnectionFailed,
    CursorRefused,
    ForeignLink,
    InvalidResponse,
    KlaviyoError,
    NotFound,
    RateLimited,
    RequestRefused,
    ServerFault,
)
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets_tests.api.client_helpers import HTML, KEY, LISTS, error_text, errors, page, read_lists
from klaviyo_assets_tests.api.scripted import Reply, Scripted


def test_every_request_has_the_key_the_revision_and_the_user_agent(server: Scripted) -> None:
    read_lists(server)

    ((_, headers),) = server.requests
    assert headers["authorization"] == f"Klaviyo-API-Key {KEY}"
    assert headers["revision"] == "2026-07-15"
    assert headers["x-klaviyo-revision-fall-forward-opt-out"] == "1"
    assert headers["accept"] == "application/vnd.api+json"
    assert headers["user-agent"] == f"klaviyo-assets/{__version__} python-httpx/{httpx.__version__}"


def test_key_is_in_one_header_and_in_no_url(server: Scripted) -> None:
    server.respond_with(page("a", next_url="/api/lists?page%5Bcursor%5D=abc"), page("b"))

    read_lists(server)

    assert len(server.requests) == 2
    for path, headers in server.requests:
        assert KEY not in path
        assert [name for name, value in headers.items() if KEY in value] == ["authorization"]


def test_traffic_counts_what_was_sent_and_received(server: Scripted) -> None:
    replies = [Reply(503, b"busy"), page("a", next_url="/api/lists?page%5Bcursor%5D=abc"), Reply(drop=True), page("b")]
    server.respond_with(*replies)

    _, client = read_lists(server)

    assert (client.traffic.requests, client.traffic.throttled) == (4, 0)
    assert client.traffic.bytes == len(replies[0].body) + len(replies[1].body) + len(replies[3].body)


def test_bytes_are_counted_after_decompression(server: Scripted) -> None:
    plain = page("a")
    server.respond_with(Reply(body=gzip.compress(plain.body), headers={"Content-Encoding": "gzip"}))

    found, client = read_lists(server)

    assert found == ["a"]
    assert client.traffic.bytes == len(plain.body)
    assert "gzip" in server.requests[0][1]["accept-encoding"]


def test_programming_error_in_the_decoder_is_not_hidden(server: Scripted) -> None:
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
def test_transient_error_is_retried(reply: Reply, server: Scripted) -> None:
    server.respond_with(reply, reply, page("a"))

    found, client = read_lists(server, retries=2)

    assert found == ["a"]
    assert len(server.requests) == client.traffic.requests == 3
    assert client.traffic.throttled == (2 if reply.status == 429 else 0)


def test_too_deeply_nested_record_does_not_stop_a_page(server: Scripted) -> None:
    server.respond_with(
        Reply(body=b'{"data": [{"type": "list", "id": "a", "attributes": {"new": ' + b"[" * 100_000 + b"]" * 100_000 + b'}}], "links": {}}')
    )

    assert read_lists(server, retries=0)[0] == ["a"]


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_lasting_error_is_retried_as_often_as_configured(retries: int, server: Scripted) -> None:
    server.respond_with(Reply(503, b""))

    error_text(server, ServerFault, retries=retries)

    assert len(server.requests) == retries + 1


def test_connection_refused(server: Scripted) -> None:
    server.base_url = "http://127.0.0.1:9"
    assert "https://status.klaviyo.com" in error_text(server, ConnectionFailed)


@pytest.mark.parametrize(("retry_after", "waits"), [("0", [0.01, 0.02, 0.03]), ("1", [1.0, 1.0, 1.0])])
def test_wait_grows_with_each_429(retry_after: str, waits: list[float], server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another client can use up the account's limit for longer than a few responses with a short ``Retry-After``."""
    closed: list[float] = []
    monkeypatch.setattr("klaviyo_assets.api.retries.backoff", lambda state: state.attempt_number / 100)
    monkeypatch.setattr("klaviyo_assets.api.rate_limit.limiter.RateLimiter.close_for", lambda _, seconds: closed.append(seconds))
    server.respond_with(errors(429, "throttled", "Request was throttled.", **{"Retry-After": retry_after}))

    error_text(server, RateLimited, retries=3)

    assert closed == waits


@pytest.mark.long
def test_a_429_makes_every_request_wait(server: Scripted) -> None:
    server.respond_with(errors(429, "throttled", "Request was throttled.", **{"Retry-After": "1"}), page("a"))

    async def two_at_once() -> float:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url, concurrency=1)) as client:
            decode = PageDecoder(LISTS).page
            await asyncio.gather(client.get(LISTS, "/api/lists", {}, decode), client.get(LISTS, "/api/lists", {}, decode))
            return client.seconds_waited

    assert asyncio.run(two_at_once()) >= 1.0


def test_pagination_follows_links_next(server: Scripted) -> None:
    second = f"{server.base_url}/api/lists?page%5Bcursor%5D=abc"
    server.respond_with(page("a", "b", next_url=second), page("c", next_url=None))

    assert read_lists(server)[0] == ["a", "b", "c"]
    assert server.requests[1][0] == "/api/lists?page%5Bcursor%5D=abc"


def test_a_link_to_another_host_is_not_followed(server: Scripted, elsewhere: Scripted) -> None:
    server.respond_with(page("a", next_url=f"{elsewhere.base_url}/api/lists?page%5Bcursor%5D=abc"))

    assert "it was not followed" in error_text(server, ForeignLink)
    assert elsewhere.requests == []


def test_a_redirect_to_another_host_is_not_followed(server: Scripted, elsewhere: Scripted) -> None:
    server.respond_with(Reply(307, b"", headers={"Location": f"{elsewhere.base_url}/api/lists"}))

    error_text(server, RequestRefused)

    assert elsewhere.requests == []


def test_loop_of_links_is_detected(server: Scripted) -> None:
    server.respond_with(page("a", next_url=f"{server.base_url}/api/lists?page%5Bcursor%5D=abc"))

    assert "form a loop" in error_text(server, InvalidResponse)


def test_key_in_klaviyos_error_text_is_masked(server: Scripted) -> None:
    server.respond_with(errors(400, "invalid", f"Unexpected value {KEY} in header"))

    assert "Unexpected value pk_*** in header" in error_text(server, BadRequest)


def test_server_clock_is_the_date_of_responses(server: Scripted) -> None:
    async def clock() -> str:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url)) as client:
            with pytest.raises(RuntimeError, match="before the first response"):
                client.now()
            response = await client.get(LISTS, "/api/lists", {}, msgspec.json.decode)
            assert response.requested_at <= client.now()
            return client.now().tzname() or ""

    assert asyncio.run(clock()) == "UTC"


def test_too_long_wait_fails_with_its_duration(server: Scripted) -> None:
    server.respond_with(errors(429, "throttled", "Request was throttled.", **{"Retry-After": "3600"}))

    assert "The server asks to wait 1 hour, until " in error_text(server, RateLimited)
    assert len(server.requests) == 1


@pytest.mark.long
def test_response_that_never_ends_is_aborted(server: Scripted) -> None:
    server.respond_with(Reply(drip=0.05), page("a"))

    found, client = read_lists(server, timeout=0.2)

    assert found == ["a"]
    assert client.traffic.requests == 2


def test_refused_page_link_has_its_own_error(server: Scripted) -> None:
    server.respond_with(page("a", next_url="/api/lists?page%5Bcursor%5D=abc"), errors(400, "invalid", "Invalid cursor provided."))

    assert "no longer accepts the cursor of its own link" in error_text(server, CursorRefused)
    assert len(server.requests) == 2


def test_document_without_links_is_not_the_last_page(server: Scripted) -> None:
    server.respond_with(Reply(body=b'{"data": []}'))

    async def walk() -> None:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url, max_retries=1)) as client:
            await anext(client.pages(LISTS, {}, PageDecoder(LISTS).linked_page))

    with pytest.raises(InvalidResponse):
        asyncio.run(walk())


@pytest.mark.long
@pytest.mark.parametrize("header", [lambda: "1", lambda: formatdate(time.time() + 2, usegmt=True)], ids=["seconds", "date"])
def test_retry_waits_for_retry_after(header: Callable[[], str], server: Scripted) -> None:
    server.respond_with(Reply(503, b"", headers={"Retry-After": header()}), page("a"))
    began = time.monotonic()

    found, client = read_lists(server)

    assert (found, client.traffic.requests) == (["a"], 2)
    assert time.monotonic() - began >= 0.9


def test_too_long_retry_after_fails_the_request(server: Scripted) -> None:
    server.respond_with(Reply(503, b"", headers={"Retry-After": "301"}))

    assert "The server asks to wait 5 minutes 1 second, until" in error_text(server, ServerFault)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "kind"), [(400, BadRequest), (404, NotFound)])
def test_a_refused_request_for_an_own_type_is_explained_by_its_definition(status: int, kind: type[KlaviyoError], server: Scripted) -> None:
    server.respond_with(errors(status, "invalid", "'color' is not a valid filter."))
    entry = replace(LISTS, name="palettes")

    async def get() -> None:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url)) as client:
            await client.get(entry, "/api/lists", {}, msgspec.json.decode)

    with pytest.raises(kind, match="Compare the resource type palettes in your code with Klaviyo's reference") as caught:
        asyncio.run(get())
    assert "issue" not in str(caught.value)
