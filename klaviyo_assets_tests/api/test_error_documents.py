"""Documents of errors that Klaviyo does not describe, and the headers ``Retry-After`` and ``Date``."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from klaviyo_assets.api.klaviyo_errors import (
    KlaviyoError,
    ScopeMissing,
)
from klaviyo_assets.api.responses import error_from, retry_after, server_time
from klaviyo_assets_tests.api.client_helpers import errors, page, read_lists
from klaviyo_assets_tests.api.scripted import Reply, Scripted

# --- unexpected error documents


def odd_error(**member: object) -> bytes:
    return json.dumps({"errors": [member]}).encode()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 429, 500])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"errors": null}',
        b'{"errors": []}',
        b'{"errors": ["text"]}',
        b'{"errors": [{}]}',
        b'{"errors": [{"code": "\xff"}]}',
        b"[" * 100_000,
        odd_error(code=["a"], detail={"a": 1}),
        odd_error(code=5, detail=5.5, title=None),
        odd_error(code={"a": 1}, title=["a"]),
    ],
    ids=["empty", "null", "list", "no-errors", "none", "text", "no-members", "no-utf8", "deep", "list-code", "number-code", "object-code"],
)
def test_status_is_shown_for_any_error_document(status: int, body: bytes) -> None:
    error = error_from(response(status, body), "lists:read")

    assert isinstance(error, KlaviyoError)
    assert f"[GET /api/lists: {status}" in str(error)


def response(status: int, body: bytes = b"", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=body, headers=named, request=httpx.Request("GET", "https://a.klaviyo.com/api/lists?filter=x"))


def test_title_replaces_a_missing_detail() -> None:
    assert "“Invalid input.”" in str(error_from(response(400, odd_error(code="invalid", title="Invalid input.")), "lists:read"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"detail": "Not here."}', "Not here."),
        (b'{"message": "Forbidden"}', "Forbidden"),
        (b'{"error": "nope", "errors": null}', "nope"),
        (b'{"errors": "All wrong."}', "All wrong."),
        (b'{"errors": ["One.", "Two."]}', "One."),
        (b'{"errors": {"detail": "An object."}}', "An object."),
        (b"upstream connect error", "upstream connect error"),
        (b"<html><head><TITLE>A\x1b[2J &lt;page&gt;</TITLE>", r"A\x1b[2J <page>"),
        (b"<html><h1><b>Heading</b></h1>", "Heading"),
    ],
    ids=["detail", "message", "error", "text", "texts", "object", "plain", "title", "heading"],
)
@pytest.mark.parametrize("status", [400, 403, 404, 418, 429, 500])
def test_text_of_any_body_is_shown(status: int, body: bytes, words: str) -> None:
    assert f"[GET /api/lists: {status}: “{words}”]" in str(error_from(response(status, body), "lists:read"))


# --- Retry-After and Date


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2026 09:28:30 +0200", 30.0),
        ("Wed, 21 Oct 2026 07:28:30 -0000", 30.0),
        ("Wed, 21 Oct 2026 07:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("Fri, 31 Dec 9999 23:59:59 -0500", None),
    ],
)
def test_retry_after_is_a_number_or_a_date_on_the_servers_clock(text: str, seconds: float | None) -> None:
    assert retry_after(response(429, retry_after=text, date="Wed, 21 Oct 2026 07:28:00 GMT")) == seconds


def test_retry_after_may_be_missing() -> None:
    assert retry_after(response(429)) is None


@pytest.mark.parametrize("text", ["Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 -0000", "Wed, 21 Oct 2026 09:28:00 +0200"])
def test_server_time_is_the_date_header(text: str) -> None:
    assert server_time(response(200, date=text)) == datetime(2026, 10, 21, 7, 28, tzinfo=UTC)


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}], ids=["missing", "garbage"])
def test_response_without_a_date_has_no_server_time(headers: dict[str, str]) -> None:
    assert server_time(response(200, **headers)) is None


@pytest.mark.long
@pytest.mark.parametrize(
    ("header", "delay"),
    [
        (lambda: {"Retry-After": "1"}, 0.9),
        (lambda: {"Date": "Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After": "Wed, 21 Oct 2026 07:28:01 GMT"}, 0.9),
        (dict, 0.05),
    ],
    ids=["seconds", "date", "absent"],
)
def test_a_429_is_waited_for_at_the_limiter(header: Callable[[], dict[str, str]], delay: float, server: Scripted) -> None:
    server.respond_with(errors(429, "throttled", "Request was throttled.", **header()), page("a"))

    found, client = read_lists(server)

    assert found == ["a"]
    assert client.seconds_waited >= delay
    assert (client.traffic.requests, client.traffic.throttled) == (2, 1)


def test_the_first_date_sets_the_clock(server: Scripted) -> None:
    server.respond_with(Reply(headers={"Date": "Sat, 01 Jan 2028 00:00:00 GMT"}))

    _, client = read_lists(server)

    assert timedelta() <= client.now() - datetime(2028, 1, 1, tzinfo=UTC) < timedelta(hours=1)
    client.catch_up(datetime(2028, 6, 1, tzinfo=UTC))
    assert client.now() >= datetime(2028, 6, 1, tzinfo=UTC)
    client.catch_up(datetime(2028, 3, 1, tzinfo=UTC))
    assert client.now() >= datetime(2028, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ("The API key is missing the following scopes: profiles:read.", "lacks the scope profiles:read."),
        ("Missing scopes: lists:read, profiles:read", "lacks one or more of the scopes lists:read and profiles:read."),
        ("A scope is missing.", "lacks one or more of the scopes lists:read and profiles:read."),
        ("The scope events:read is missing.", "lacks one or more of the scopes lists:read and profiles:read."),
    ],
)
def test_of_several_scopes_those_are_missing_that_klaviyo_names(detail: str, words: str) -> None:
    error = error_from(response(403, odd_error(code="permission_denied", detail=detail)), "lists:read and profiles:read")

    assert isinstance(error, ScopeMissing)
    assert words in str(error)
