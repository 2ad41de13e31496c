"""One cheap question per resource type, and the verdict that each answer gives."""

import asyncio
import json

import httpx
import pytest

from klaviyo_assets.api.access import Access, Verdict, assess
from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.settings import ClientSettings
from klaviyo_assets.catalog import ACCOUNTS, CATALOG, REVIEWS, ResourceType
from klaviyo_assets_tests.api.asking import HTML, KEY, errors
from klaviyo_assets_tests.api.scripted import Reply, Scripted


def assessed(server: Scripted, entry: ResourceType) -> Access:
    async def run() -> Access:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url, max_retries=0)) as client:
            return await assess(client, entry)

    return asyncio.run(run())


EMAIL = "and(equals(messages.channel,'email'),equals(archived,false))"
QUESTIONS = {
    "accounts": {},
    "campaigns": {"fields[campaign]": "created_at", "page[size]": "1", "filter": EMAIL},
    "events": {"fields[event]": "datetime", "page[size]": "1"},
    "flows": {"fields[flow]": "created", "page[size]": "1"},
    "lists": {"fields[list]": "created", "page[size]": "1"},
    "metrics": {"fields[metric]": "created"},
    "profiles": {"fields[profile]": "created", "page[size]": "1"},
    "reviews": {"fields[review]": "created", "page[size]": "1"},
    "segments": {"fields[segment]": "created", "page[size]": "1"},
}


@pytest.mark.parametrize("name", CATALOG)
def test_one_record_with_one_time_is_asked_for(name: str, server: Scripted) -> None:
    found = assessed(server, CATALOG[name])

    ((path, _),) = server.requests
    url = httpx.URL(f"http://server{path}")
    assert url.path == f"/api/{name}"
    assert dict(url.params) == QUESTIONS[name]
    assert found.granted
    assert found.summary == f"The key may read {name} ({name}:read)."
    assert (found.verdict, found.advice, found.error) == (Verdict.GRANTED, "", None)


VERDICTS = {
    "401": (errors(401, "authentication_failed", "Incorrect credentials."), Verdict.KEY_REFUSED, False),
    "scope": (errors(403, "permission_denied", "You do not have permission to perform this action."), Verdict.SCOPE_MISSING, False),
    "plan": (errors(403, "permission_denied", "You must have Advanced KDP enabled."), Verdict.NOT_IN_PLAN, False),
    "edge": (Reply(403, b"<html>", HTML), Verdict.BLOCKED, True),
    "throttled": (errors(429, "throttled", "Request was throttled.", **{"Retry-After": "0"}), Verdict.UNREACHABLE, True),
    "fault": (Reply(503, b""), Verdict.UNREACHABLE, True),
    "dropped": (Reply(drop=True), Verdict.UNREACHABLE, True),
    "html": (Reply(body=b"<html>", type=HTML), Verdict.UNREACHABLE, True),
    "refused": (errors(400, "invalid", "Invalid filter."), Verdict.UNREACHABLE, True),
    "retired": (errors(410, "gone", "Retired."), Verdict.UNREACHABLE, True),
}


@pytest.mark.parametrize(("reply", "verdict", "unclear"), VERDICTS.values(), ids=VERDICTS)
def test_an_answer_gives_a_verdict(reply: Reply, verdict: Verdict, unclear: bool, server: Scripted) -> None:
    server.will(reply)

    found = assessed(server, REVIEWS)

    assert (found.verdict, found.unclear, found.granted, found.optional, found.account) == (verdict, unclear, False, False, None)
    assert found.error is not None
    assert (found.summary, found.advice) == (found.error.message, found.error.advice)
    assert f"{found.summary} What to do: {found.advice}" == str(found.error)


def test_a_missing_scope_that_is_not_recommended_harms_nothing(server: Scripted) -> None:
    server.will(errors(403, "permission_denied", "You do not have permission to perform this action."))

    found = assessed(server, ACCOUNTS)

    assert found.optional
    assert found.advice == (
        "Nothing must be done: accounts is skipped and everything else works. To fill it as well, create a new key that also has accounts:read."
    )


ACCOUNT_ANSWERS = {
    "named": ([{"id": "AbC123", "attributes": {"contact_information": {"organization_name": "Shop"}}}], "Shop (AbC123)"),
    "no name": ([{"id": "AbC123", "attributes": {"contact_information": {"organization_name": None}}}], "AbC123"),
    "no contact": ([{"id": "AbC123", "attributes": {"contact_information": None}}], "AbC123"),
    "no attributes": ([{"id": "AbC123", "attributes": None}], "AbC123"),
}


@pytest.mark.parametrize(("records", "shown"), ACCOUNT_ANSWERS.values(), ids=ACCOUNT_ANSWERS)
def test_the_account_is_named(records: list[object], shown: str, server: Scripted) -> None:
    server.will(Reply(body=json.dumps({"data": records}).encode()))

    assert assessed(server, ACCOUNTS).account == shown
