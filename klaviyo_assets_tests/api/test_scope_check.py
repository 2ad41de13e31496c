"""The probe of each resource type, and the verdict for each response."""

import asyncio
import json

import httpx
import pytest

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import ScopeMissing, ServerFault
from klaviyo_assets.api.scope_check import Access, Verdict, access_from, assess
from klaviyo_assets.catalog import ACCOUNTS, CATALOG, REVIEWS, ResourceType
from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.api.client_helpers import HTML, KEY, errors
from klaviyo_assets_tests.api.scripted import Reply, Scripted


def assessed(server: Scripted, entry: ResourceType) -> Access:
    async def run() -> Access:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url, max_retries=0)) as client:
            return await assess(client, entry)

    return asyncio.run(run())


EMAIL = "and(equals(messages.channel,'email'),equals(archived,false))"
PARAMETERS = {
    "campaigns": {"fields[campaign]": "created_at", "page[size]": "1", "filter": EMAIL},
    "events": {"fields[event]": "datetime", "page[size]": "1"},
    "flows": {"fields[flow]": "created", "page[size]": "1"},
    "lists": {"fields[list]": "created", "page[size]": "1"},
    "metrics": {"fields[metric]": "created"},
    "profiles": {"fields[profile]": "created", "page[size]": "1"},
    "reviews": {"fields[review]": "created", "page[size]": "1"},
    "segments": {"fields[segment]": "created", "page[size]": "1"},
}


def expected(entry: ResourceType) -> dict[str, str]:
    """Return the parameters for a type that is not listed above: one record, with its first time only."""
    times = [".".join(column.path[1:]) for column in entry.columns if column.type is ColumnType.TIMESTAMP]
    fields = {f"fields[{entry.jsonapi_type}]": times[0]} if times else {}
    return fields | ({"page[size]": "1"} if entry.endpoint.page_size else {})


@pytest.mark.parametrize("name", [name for name, entry in COLLECTIONS.items() if entry.parent is None])
def test_probe_requests_one_record_with_one_time(name: str, server: Scripted) -> None:
    entry = CATALOG[name]
    found = assessed(server, entry)

    ((path, _),) = server.requests
    url = httpx.URL(f"http://server{path}")
    requested = entry.host.entry if entry.host is not None else entry
    assert url.path == requested.endpoint.path
    include = {"include": entry.host.relationship} if entry.host is not None else {}
    assert dict(url.params) == (PARAMETERS.get(requested.name) or expected(requested)) | include
    assert found.granted
    assert found.summary == f"The key may read {name} ({entry.scope_text})."
    assert (found.verdict, found.advice, found.error) == (Verdict.GRANTED, "", None)


VERDICTS = {
    "401": (errors(401, "authentication_failed", "Incorrect credentials."), Verdict.KEY_REFUSED, False),
    "scope": (errors(403, "permission_denied", "You do not have permission to perform this action."), Verdict.SCOPE_MISSING, False),
    "plan": (errors(403, "permission_denied", "You must have Advanced KDP enabled."), Verdict.NOT_IN_PLAN, False),
    "daily limit": (errors(403, "permission_denied", "You have reached your daily limit of 1,000 requests."), Verdict.QUOTA_USED_UP, True),
    "disabled": (errors(403, "forbidden", "Your account has been disabled."), Verdict.ACCOUNT_DISABLED, False),
    "other words": (errors(403, "permission_denied", "Computer says no."), Verdict.ACCESS_REFUSED, False),
    "edge": (Reply(403, b"<html>", HTML), Verdict.BLOCKED, True),
    "edge limit": (Reply(429, b"<title>Access denied | a.klaviyo.com used Cloudflare</title> Error 1015", HTML), Verdict.RATE_LIMITED, True),
    "throttled": (errors(429, "throttled", "Request was throttled.", **{"Retry-After": "0"}), Verdict.RATE_LIMITED, True),
    "tomorrow": (errors(429, "throttled", "Request was throttled.", **{"Retry-After": "30000"}), Verdict.RATE_LIMITED, True),
    "timed out": (Reply(408, b""), Verdict.SERVER_FAULT, True),
    "too early": (Reply(425, b""), Verdict.SERVER_FAULT, True),
    "fault": (Reply(503, b""), Verdict.SERVER_FAULT, True),
    "522": (Reply(522, b"<title>522: Connection timed out</title>", HTML), Verdict.SERVER_FAULT, True),
    "dropped": (Reply(drop=True), Verdict.UNREACHABLE, True),
    "html": (Reply(body=b"<html>", type=HTML), Verdict.UNUSABLE_RESPONSE, True),
    "empty": (Reply(body=b""), Verdict.UNUSABLE_RESPONSE, True),
    "scalar": (Reply(body=b"5"), Verdict.UNUSABLE_RESPONSE, True),
    "array": (Reply(body=b"[]"), Verdict.UNUSABLE_RESPONSE, True),
    "no data": (Reply(body=b'{"links": {}}'), Verdict.UNUSABLE_RESPONSE, True),
    "null": (Reply(body=b'{"data": null, "links": {"next": null}}'), Verdict.UNUSABLE_RESPONSE, True),
    "one record": (Reply(body=b'{"data": {"type": "review", "id": "1"}}'), Verdict.UNUSABLE_RESPONSE, True),
    "no records": (Reply(body=b'{"data": [1, 2]}'), Verdict.UNUSABLE_RESPONSE, True),
    "errors": (Reply(body=b'{"errors": [{"code": "error", "detail": "Oh."}]}'), Verdict.UNUSABLE_RESPONSE, True),
    "errors and data": (Reply(body=b'{"data": [], "errors": [{"code": "error", "detail": "Oh."}]}'), Verdict.UNUSABLE_RESPONSE, True),
    "accepted": (Reply(202, b'{"data": []}'), Verdict.UNUSABLE_RESPONSE, True),
    "nothing": (Reply(204, b""), Verdict.UNUSABLE_RESPONSE, True),
    "part": (Reply(206, b'{"data": []}'), Verdict.UNUSABLE_RESPONSE, True),
    "refused": (errors(400, "invalid", "Invalid filter."), Verdict.REQUEST_REFUSED, False),
    "method": (errors(405, "method_not_allowed", "Method not allowed."), Verdict.REQUEST_REFUSED, False),
    "unknown": (errors(404, "not_found", "Not found."), Verdict.NOT_FOUND, False),
    "no endpoint": (Reply(404, b"<html>", HTML), Verdict.NOT_FOUND, False),
    "conflict": (errors(409, "conflict", "Conflict."), Verdict.CONFLICT, True),
    "retired": (errors(410, "gone", "Retired."), Verdict.REVISION_RETIRED, False),
    **{
        str(status): (Reply(status, b"", headers={"Location": "https://example.com/"}), Verdict.REDIRECTED, False)
        for status in (301, 302, 303, 307, 308)
    },
}


@pytest.mark.parametrize(("reply", "verdict", "unclear"), VERDICTS.values(), ids=VERDICTS)
def test_response_determines_the_verdict(reply: Reply, verdict: Verdict, unclear: bool, server: Scripted) -> None:
    server.respond_with(reply)

    found = assessed(server, REVIEWS)

    assert (found.verdict, found.unclear, found.granted, found.optional, found.account) == (verdict, unclear, False, False, None)
    assert found.error is not None
    assert (found.summary, found.advice) == (found.error.message, found.error.advice)
    assert f"{found.summary} What to do: {found.advice}" == str(found.error)


def test_missing_optional_scope_affects_nothing_else(server: Scripted) -> None:
    server.respond_with(errors(403, "permission_denied", "You do not have permission to perform this action."))

    found = assessed(server, ACCOUNTS)

    assert found.optional
    assert found.advice == (
        "No action is needed: accounts is skipped, and no other asset fails because of that. "
        "To sync it as well, create a new key that also has accounts:read."
    )


OPTIONAL = {
    "scope": (VERDICTS["scope"][0], "create a new key that also has templates:read."),
    "plan": (VERDICTS["plan"][0], "add the product in Klaviyo's billing."),
}


@pytest.mark.parametrize(("reply", "also"), OPTIONAL.values(), ids=OPTIONAL)
def test_a_type_that_came_later_is_optional(reply: Reply, also: str, server: Scripted) -> None:
    server.respond_with(reply)

    found = assessed(server, CATALOG["templates"])

    assert found.optional
    assert found.advice == f"No action is needed: templates is skipped, and no other asset fails because of that. To sync it as well, {also}"


@pytest.mark.parametrize("entry", CATALOG.values(), ids=lambda entry: entry.name)
def test_only_the_first_types_fail_without_their_scope(entry: ResourceType) -> None:
    first = {"campaigns", "events", "flows", "lists", "metrics", "profiles", "reviews", "segments"}

    assert entry.has_optional_scope is not {scope.removesuffix(":read") for scope in entry.scopes}.issubset(first)


ACCOUNT_RECORDS = {
    "named": ([{"id": "AbC123", "attributes": {"contact_information": {"organization_name": "Shop"}}}], "Shop (AbC123)"),
    "no name": ([{"id": "AbC123", "attributes": {"contact_information": {"organization_name": None}}}], "AbC123"),
    "no contact": ([{"id": "AbC123", "attributes": {"contact_information": None}}], "AbC123"),
    "no attributes": ([{"id": "AbC123", "attributes": None}], "AbC123"),
}


@pytest.mark.parametrize(("records", "shown"), ACCOUNT_RECORDS.values(), ids=ACCOUNT_RECORDS)
def test_account_is_identified(records: list[object], shown: str, server: Scripted) -> None:
    server.respond_with(Reply(body=json.dumps({"data": records}).encode()))

    assert assessed(server, ACCOUNTS).account == shown


@pytest.mark.parametrize(
    ("reply", "valid"),
    [
        (errors(401, "authentication_failed", "Incorrect credentials."), False),
        (errors(403, "permission_denied", "You do not have permission to perform this action."), True),
        (errors(403, "permission_denied", "You have reached your daily limit."), True),
        (errors(403, "forbidden", "Computer says no."), True),
        (errors(403, "forbidden", "Your account is suspended."), False),
        (Reply(403, b"<html>", HTML), False),
        (errors(429, "throttled", "Request was throttled.", **{"Retry-After": "30000"}), False),
        (errors(400, "invalid", "Invalid filter."), False),
        (Reply(503, b""), False),
    ],
    ids=["401", "scope", "quota", "other words", "suspended", "edge", "429", "400", "503"],
)
def test_key_is_valid_if_the_response_requires_a_valid_key(reply: Reply, valid: bool, server: Scripted) -> None:
    server.respond_with(reply)

    assert assessed(server, ACCOUNTS).key_is_valid is valid


def lacking(name: str, scope: str) -> Access:
    return access_from(ScopeMissing(scope), CATALOG[name])


def granted(name: str) -> Access:
    return Access(CATALOG[name], Verdict.GRANTED, "")


def test_the_advice_names_all_missing_scopes_of_an_asset() -> None:
    """Those of its own endpoint, and of what its sync also reads."""
    others = [lacking("accounts", "accounts:read"), granted("flows"), lacking("metrics", "metrics:read")]
    found = lacking("campaign_report", "campaigns:read").limited_by(others)

    assert found.missing_scopes == ("campaigns:read", "accounts:read", "metrics:read")
    assert found.advice.endswith("create a new key that also has campaigns:read, accounts:read and metrics:read.")
    assert found.verdict is Verdict.SCOPE_MISSING
    assert found.optional


def test_of_several_scopes_that_the_key_has_is_not_the_missing_one() -> None:
    """Klaviyo may not say which one is missing; the verdicts about other types may show it."""
    unclear = lacking("push_tokens", "push-tokens:read and profiles:read")

    assert unclear.missing_scopes == ("push-tokens:read", "profiles:read")
    assert unclear.limited_by((), {"profiles:read"}).missing_scopes == ("push-tokens:read",)
    assert unclear.limited_by((), {"push-tokens:read", "profiles:read"}).missing_scopes == unclear.missing_scopes


def test_a_type_is_as_limited_as_what_its_sync_also_reads() -> None:
    report, accounts = granted("campaign_report"), Access(ACCOUNTS, Verdict.SERVER_FAULT, "", error=ServerFault("Klaviyo failed.", status=503))

    assert report.limited_by([granted("accounts")]) is report
    assert report.limited_by([accounts]).verdict is Verdict.SERVER_FAULT
    assert report.limited_by([accounts]).missing_scopes == ()
