"""Klaviyo's own counts of the children of parents."""

import asyncio
from collections.abc import Callable, Iterable

import msgspec
import pytest

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import InvalidResponse, NotFound
from klaviyo_assets.extract.parent_counts import count_children
from klaviyo_assets_tests.api.client_helpers import HTML, KEY, LISTS, errors
from klaviyo_assets_tests.api.scripted import Reply, scripted_server

pytestmark = pytest.mark.usefixtures("unpaced")

GONE = errors(404, "not_found", "A list with id B does not exist.")


def counted(responder: Callable[[str], Reply], ids: Iterable[str] = "ABC") -> dict[str, int]:
    """Request the counts of some lists."""

    async def run() -> dict[str, int]:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=server.base_url, max_retries=0)) as client:
            counts = await count_children(client, LISTS, "profile_count", ids)
        return {id_: number for id_, (number, _) in counts.items()}

    with scripted_server() as server:
        server.responder = responder
        return asyncio.run(run())


def count(value: object) -> Reply:
    return Reply(body=msgspec.json.encode({"data": {"type": "list", "id": "A", "attributes": {"profile_count": value}}}))


def test_a_deleted_parent_has_no_count() -> None:
    assert counted(lambda path: GONE if path.startswith("/api/lists/B?") else count(7)) == {"A": 7, "C": 7}


def test_a_404_from_something_in_front_of_klaviyo_is_no_deleted_parent() -> None:
    with pytest.raises(NotFound):
        counted(lambda path: Reply(404, b"<html>", HTML))


NO_COUNTS = [
    *(count(value) for value in (None, "7", True, -1, 7.5, [])),
    *(Reply(body=body) for body in (b"{}", b'{"data": null}', b'{"data": []}', b'{"data": {"attributes": null}}', b'{"data": {"attributes": {}}}')),
]


@pytest.mark.parametrize("reply", NO_COUNTS, ids=lambda reply: reply.body.decode())
def test_a_document_without_a_number_is_an_error_and_not_a_count(reply: Reply) -> None:
    with pytest.raises(InvalidResponse, match=r"^Klaviyo's response is not the JSON that was expected\. \[GET /api/lists/A: 200"):
        counted(lambda path: reply)


def test_an_id_of_any_characters_is_one_part_of_the_path() -> None:
    requested: list[str] = []

    assert counted(lambda path: requested.append(path) or count(1), ["a/b?c"]) == {"a/b?c": 1}
    assert requested[0].startswith("/api/lists/a%2Fb%3Fc?")
