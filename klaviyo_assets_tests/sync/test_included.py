"""Tables that are filled from the responses for another type, and columns that are filled by included relationships."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.api.klaviyo_errors import EdgeBlocked, InvalidResponse, KlaviyoError, NotFound
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.decode import Page, PageDecoder
from klaviyo_assets.decode.hosted import IncludedDecoder
from klaviyo_assets.decode.malformed import UnreadablePage
from klaviyo_assets.extract.feed import Feed, HostNotRead
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, small, sync, table, truth

HOSTED = [name for name, entry in CATALOG.items() if entry.host is not None]


@pytest.fixture
def shop() -> Iterator[SandboxProcess]:
    with small(events=0, profiles=10, metrics=3, reviews=0, campaigns=18, flows=8, others=2, includes_need_scope=True) as sandbox:
        yield sandbox


@pytest.fixture
def cut_short() -> Iterator[SandboxProcess]:
    with small(events=0, profiles=10, metrics=3, reviews=0, campaigns=18, flows=8, others=2, truncated_includes=True) as sandbox:
        yield sandbox


@pytest.mark.parametrize("name", [HOSTED[0], *(pytest.param(name, marks=pytest.mark.long) for name in HOSTED[1:])])
def test_resources_that_a_response_lacks_are_fetched(name: str, cut_short: SandboxProcess, warehouse: LocalFile) -> None:
    report = sync(name, cut_short, warehouse)

    assert_frame_equal(table(warehouse, name), truth(cut_short, name))
    assert (report.row.fetched_by_id or 0) > 0
    assert query(warehouse, f"SELECT fetched_by_id FROM _syncs WHERE resource_type = '{name}'") == [(report.row.fetched_by_id,)]


@pytest.mark.long
def test_records_that_their_host_no_longer_names_are_marked_as_deleted(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("flow_actions", shop, warehouse)
    gone = shop.truth("flow_actions")[0]["id"]
    shop.change("delete", type="flow_actions", id=gone)

    report = sync("flow_actions", shop, warehouse)

    assert report.row.rows_deleted == 1
    assert query(warehouse, "SELECT id FROM flow_actions WHERE _deleted_at IS NOT NULL") == [(gone,)]
    assert report.row.requests == 1 + 2 + 2  # a probe, both subsets of flows, and in both the flow that lacks an action
    assert_frame_equal(table(warehouse, "flow_actions"), truth(shop, "flow_actions"))


def test_a_failed_request_marks_nothing(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("flow_actions", shop, warehouse)
    shop.change("delete", type="flow_actions", id=shop.truth("flow_actions")[0]["id"])
    shop.faults({"path": "/api/flows", "kind": "503", "times": 1, "after": 3})

    with pytest.raises(KlaviyoError):
        sync("flow_actions", shop, warehouse, max_retries=0)

    assert query(warehouse, "SELECT count(_deleted_at) FROM flow_actions") == [(0,)]


@pytest.mark.parametrize("name", ["campaigns", "flows", "lists", "segments"])
def test_tags_are_read_with_the_records(name: str, shop: SandboxProcess, warehouse: LocalFile) -> None:
    report = sync(name, shop, warehouse)

    assert_frame_equal(table(warehouse, name), truth(shop, name))
    assert query(warehouse, f"SELECT count(tag_ids) = count(*), bool_or(len(tag_ids) > 0) FROM {name}") == [(True, True)]
    assert report.notes == ()


@pytest.mark.parametrize("name", ["campaigns", "flows", "lists", "segments"])
def test_without_the_scope_of_tags_everything_else_is_read(name: str, shop: SandboxProcess, warehouse: LocalFile) -> None:
    report = sync(name, shop, warehouse, key=shop.keys.lacking("tags:read"))

    assert_frame_equal(table(warehouse, name).drop("tag_ids"), truth(shop, name).drop("tag_ids"))
    assert query(warehouse, f"SELECT count(tag_ids) FROM {name}") == [(0,)]
    (note,) = report.notes
    assert note.startswith(f"{name} are read without their tags, because the API key lacks tags:read: tag_ids is null. What to do: ")


@pytest.mark.long
def test_a_refusal_that_is_not_about_the_scope_makes_no_value_null(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", shop, warehouse)
    before = table(warehouse, "lists")
    shop.faults({"path": "/api/lists", "kind": "html403", "after": 1, "times": 1})

    with pytest.raises(EdgeBlocked):
        sync("lists", shop, warehouse)

    assert_frame_equal(table(warehouse, "lists"), before)


@pytest.mark.long
def test_without_that_scope_missing_records_are_looked_up_too(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("lists", shop, warehouse)
    shop.change("delete", type="lists", id=shop.truth("lists")[0]["id"])

    report = sync("lists", shop, warehouse, key=shop.keys.lacking("tags:read"))

    assert report.row.rows_deleted == 1


# --- one page


def host_page(data: Any, included: Any) -> Page:
    from klaviyo_assets.catalog.hosting import host_alone

    return PageDecoder(host_alone(CATALOG["flow_actions"])).page(json.dumps({"data": data, "included": included}).encode())


def test_a_response_that_does_not_name_its_resources_is_refused() -> None:
    page = host_page([{"type": "flow", "id": "f", "attributes": {}, "relationships": {"flow-actions": {"links": {}}}}], [])

    with pytest.raises(UnreadablePage, match=r"The flow f does not name its flow-actions\."):
        IncludedDecoder(CATALOG["flow_actions"]).included(page)


def test_other_included_resources_and_those_of_no_record_are_ignored() -> None:
    resources = [{"type": "flow-action", "id": 7, "attributes": {}}, {"type": "tag", "id": "7"}, {"type": "flow-action", "id": "8", "attributes": {}}]
    names = {"flow-actions": {"data": [{"type": "flow-action", "id": "7"}, {"type": "flow-action", "id": "9"}]}}
    decoder = IncludedDecoder(CATALOG["flow_actions"])

    found = decoder.included(host_page([{"type": "flow", "id": "f", "attributes": {}, "relationships": names}], resources))

    assert found.lacking == ["9"]
    assert decoder.page(found, {}).frame["id"].to_list() == ["7"]


# --- the feed between the syncs of a host and of a type


def test_the_host_waits_until_the_type_is_ready_and_does_not_run_ahead() -> None:
    async def run() -> tuple[list[int], int]:
        feed, most = Feed(CATALOG["flow_actions"]), 0

        async def host() -> None:
            nonlocal most
            assert await feed.begin()
            for number in range(50):
                feed.add(Page([], str(number), PageDecoder(CATALOG["flows"])))
                most = max(most, len(feed._pages))
                await feed.drain()
            feed.end()

        task = asyncio.create_task(host())
        await asyncio.sleep(0)
        feed.join()
        read = [int(page.next_url or "") async for page in feed.pages()]
        await task
        return read, most

    read, most = asyncio.run(run())
    assert read == list(range(50))
    assert most <= 4


def test_a_type_that_gives_up_does_not_hold_up_the_host() -> None:
    async def run() -> None:
        feed = Feed(CATALOG["flow_actions"])
        feed.leave()
        assert not await feed.begin()
        joined = Feed(CATALOG["flow_actions"])
        joined.join()
        assert await joined.begin()
        joined.leave()
        for _ in range(20):
            joined.add(Page([], None, PageDecoder(CATALOG["flows"])))
            await joined.drain()

    asyncio.run(asyncio.wait_for(run(), 10))


def test_a_type_reads_the_host_itself_if_the_hosts_sync_ends_before_it_reads() -> None:
    async def run() -> None:
        feed = Feed(CATALOG["flow_actions"])
        feed.join()
        feed.abandon()
        with pytest.raises(HostNotRead):
            async for _ in feed.pages():
                pass

    asyncio.run(run())


@pytest.mark.parametrize("error", [NotFound("Gone."), InvalidResponse("Odd."), None])
def test_a_read_of_the_host_that_is_not_complete_is_an_error_of_the_type(error: Exception | None) -> None:
    async def run() -> None:
        feed = Feed(CATALOG["flow_actions"])
        feed.join()
        await feed.begin()
        if error is not None:
            feed.end(error)
        feed.abandon()
        async for _ in feed.pages():
            pass

    with pytest.raises(Exception, match=r"Gone\.|Odd\.|flow_actions comes with the responses for flows, and that read was stopped\."):
        asyncio.run(run())
