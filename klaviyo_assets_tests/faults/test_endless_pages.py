"""A server that returns pages without end, each with a new link."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import EndlessPages
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.extract.stall import MAX_IDLE_PAGES
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync
from klaviyo_assets_tests.api.client_helpers import KEY
from klaviyo_assets_tests.api.scripted import Reply, Scripted, scripted_server

pytestmark = pytest.mark.long

RECENTLY = datetime.now(UTC) - timedelta(hours=2)

TIMES = {"events": "datetime", "profiles": "created", "lists": "created"}

Records = Callable[[int], list[tuple[str, datetime]]]

ENDLESS: dict[str, Records] = {
    "the same records": lambda _: [(str(one), RECENTLY) for one in range(5)],
    "the same records in rotation": lambda page: [(str(one + page % 4), RECENTLY + timedelta(seconds=page % 4)) for one in range(5)],
    "no records": lambda page: [("first", RECENTLY)] if page == 0 else [],
}
OUTSIDE: dict[str, Records] = {
    "new records long ago": lambda page: [(f"{page}-{one}", RECENTLY - timedelta(days=4_000, seconds=-page)) for one in range(5)],
}


def endless(name: str, records: Records, base_url: str, last: int | None = None) -> Callable[[str], Reply]:
    numbers: Iterator[int] = count()

    def respond(path: str) -> Reply:
        parameters = parse_qs(urlsplit(path).query)
        if urlsplit(path).path != CATALOG[name].endpoint.path or parameters.get("page[size]") == ["1"]:
            return document([], None) if name not in path else document(records(0), None)
        number = next(numbers)
        link = f"{base_url}{urlsplit(path).path}?page%5Bcursor%5D=new-{number}"
        return document(records(number), link if number != last else None)

    def document(page: list[tuple[str, datetime]], link: str | None) -> Reply:
        data: list[dict[str, Any]] = [
            {"type": CATALOG[name].jsonapi_type, "id": id_, "attributes": {TIMES[name]: time.isoformat()}} for id_, time in page
        ]
        return Reply(body=json.dumps({"data": data, "links": {"next": link}}).encode())

    return respond


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted_server() as script:
        yield script


@pytest.mark.parametrize(
    ("name", "records"),
    [
        *(pytest.param(name, records, id=f"{name}: {label}") for name in ("profiles", "lists") for label, records in ENDLESS.items()),
        *(pytest.param(name, records, id=f"{name}: {label}") for name in ("events", "profiles") for label, records in OUTSIDE.items()),
    ],
)
def test_sync_fails_with_a_clear_error(name: str, records: Records, server: Scripted, warehouse: LocalFile) -> None:
    server.responder = endless(name, records, server.base_url)
    account = SimpleNamespace(base_url=server.base_url, options=SimpleNamespace(limits=False))

    with pytest.raises(EndlessPages) as caught:
        sync(name, account, warehouse, key=KEY, account_id="AbC123")  # type: ignore[arg-type]

    assert "pages do not end" in str(caught.value)
    assert f"GET {CATALOG[name].endpoint.path}" in str(caught.value)
    assert len(server.requests) < 2 * ClientSettings.concurrency * MAX_IDLE_PAGES, "slices run concurrently and each stops early"
    assert query(warehouse, "SELECT error_class FROM _syncs") == [("EndlessPages",)]


def test_a_hundred_empty_pages_with_an_end_are_read(server: Scripted, warehouse: LocalFile) -> None:
    server.responder = endless("lists", ENDLESS["no records"], server.base_url, last=MAX_IDLE_PAGES)
    account = SimpleNamespace(base_url=server.base_url, options=SimpleNamespace(limits=False))

    assert sync("lists", account, warehouse, key=KEY, account_id="AbC123").row_count == 1  # type: ignore[arg-type]
