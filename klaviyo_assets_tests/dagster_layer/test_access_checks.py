"""The results of the access checks for each response: passed, warned or failed, with Klaviyo's error text."""

import asyncio

import dagster as dg
import pytest

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.scope_check import Access, assess
from klaviyo_assets.catalog import ACCOUNTS, REVIEWS, ResourceType
from klaviyo_assets.checks import asset_checks
from klaviyo_assets_tests.api.client_helpers import HTML, KEY, errors
from klaviyo_assets_tests.api.scripted import Reply, scripted_server

PASSED, WARNED, FAILED = (True, dg.AssetCheckSeverity.ERROR), (False, dg.AssetCheckSeverity.WARN), (False, dg.AssetCheckSeverity.ERROR)

RESPONSES = {
    "401": (errors(401, "authentication_failed", "Wrong words."), FAILED, FAILED, "rejected"),
    "scope": (errors(403, "permission_denied", "You do not have permission to perform this action."), PASSED, FAILED, "valid"),
    "plan": (errors(403, "permission_denied", "You must have Advanced KDP enabled."), PASSED, FAILED, "valid"),
    "daily limit": (errors(403, "permission_denied", "You have reached your daily limit."), PASSED, WARNED, "valid"),
    "suspended": (errors(403, "forbidden", "Your account is suspended."), FAILED, FAILED, "account disabled"),
    "other words": (errors(403, "permission_denied", "Computer says no."), PASSED, FAILED, "valid"),
    "edge": (Reply(403, b"<title>Blocked</title>", HTML), WARNED, WARNED, "inconclusive"),
    "429": (errors(429, "throttled", "Request was throttled.", **{"Retry-After": "30000"}), WARNED, WARNED, "inconclusive"),
    "400": (errors(400, "invalid", "Invalid filter."), WARNED, FAILED, "inconclusive"),
    "404": (errors(404, "not_found", "Not found."), WARNED, FAILED, "inconclusive"),
    "409": (errors(409, "conflict", "In use."), WARNED, WARNED, "inconclusive"),
    "410": (errors(410, "gone", "Retired."), WARNED, FAILED, "inconclusive"),
    "503": (errors(503, "unavailable", "Maintenance."), WARNED, WARNED, "inconclusive"),
    "errors": (Reply(body=b'{"data": [], "errors": [{"detail": "Partial."}]}'), WARNED, WARNED, "inconclusive"),
}


def accessed(reply: Reply, entry: ResourceType) -> Access:
    async def run(base_url: str) -> Access:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=base_url, max_retries=0)) as client:
            return await assess(client, entry)

    with scripted_server() as server:
        server.respond_with(reply)
        return asyncio.run(run(server.base_url))


@pytest.mark.parametrize(("reply", "key", "scope", "state"), RESPONSES.values(), ids=RESPONSES)
def test_response_determines_the_check_results(
    reply: Reply, key: tuple[bool, dg.AssetCheckSeverity], scope: tuple[bool, dg.AssetCheckSeverity], state: str
) -> None:
    found = asset_checks.api_key_valid(accessed(reply, ACCOUNTS), dg.AssetKey(["klaviyo", "accounts"]))
    assert (found.passed, found.severity) == key
    assert found.metadata["verdict"].value == state

    access = accessed(reply, REVIEWS)
    found = asset_checks.scope_coverage(access, dg.AssetKey(["klaviyo", "reviews"]))
    assert (found.passed, found.severity) == scope
    assert access.error is not None
    assert access.error.detail is not None
    assert access.error.detail in (found.description or ""), "Klaviyo's error text is shown"
