"""What a user reads for each answer that is not a success, and what the client does about it."""

import asyncio
import gzip

import httpx
import msgspec
import pytest

from klaviyo_assets._version import __version__
from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import ClientSettings, KlaviyoClient
from klaviyo_assets.api.errors import (
    ApiKeyRejected,
    BadAnswer,
    BadRequest,
    ConnectionFailed,
    EdgeBlocked,
    ForeignLink,
    KlaviyoError,
    NotFound,
    PlanGate,
    RateLimited,
    RequestRefused,
    RevisionRetired,
    ScopeMissing,
    ServerFault,
)
from klaviyo_assets.frames import PageDecoder
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

    assert (client.traffic.requests, client.traffic.retries, client.traffic.throttled) == (4, 2, 0)
    assert dict(client.traffic.statuses) == {503: 1, 200: 2}
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


FINAL = [
    (
        errors(401, "authentication_failed", "Incorrect authentication credentials."),
        ApiKeyRejected,
        "Klaviyo does not accept the API key. [GET /api/lists: 401 authentication_failed: “Incorrect authentication credentials.”] "
        "What to do: Check that the key is a private one (pk_…), copied whole, still active and of the right account",
    ),
    (errors(400, "invalid", "Invalid or missing API key"), ApiKeyRejected, "400 invalid: “Invalid or missing API key”"),
    (Reply(400, b"<html>Bad Request</html>", HTML), ApiKeyRejected, "Klaviyo does not accept the API key. [GET /api/lists: 400]"),
    (
        errors(403, "permission_denied", "You do not have permission to perform this action."),
        ScopeMissing,
        "The API key is valid but lacks the scope lists:read. [GET /api/lists: 403 permission_denied: “You do not have permission to perform "
        "this action.”] What to do: Create a new private API key that has lists:read",
    ),
    (
        errors(403, "permission_denied", "You must have Advanced KDP enabled to use this endpoint."),
        PlanGate,
        "the account's plan does not include this. [GET /api/lists: 403 permission_denied: “You must have Advanced KDP enabled",
    ),
    (Reply(403, b"<html>Attention Required!</html>", HTML), EdgeBlocked, "blocked before it reached Klaviyo's API. [GET /api/lists: 403]"),
    (errors(400, "invalid", "Invalid filter provided."), BadRequest, "Klaviyo refuses the request. [GET /api/lists: 400 invalid: “Invalid filter"),
    (errors(404, "not_found", "No list with that id."), NotFound, "Klaviyo has no such record."),
    (errors(410, "gone", "Revision retired."), RevisionRetired, "What to do: Upgrade klaviyo_assets"),
    (Reply(302, b"", headers={"Location": "http://127.0.0.1:9/"}), RequestRefused, "an answer that was not expected. [GET /api/lists: 302]"),
]


@pytest.mark.parametrize(("reply", "kind", "words"), FINAL, ids=[f"{reply.status}-{kind.__name__}" for reply, kind, _ in FINAL])
def test_an_answer_that_is_final_is_told_at_once(reply: Reply, kind: type[KlaviyoError], words: str, server: Scripted) -> None:
    server.will(reply)

    assert words in refused(server, kind)
    assert len(server.requests) == 1, "sending it again would not help"


TRANSIENT = [
    (errors(500, "error", "A server error occurred."), ServerFault, "Klaviyo could not answer. [GET /api/lists: 500 error: “A server error"),
    (Reply(503, b"<html>Unavailable</html>", HTML), ServerFault, "Klaviyo could not answer. [GET /api/lists: 503]"),
    (Reply(drop=True), ConnectionFailed, "No complete answer from 127.0.0.1"),
    (Reply(cut=True), ConnectionFailed, "No complete answer from 127.0.0.1"),
    (Reply(body=b"<html>Sign in</html>", type=HTML), BadAnswer, "not the JSON that was expected. [GET /api/lists: 200: “text/html"),
    (Reply(body=b'{"data": ['), BadAnswer, "not the JSON that was expected."),
    (Reply(body=b'{"data": 5}'), BadAnswer, "not the JSON that was expected."),
    (Reply(body=b'{"data": [{"id": "a\xff"}]}'), BadAnswer, "not the JSON that was expected."),
    (Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"}), BadAnswer, "could not be decompressed"),
    (errors(429, "throttled", "Request was throttled.", **{"Retry-After": "0"}), RateLimited, "rate limit is shared by all its integrations"),
]
NAMES = ["500", "503-html", "dropped", "cut", "html", "broken-json", "no-collection", "no-utf8", "bad-gzip", "429"]


@pytest.mark.parametrize(("reply", "kind", "words"), TRANSIENT, ids=NAMES)
def test_a_transient_fault_is_tried_again(reply: Reply, kind: type[KlaviyoError], words: str, server: Scripted) -> None:
    server.will(reply, reply, page("a"))

    found, client = ask(server, retries=2)

    assert found == ["a"]
    assert len(server.requests) == client.traffic.requests == 3
    assert client.traffic.retries == 2
    assert client.traffic.throttled == (2 if kind is RateLimited else 0)


@pytest.mark.parametrize(("reply", "kind", "words"), TRANSIENT, ids=NAMES)
def test_one_that_lasts_is_told_in_the_end(reply: Reply, kind: type[KlaviyoError], words: str, server: Scripted) -> None:
    server.will(reply)

    assert words in refused(server, kind, retries=2)
    assert len(server.requests) == 3


def test_nobody_there(server: Scripted) -> None:
    server.base_url = "http://127.0.0.1:9"
    assert "https://status.klaviyo.com" in refused(server, ConnectionFailed)


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

    assert "lead in a circle" in refused(server, BadAnswer)


def test_a_key_in_klaviyos_own_words_is_masked(server: Scripted) -> None:
    server.will(errors(400, "invalid", f"Unexpected value {KEY} in header"))

    assert "Unexpected value pk_*** in header" in refused(server, BadRequest)


def test_the_servers_clock_is_the_date_of_its_answers(server: Scripted) -> None:
    async def clock() -> str:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url)) as client:
            with pytest.raises(RuntimeError, match="after the first answer"):
                client.now()
            answer = await client.get(LISTS, "/api/lists", {}, msgspec.json.decode)
            assert answer.requested_at <= client.now()
            return client.now().tzname() or ""

    assert asyncio.run(clock()) == "UTC"


def test_a_wait_that_is_too_long_ends_the_sync_and_says_so(server: Scripted) -> None:
    server.will(errors(429, "throttled", "Request was throttled.", **{"Retry-After": "3600"}))

    assert "It asks to wait 3600 seconds." in refused(server, RateLimited)
    assert len(server.requests) == 1
