"""Records of child types: read per parent, with one shared rate limit and both scopes, and probed at an existing parent."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar
from unittest.mock import patch

import dagster as dg
import pytest

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import ApiResponse, KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.scope_check import Access, Verdict, assess
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.checks.asset_checks import scope_coverage
from klaviyo_assets.cli.check import USABLE, exit_status
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.decode.page import Page, frame_of
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.accounts import small
from klaviyo_assets_tests.outside_types import NAME, SEGMENT_PEOPLE, VOUCHER_CODES

T = TypeVar("T")


@pytest.fixture(scope="module")
def shop() -> Iterator[SandboxProcess]:
    with small(segments=5, others=8, catalog=NAME) as sandbox:
        yield sandbox


def with_client(sandbox: SandboxProcess, work: Callable[[KlaviyoClient], Awaitable[T]], key: str = "") -> T:
    async def run() -> T:
        settings = ClientSettings(base_url=sandbox.base_url, max_retries=0)
        async with KlaviyoClient(parse_api_key(key or sandbox.keys.all_scopes), settings) as client:
            return await work(client)

    return asyncio.run(run())


@pytest.mark.long
@pytest.mark.parametrize("entry", [SEGMENT_PEOPLE, VOUCHER_CODES], ids=lambda entry: entry.name)
def test_children_of_all_parents_form_one_frame_with_parent_ids(shop: SandboxProcess, entry: ResourceType) -> None:
    assert entry.parent is not None
    truth = {(one["meta"][entry.parent.column], one["id"]) for one in shop.truth(entry.name)}
    decoder = PageDecoder(entry)

    async def read(client: KlaviyoClient) -> list[Page]:
        found = []
        for parent in shop.truth(entry.parent.type_name):  # type: ignore[union-attr]
            pages = client.pages(entry, {"page[size]": "3"}, decoder.linked_page, parent_id=parent["id"])
            found += [response.value.of_parent(parent["id"]) async for response in pages]
        return found

    pages = with_client(shop, read)

    assert set(frame_of(pages).select(entry.primary_key).iter_rows()) == truth
    assert pages[0].frame[entry.parent.column].unique().to_list() in [[pages[0].parent_id], []]


def test_the_children_of_all_parents_share_a_limit(shop: SandboxProcess) -> None:
    async def read(client: KlaviyoClient) -> set[str]:
        for parent in shop.truth("segments")[:2]:
            [_ async for _ in client.pages(SEGMENT_PEOPLE, {}, PageDecoder(SEGMENT_PEOPLE).page, parent_id=parent["id"])]
        return {name for name, _ in client._limiters}

    assert with_client(shop, read) == {"/api/segments/{id}/people"}


def test_child_type_is_probed_at_a_parent(shop: SandboxProcess) -> None:
    found = with_client(shop, lambda client: assess(client, SEGMENT_PEOPLE))

    assert found.verdict is Verdict.GRANTED
    assert found.summary == "The key may read segment_people (segments:read and profiles:read)."


@pytest.mark.parametrize(("deleted", "verdict"), [(1, Verdict.GRANTED), (2, Verdict.GRANTED), (5, Verdict.NOT_FOUND)])
def test_parent_deleted_before_its_children_are_requested(deleted: int, verdict: Verdict) -> None:
    """The next parent is requested instead, a few times."""
    with small(segments=6, others=8, catalog=NAME) as sandbox:

        async def check(client: KlaviyoClient) -> Access:
            get, left = client.get, [*range(deleted)]

            async def get_then_delete(entry: ResourceType, *arguments: Any) -> ApiResponse[Any]:
                answer = await get(entry, *arguments)
                if entry.name == "segments" and left:
                    left.pop()
                    sandbox.change("delete", type="segments", id=answer.value["data"][0]["id"])
                return answer

            with patch.object(client, "get", get_then_delete):
                return await assess(client, SEGMENT_PEOPLE)

        assert with_client(sandbox, check).verdict is verdict


@pytest.mark.parametrize("scope", SEGMENT_PEOPLE.scopes)
def test_child_type_needs_each_of_its_scopes(shop: SandboxProcess, scope: str) -> None:
    found = with_client(shop, lambda client: assess(client, SEGMENT_PEOPLE), shop.keys.lacking(scope))

    assert found.verdict is Verdict.SCOPE_MISSING


def test_scopes_of_a_child_type_without_parents_are_unknown() -> None:
    with small(segments=0, catalog=NAME) as sandbox:
        found = with_client(sandbox, lambda client: assess(client, SEGMENT_PEOPLE), sandbox.keys.lacking("profiles:read"))

        assert found.verdict is Verdict.UNKNOWN
        assert not found.granted
        assert found.error is None, "a sync is not refused, since it has nothing to read"
        assert found.summary == (
            "There are no segments yet, so it is unknown whether the key may read segment_people (segments:read and profiles:read)."
        )
        assert exit_status([found]) == USABLE
        assert {one["path"] for one in sandbox.stats()["log"]} == {"/api/segments"}


def test_scope_of_the_parent_is_needed_without_parents_too() -> None:
    with small(segments=0, catalog=NAME) as sandbox:
        found = with_client(sandbox, lambda client: assess(client, SEGMENT_PEOPLE), sandbox.keys.lacking("segments:read"))

    assert found.verdict is Verdict.SCOPE_MISSING


def test_the_check_of_an_unknown_scope_warns() -> None:
    with small(segments=0, catalog=NAME) as sandbox:
        access = with_client(sandbox, lambda client: assess(client, SEGMENT_PEOPLE))

    result = scope_coverage(access, dg.AssetKey("segment_people"))

    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (result.description or "").endswith("What to do: Nothing: it is checked once there are segments.")
