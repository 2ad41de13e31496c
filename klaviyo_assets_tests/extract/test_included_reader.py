"""Records from the responses for their host, read with requests of their own."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import InvalidResponse, NotFound, ServerFault
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.extract.feed import Feed
from klaviyo_assets.extract.included_reader import IncludedReader
from klaviyo_assets.extract.slices import SubsetSlice
from klaviyo_assets_tests.api.client_helpers import HTML, KEY, errors
from klaviyo_assets_tests.api.scripted import Reply, scripted_server
from klaviyo_assets_tests.extract.test_fetcher import CountingSink

pytestmark = pytest.mark.usefixtures("unpaced")

ACTIONS = CATALOG["flow_actions"]
GONE = errors(404, "not_found", "A flow action with id 2 does not exist.")


def flow(*actions: str) -> dict[str, Any]:
    named = [{"type": "flow-action", "id": id_} for id_ in actions]
    return {"type": "flow", "id": "F", "attributes": {}, "relationships": {"flow-actions": {"data": named}}}


def action(id_: str, **definition: Any) -> dict[str, Any]:
    return {"type": "flow-action", "id": id_, "attributes": {"definition": definition}}


def page(*data: Any, included: Any = ()) -> Reply:
    return Reply(body=json.dumps({"data": data, "included": list(included), "links": {"next": None}}).encode())


def read(responder: Callable[[str], Reply], name: str = "flow_actions", feed: Feed | None = None) -> tuple[list[str], list[str]]:
    """Read all records from a server; return their ids, and the paths that were requested."""

    async def after_page() -> None:
        pass

    async def run() -> list[str]:
        options = ClientSettings(base_url=server.base_url, max_retries=0, rate_limit_share=1.0)
        async with KlaviyoClient(ApiKey(KEY), options) as client:
            await client.get(ACTIONS, "/api/flow-actions/any", {}, bytes)  # a sync knows the time before it reads
            sink, entry = CountingSink(), CATALOG[name]
            reader = IncludedReader(client, entry, sink, after_page)
            await reader.run([SubsetSlice(subset) for subset in entry.required_host.entry.subsets[:1]], feed)
            assert sink.finished
            return [id_ for ids in sink.ids for id_ in ids]

    with scripted_server() as server:
        server.responder = lambda path: Reply() if "/any" in path else responder(path)
        ids = asyncio.run(run())
        return ids, [path.partition("?")[0] for path, _ in server.requests[1:]]


def flows_then(reply: Reply, flows: Reply) -> Callable[[str], Reply]:
    return lambda path: flows if path.startswith("/api/flows") else reply


def test_the_host_is_read_separately_if_its_own_sync_ends_before_it_reads() -> None:
    feed = Feed(ACTIONS)
    feed.abandon()

    assert read(flows_then(GONE, page(flow("1"), included=[action("1")])), feed=feed) == (["1"], ["/api/flows"])


def test_an_error_of_the_hosts_read_is_raised_as_it_is() -> None:
    with pytest.raises(ServerFault, match=r"^Klaviyo could not process the request\. \[GET /api/flows: 503\]"):
        read(flows_then(GONE, Reply(503, b"")))


def test_a_record_that_was_deleted_in_the_meantime_is_left_out() -> None:
    assert read(flows_then(GONE, page(flow("1", "2"), included=[action("1")]))) == (["1"], ["/api/flows", "/api/flow-actions/2"])


def test_a_response_from_something_in_front_of_klaviyo_does_not_say_that_a_record_was_deleted() -> None:
    with pytest.raises(NotFound):
        read(flows_then(Reply(404, b"<html>", HTML), page(flow("1", "2"), included=[action("1")])))


@pytest.mark.parametrize(
    "odd", ["x", None, 7, [], {}, {"id": "2"}, {"type": 5, "id": "2"}, {"type": "flow-action"}, {"type": "flow-action", "id": None}]
)
def test_what_is_no_resource_object_counts_as_not_included_and_is_fetched(odd: Any) -> None:
    fetched = Reply(body=json.dumps({"data": action("2")}).encode())

    ids, requested = read(flows_then(fetched, page(flow("1", "2"), included=[action("1"), odd])))

    assert sorted(ids) == ["1", "2"]
    assert requested == ["/api/flows", "/api/flow-actions/2"]


def test_a_host_that_does_not_name_its_records_is_an_error_of_the_response() -> None:
    unnamed = {"type": "flow", "id": "F", "attributes": {}, "relationships": {"flow-actions": {"links": {}}}}

    with pytest.raises(
        InvalidResponse, match=r"^Klaviyo's response is not the JSON that was expected\. The flow F does not name its flow-actions\. What"
    ):
        read(flows_then(GONE, page(unnamed)))


@pytest.mark.parametrize(
    "body", [b"{}", b'{"data": null}', b'{"data": [1]}', b'{"data": {"id": "2"}}', b'{"data": {"type": "flow-action"}}', b"[]", b""]
)
def test_a_fetched_document_without_a_resource_is_an_error_of_the_response(body: bytes) -> None:
    with pytest.raises(InvalidResponse, match=r"^Klaviyo's response is not the JSON that was expected.*\[GET /api/flow-actions/2: 200"):
        read(flows_then(Reply(body=body), page(flow("1", "2"), included=[action("1")])))


@pytest.mark.parametrize("message", ["x", 7, ["id"], None, {}, {"id": None}, {"id": {}}])
def test_a_message_that_is_no_object_with_an_id_does_not_stop_the_others(message: Any) -> None:
    included = [action("1", type="send-email", data={"message": message}), action("2", type="send-email", data={"message": {"id": "M"}})]

    assert read(flows_then(GONE, page(flow("1", "2"), included=included)), "flow_messages")[0] == ["M"]
