"""Look-ups of records before they are marked as deleted."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import pytest

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import EndlessPages, NotFound
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.lookup import look_up
from klaviyo_assets_tests.api.client_helpers import HTML, KEY, errors, page
from klaviyo_assets_tests.api.scripted import Reply, Scripted, scripted_server
from klaviyo_assets_tests.outside_types import VOUCHERS

pytestmark = pytest.mark.usefixtures("unpaced")

LISTS = CATALOG["lists"]
GONE = errors(404, "not_found", "A list with id B does not exist.")


def found(entry: ResourceType, ids: Sequence[str], responder: Callable[[str], Reply]) -> tuple[list[str], Scripted]:
    """Look records up on a server; return the ids of those that still exist."""

    async def run() -> list[str]:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url, max_retries=0)) as client:
            return [record.id for one in await look_up(client, entry, ids) for record in one.records]

    with scripted_server() as server:
        server.responder = responder
        return asyncio.run(run()), server


def test_nothing_is_requested_if_klaviyo_has_no_endpoint_for_one_record() -> None:
    entry = replace(VOUCHERS, endpoint=replace(VOUCHERS.endpoint, lookup_limit=None))

    ids, server = found(entry, ["A", "B"], lambda path: Reply())

    assert (ids, server.requests) == ([], [])


def test_one_by_one_the_records_that_still_exist_are_found() -> None:
    def respond(path: str) -> Reply:
        id_ = path.partition("?")[0].rpartition("/")[2]
        return GONE if id_ == "B" else Reply(body=msgspec.json.encode({"data": {"type": "voucher", "id": id_}}))

    ids, server = found(VOUCHERS, ["A", "B", "C"], respond)

    assert ids == ["A", "C"]
    assert sorted(path for path, _ in server.requests) == [f"/api/vouchers/{id_}" for id_ in "ABC"]


def test_a_404_from_something_in_front_of_klaviyo_does_not_say_that_a_record_was_deleted() -> None:
    with pytest.raises(NotFound):
        found(VOUCHERS, ["A"], lambda path: Reply(404, b"<html>", HTML))


def test_pages_without_an_end_do_not_say_that_a_record_was_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.extract.lookup._PAGES_PER_REQUEST", 3)
    numbers = itertools.count()

    with pytest.raises(EndlessPages, match=r"^Klaviyo's pages do not end: there are more than 3\. \[GET /api/lists\] What to do: "):
        found(LISTS, ["A"], lambda path: page(next_url=f"/api/lists?page[cursor]={next(numbers)}"))
    assert next(numbers) == 3
