"""Full error messages for each kind of failure, and undocumented responses."""

import pytest

from klaviyo_assets.api.klaviyo_errors import (
    AccessRefused,
    AccountDisabled,
    ApiKeyRejected,
    BadRequest,
    Conflict,
    ConnectionFailed,
    EdgeBlocked,
    EdgeRateLimited,
    InvalidResponse,
    KlaviyoError,
    NotFound,
    PlanGate,
    QuotaUsedUp,
    RateLimited,
    Redirected,
    RequestFailed,
    RequestRefused,
    RevisionRetired,
    ScopeMissing,
    ServerFault,
)
from klaviyo_assets_tests.api.client_helpers import HTML, RUN_AGAIN, error_text, errors, page, read_lists
from klaviyo_assets_tests.api.scripted import Reply, Scripted

NEW_KEY = (
    "What to do: Check that the key is a private one (pk_…), copied whole, still active and of the right account (Klaviyo: Settings > API keys). "
    "A key is shown only once: if in doubt, create a new one and set KLAVIYO_API_KEY to it."
)
OPEN_ISSUE = "What to do: This is a defect of klaviyo_assets or a change at Klaviyo: please open an issue with this message."
ODD = "What to do: Run the sync again; if it keeps failing, open an issue with this message."

REDIRECT = (
    "What to do: Set KLAVIYO_BASE_URL to the API itself (https://a.klaviyo.com), with https. If it is right, something between this machine and "
    "Klaviyo responds in its place (a proxy, a sign-in page of the network): check the network."
)
FIREWALL = (
    "What to do: The request was blocked by a firewall in front of the API, which says nothing about the key. Check the network that this machine "
    "uses (proxy, VPN, data center address) and try again later."
)
EDGE_LIMIT = (
    "What to do: Wait some minutes, then run the sync again. If it keeps failing, find out what else sends requests to Klaviyo from this address "
    "(proxy, VPN, data center), or use another one. This says nothing about the key."
)

TEXTS: dict[str, tuple[Reply, type[KlaviyoError], str]] = {
    "401": (
        errors(401, "not_authenticated", "Authentication credentials were not provided."),
        ApiKeyRejected,
        "Klaviyo does not accept the API key. [GET /api/lists: 401 not_authenticated: “Authentication credentials were not provided.”] " + NEW_KEY,
    ),
    "401-html": (Reply(401, b"<html>", HTML), ApiKeyRejected, "Klaviyo does not accept the API key. [GET /api/lists: 401] " + NEW_KEY),
    "400-code": (
        errors(400, "authentication_failed", "Incorrect authentication credentials."),
        ApiKeyRejected,
        "Klaviyo does not accept the API key. [GET /api/lists: 400 authentication_failed: “Incorrect authentication credentials.”] " + NEW_KEY,
    ),
    "400-words": (
        errors(400, "invalid", "Missing or invalid API key."),
        ApiKeyRejected,
        "Klaviyo does not accept the API key. [GET /api/lists: 400 invalid: “Missing or invalid API key.”] " + NEW_KEY,
    ),
    "400-html": (
        Reply(400, b"<html>Bad Request</html>", HTML),
        ApiKeyRejected,
        "Klaviyo does not accept the API key. [GET /api/lists: 400] " + NEW_KEY,
    ),
    "400": (
        errors(400, "invalid", "'colour' is not a valid field for the resource 'list'."),
        BadRequest,
        "Klaviyo refuses the request. [GET /api/lists: 400 invalid: “'colour' is not a valid field for the resource 'list'.”] " + OPEN_ISSUE,
    ),
    "400-no-code": (Reply(400, b"{}"), BadRequest, "Klaviyo refuses the request. [GET /api/lists: 400] " + OPEN_ISSUE),
    "403-scope": (
        errors(403, "permission_denied", "You do not have permission to perform this action."),
        ScopeMissing,
        "The API key is valid but lacks the scope lists:read. [GET /api/lists: 403 permission_denied: “You do not have permission to perform this "
        "action.”] What to do: Create a new private API key that has lists:read (Klaviyo: Settings > API keys; “Read-only” has every scope that is "
        "needed) and set KLAVIYO_API_KEY to it: the scopes of an existing key cannot be changed. If the key used to work, check whether the role of "
        "the user who created it has changed.",
    ),
    "403-plan": (
        errors(403, "permission_denied", "You must have Advanced KDP enabled to use this endpoint."),
        PlanGate,
        "The API key is valid, but the account's plan does not include this. [GET /api/lists: 403 permission_denied: “You must have Advanced KDP "
        "enabled to use this endpoint.”] What to do: This is not about the key: the account's Klaviyo plan lacks the feature. Leave the asset out, "
        "or add the product in Klaviyo's billing.",
    ),
    "403-html": (
        Reply(403, b"<html>Attention Required!</html>", HTML),
        EdgeBlocked,
        "The request was blocked before it reached Klaviyo's API. [GET /api/lists: 403] " + FIREWALL,
    ),
    "404": (
        errors(404, "not_found", "A list with id X does not exist."),
        NotFound,
        "Klaviyo has no such record. [GET /api/lists: 404 not_found: “A list with id X does not exist.”] " + ODD,
    ),
    "410": (
        errors(410, "gone", "The revision is retired."),
        RevisionRetired,
        "Klaviyo no longer serves the API revision that this version uses. [GET /api/lists: 410 gone: “The revision is retired.”] What to do: "
        "Upgrade klaviyo_assets to a version that pins a newer API revision (pip install --upgrade klaviyo-assets).",
    ),
    "301": (
        Reply(301, b"", headers={"Location": "/api/elsewhere?key=secret"}),
        Redirected,
        "The response was a redirect to {base_url}/api/elsewhere; it was not followed. [GET /api/lists: 301] " + REDIRECT,
    ),
    "302-html": (
        Reply(302, b"<title>Sign in</title>", HTML, headers={"Location": "https://me:secret@portal.example/login?key=secret#secret"}),
        Redirected,
        "The response was a redirect to https://portal.example/login; it was not followed. [GET /api/lists: 302: “Sign in”] " + REDIRECT,
    ),
    "307-nowhere": (
        Reply(307, b""),
        Redirected,
        "The response was a redirect without a target; it was not followed. [GET /api/lists: 307] " + REDIRECT,
    ),
    "303-hostile": (
        Reply(303, b"", headers={"Location": "https://xn--\x80.example:99999/"}),
        Redirected,
        "The response was a redirect to something that is not a URL; it was not followed. [GET /api/lists: 303] " + REDIRECT,
    ),
    "308-no-url": (
        Reply(308, b"", headers={"Location": "https://[::1"}),
        Redirected,
        "The response was a redirect to something that is not a URL; it was not followed. [GET /api/lists: 308] " + REDIRECT,
    ),
    "405": (
        errors(405, "method_not_allowed", "Method not allowed."),
        RequestRefused,
        "Klaviyo sent an unexpected response. [GET /api/lists: 405 method_not_allowed: “Method not allowed.”] " + ODD,
    ),
    "403-daily-limit": (
        errors(403, "permission_denied", "You have reached your daily limit of 1,000 requests."),
        QuotaUsedUp,
        "The API key is valid, but a limit of the account is used up. [GET /api/lists: 403 permission_denied: “You have reached your daily limit of "
        "1,000 requests.”] What to do: This is not about the key or its scopes. Run the sync again once the limit has been renewed (a daily one: "
        "tomorrow). What was read so far is kept. If it happens often, see which integrations of the account send the most requests, or ask "
        "Klaviyo's support for a higher limit.",
    ),
    "403-disabled": (
        errors(403, "forbidden", "This account has been suspended."),
        AccountDisabled,
        "The Klaviyo account of this API key is disabled or suspended. [GET /api/lists: 403 forbidden: “This account has been suspended.”] What to "
        "do: Sign in to Klaviyo and check the account's status (Settings > Account, Settings > Billing), or ask Klaviyo's support. Nothing "
        "can be read before the account is active again.",
    ),
    "403-other-words": (
        errors(403, "permission_denied", "Computer says no."),
        AccessRefused,
        "The API key is valid, but Klaviyo refuses access. [GET /api/lists: 403 permission_denied: “Computer says no.”] What to do: "
        "Read Klaviyo's message. Most often a scope is missing: create a new private API key that has lists:read and set KLAVIYO_API_KEY to it.",
    ),
    "403-1020": (
        Reply(403, b"<html><title>Access denied | a.klaviyo.com</title><body>Error code 1020</body>", HTML),
        EdgeBlocked,
        "The request was blocked before it reached Klaviyo's API. [GET /api/lists: 403: “Access denied | a.klaviyo.com”] " + FIREWALL,
    ),
    "403-1015": (
        Reply(403, b"error code: 1015", "text/plain; charset=UTF-8"),
        EdgeRateLimited,
        "Requests from this machine's address are limited in front of Klaviyo's API. [GET /api/lists: 403: “error code: 1015”] " + EDGE_LIMIT,
    ),
    "404-html": (
        Reply(404, b"<html><h1>Not &amp; found</h1>", HTML),
        NotFound,
        "There is no such endpoint at the configured address. [GET /api/lists: 404: “Not & found”] What to do: Check KLAVIYO_BASE_URL: it must be "
        "https://a.klaviyo.com, without a path. If it is right, try again later.",
    ),
    "407": (
        Reply(407, b"<title>Sign in</title>", HTML),
        RequestRefused,
        "A proxy on the way to Klaviyo requires a user and a password. [GET /api/lists: 407: “Sign in”] What to do: Put them into the proxy's URL, "
        "such as HTTPS_PROXY=http://user:password@proxy.example:3128, or bypass the proxy (NO_PROXY).",
    ),
    "408": (Reply(408, b""), ServerFault, "Klaviyo did not process the request. [GET /api/lists: 408] " + RUN_AGAIN),
    "409": (
        errors(409, "conflict", "Something is being changed."),
        Conflict,
        "The request conflicts with something at Klaviyo. [GET /api/lists: 409 conflict: “Something is being changed.”] What to do: Run the sync "
        "again later: something at Klaviyo was being changed. If it keeps failing, open an issue with this message.",
    ),
    "425": (
        errors(425, "too_early", "Too early."),
        ServerFault,
        "Klaviyo did not process the request. [GET /api/lists: 425 too_early: “Too early.”] " + RUN_AGAIN,
    ),
    "429": (
        errors(429, "throttled", "Request was throttled. Expected available in 0 seconds.", **{"Retry-After": "0"}),
        RateLimited,
        "Klaviyo's rate limit is used up. [GET /api/lists: 429 throttled: “Request was throttled. Expected available in 0 seconds.”] What to do: "
        "All integrations of the account share its rate limit, and others are using it up: run the sync again later, or lower "
        "KLAVIYO_RATE_LIMIT_SHARE.",
    ),
    "429-1015": (
        Reply(429, b"<html><title>Access denied</title><h1>Error <b>1015</b></h1><h2>You are being rate limited</h2>", HTML),
        EdgeRateLimited,
        "Requests from this machine's address are limited in front of Klaviyo's API. [GET /api/lists: 429: “Access denied”] " + EDGE_LIMIT,
    ),
    "429-1015-json": (
        Reply(429, b'{"title": "Error 1015: You are being rate limited", "status": 429, "error_code": 1015}', "application/json"),
        EdgeRateLimited,
        "Requests from this machine's address are limited in front of Klaviyo's API. [GET /api/lists: 429: “Error 1015: You are being rate limited”] "
        + EDGE_LIMIT,
    ),
    "429-bare": (
        Reply(429, b""),
        RateLimited,
        "Klaviyo's rate limit is used up. [GET /api/lists: 429] What to do: All integrations of the account share its rate limit, and others "
        "are using it up: run the sync again later, or lower KLAVIYO_RATE_LIMIT_SHARE.",
    ),
    "500": (
        errors(500, "error", "A server error occurred."),
        ServerFault,
        "Klaviyo could not process the request. [GET /api/lists: 500 error: “A server error occurred.”] " + RUN_AGAIN,
    ),
    "502-html": (
        Reply(502, b"<html><h1>Bad gateway</h1></html>", HTML),
        ServerFault,
        "Klaviyo could not process the request. [GET /api/lists: 502: “Bad gateway”] " + RUN_AGAIN,
    ),
    "522-html": (
        Reply(522, b"<html><title>a.klaviyo.com | 522: Connection timed out</title>", HTML),
        ServerFault,
        "Klaviyo could not process the request. [GET /api/lists: 522: “a.klaviyo.com | 522: Connection timed out”] " + RUN_AGAIN,
    ),
    "503": (
        errors(503, "service_unavailable", "Please try again."),
        ServerFault,
        "Klaviyo could not process the request. [GET /api/lists: 503 service_unavailable: “Please try again.”] " + RUN_AGAIN,
    ),
    "200-html": (
        Reply(body=b"<html>Sign in</html>", type=HTML),
        InvalidResponse,
        "Klaviyo's response is not the JSON that was expected: it is an HTML page. [GET /api/lists: 200: “text/html; charset=UTF-8”] " + RUN_AGAIN,
    ),
    "200-html-title": (
        Reply(body=b"\n<!doctype html><title>Sign\n in</title>", type=HTML),
        InvalidResponse,
        "Klaviyo's response is not the JSON that was expected: it is an HTML page. [GET /api/lists: 200: “Sign in”] " + RUN_AGAIN,
    ),
    "200-empty": (
        Reply(body=b""),
        InvalidResponse,
        "Klaviyo's response is not the JSON that was expected: it is empty. [GET /api/lists: 200: “application/vnd.api+json”] " + RUN_AGAIN,
    ),
    **{
        f"200-{name}": (
            Reply(body=body),
            InvalidResponse,
            "Klaviyo's response is not the JSON that was expected. [GET /api/lists: 200: “application/vnd.api+json”] " + RUN_AGAIN,
        )
        for name, body in {
            "scalar": b"5",
            "text": b'"text"',
            "array": b"[]",
            "null": b"null",
            "no-members": b"{}",
            "no-data": b'{"links": {"next": null}}',
            "null-data": b'{"data": null, "links": {"next": null}}',
            "one-record": b'{"data": {"type": "list", "id": "a"}, "links": {"next": null}}',
            "no-utf8": b"\xff\xfe{}",
        }.items()
    },
    "200-errors": (
        Reply(body=b'{"errors": [{"code": "error", "detail": "A server error occurred."}, {"detail": "Another."}]}'),
        InvalidResponse,
        "Klaviyo's response reports errors, so it is not complete. [GET /api/lists: 200 error: “A server error occurred. / Another.”] " + RUN_AGAIN,
    ),
    "200-errors-and-data": (
        Reply(body=b'{"data": [], "errors": [{"title": "Partial\\nresult"}], "links": {"next": null}}'),
        InvalidResponse,
        r"Klaviyo's response reports errors, so it is not complete. [GET /api/lists: 200: “Partial\nresult”] " + RUN_AGAIN,
    ),
    "202": (
        Reply(202, b'{"data": [], "links": {"next": null}}'),
        InvalidResponse,
        "Klaviyo's response is not a complete document. [GET /api/lists: 202: “Accepted”] " + RUN_AGAIN,
    ),
    "206": (
        Reply(206, b'{"data": [], "links": {"next": null}}'),
        InvalidResponse,
        "Klaviyo's response is not a complete document. [GET /api/lists: 206: “Partial Content”] " + RUN_AGAIN,
    ),
    "200-cut-json": (
        Reply(body=b'{"data": [{"id": "a"'),
        InvalidResponse,
        "Klaviyo's response is not the JSON that was expected. [GET /api/lists: 200: “application/vnd.api+json”] " + RUN_AGAIN,
    ),
    "200-bad-gzip": (
        Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"}),
        InvalidResponse,
        "Klaviyo's response could not be decompressed (it is damaged or cut short). [GET /api/lists] " + RUN_AGAIN,
    ),
}


@pytest.mark.parametrize(("reply", "kind", "text"), TEXTS.values(), ids=TEXTS)
def test_error_has_what_happened_where_klaviyos_text_and_what_to_do(reply: Reply, kind: type[KlaviyoError], text: str, server: Scripted) -> None:
    server.respond_with(reply)

    assert error_text(server, kind, retries=1) == text.replace("{base_url}", server.base_url)
    assert len(server.requests) == (2 if issubclass(kind, RequestFailed) else 1)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": [{"type": "list", "id": "a"}], "links": {"next": null}, "errors": []}',
        b'{"data": [{"type": "list", "id": "a"}], "links": {"next": null}, "errors": null}',
        b'{"data": [{"type": "list", "id": "a", "attributes": {"errors": [{"detail": "A value."}]}}], "links": {"next": null}}',
        b'{"data": [{"type": "list", "id": "a", "attributes": {"name": "errors"}}], "links": {"next": null}}',
    ],
    ids=["none", "null", "an attribute", "a value"],
)
def test_page_without_an_error_is_read_although_a_member_has_that_name(body: bytes, server: Scripted) -> None:
    server.respond_with(Reply(body=body))

    assert read_lists(server, retries=0)[0] == ["a"]


def test_broken_json_with_errors_is_not_taken_for_an_error_of_klaviyo(server: Scripted) -> None:
    server.respond_with(Reply(body=b'{"data": [], "errors": [{"detail": "A server err'))

    assert error_text(server, InvalidResponse, retries=0).startswith("Klaviyo's response is not the JSON that was expected. [GET /api/lists: 200")


NETWORK = "What to do: Check the network and https://status.klaviyo.com, then run the sync again. What was read so far is kept."


def test_server_that_closes_the_connection(server: Scripted) -> None:
    server.respond_with(Reply(drop=True))

    assert error_text(server, ConnectionFailed, retries=1) == (
        "No complete response from 127.0.0.1 (RemoteProtocolError: Server disconnected without sending a response.). [GET /api/lists] " + NETWORK
    )
    assert len(server.requests) == 2


def test_body_that_is_cut_short(server: Scripted) -> None:
    server.respond_with(Reply(cut=True))

    text = error_text(server, ConnectionFailed, retries=1)

    assert text.startswith("No complete response from 127.0.0.1 (RemoteProtocolError: peer closed connection without sending complete message body")
    assert text.endswith(f"[GET /api/lists] {NETWORK}")
    assert len(server.requests) == 2


def test_server_that_is_too_slow(server: Scripted) -> None:
    server.respond_with(Reply(after=3.0))

    assert error_text(server, ConnectionFailed, retries=0, timeout=0.5) == (
        f"No complete response from 127.0.0.1 (ReadTimeout). [GET /api/lists] {NETWORK}"
    )


def test_request_is_retried_after_a_timeout(server: Scripted) -> None:
    server.respond_with(Reply(after=3.0), page("a"))

    found, client = read_lists(server, timeout=0.5)

    assert found == ["a"]
    assert client.traffic.requests == 2
