"""Custom httpx transports, and errors that keep no response body."""

import asyncio
import gc
import json
import traceback

import httpx
import pytest

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import ApiKeyRejected, ResponseTooLarge
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets_tests.api.client_helpers import KEY, LISTS
from klaviyo_assets_tests.api.scripted import Reply, Scripted
from klaviyo_assets_tests.api.test_response_body import bomb


class Recording(httpx.AsyncBaseTransport):
    """A transport that returns recorded pages."""

    def __init__(self, *pages: dict[str, object], status: int = 200) -> None:
        self.requests: list[httpx.Request] = []
        self.is_closed = False
        self._pages, self._status = iter(pages), status

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self._status, json=next(self._pages), headers={"Date": "Thu, 01 Jan 2026 12:00:00 GMT"})

    async def aclose(self) -> None:
        self.is_closed = True


def walk(transport: httpx.AsyncBaseTransport, settings: ClientSettings | None = None) -> list[str]:
    async def ids() -> list[str]:
        async with KlaviyoClient(ApiKey(KEY), settings, transport=transport) as client:
            return [id_ async for response in client.pages(LISTS, {}, PageDecoder(LISTS).page) for id_ in response.value.frame["id"]]

    return asyncio.run(ids())


def page(id_: str, following: str | None) -> dict[str, object]:
    return {"data": [{"type": "list", "id": id_, "attributes": {"name": id_}}], "links": {"next": following}}


def test_custom_transport_carries_the_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing listens there
    transport = Recording(page("A", "https://a.klaviyo.com/api/lists?page%5Bcursor%5D=2"), page("B", None))

    assert walk(transport) == ["A", "B"]

    assert [str(request.url.copy_with(query=None)) for request in transport.requests] == ["https://a.klaviyo.com/api/lists"] * 2
    assert {request.headers["authorization"] for request in transport.requests} == {f"Klaviyo-API-Key {KEY}"}
    assert transport.is_closed


def test_resource_accepts_a_custom_transport() -> None:
    transport = Recording(page("A", None))

    class Recorded(KlaviyoResource):
        def transport(self) -> httpx.AsyncBaseTransport:
            return transport

    async def count() -> int:
        async with Recorded(api_key=KEY).client() as client:
            return (await client.get(LISTS, "/api/lists", {}, PageDecoder(LISTS).page)).value.count

    assert asyncio.run(count()) == 1
    assert transport.is_closed


def test_custom_transport_gives_the_same_errors() -> None:
    transport = Recording({"errors": [{"code": "not_authenticated", "detail": "Missing or invalid private key."}]}, status=401)

    with pytest.raises(ApiKeyRejected) as caught:
        walk(transport)

    assert KEY not in "".join(traceback.format_exception(caught.value))


TOO_LARGE = {
    "announced": Reply(body=b" " * 3_000_000),
    "compressed": Reply(body=bomb(30), headers={"Content-Encoding": "gzip"}),
    "endless": Reply(body=b" " * 100_000, endless=True),
}


@pytest.mark.parametrize("reply", TOO_LARGE.values(), ids=TOO_LARGE)
def test_error_of_a_too_large_response_keeps_no_body(reply: Reply, server: Scripted) -> None:
    """Variables in its traceback's frames live until a garbage collection of the oldest generation, which may never happen."""
    server.respond_with(reply)
    settings = ClientSettings(base_url=server.base_url, rate_limit_share=1.0, max_response_bytes=2_000_000)

    async def kept() -> int:
        async with KlaviyoClient(ApiKey(KEY), settings) as client:
            gc.collect()
            gc.disable()
            try:
                await client.get(LISTS, "/api/lists", {}, lambda data: data)
            except ResponseTooLarge as error:
                chain: list[BaseException | None] = [error, error.__context__, error.__cause__]
                frames = [frame for one in chain if one is not None for frame, _ in traceback.walk_tb(one.__traceback__)]
                return max(size_of(value) for frame in frames for value in frame.f_locals.values())
            finally:
                gc.enable()
        raise AssertionError("no error")

    assert asyncio.run(kept()) < 100_000


def size_of(value: object) -> int:
    return value.__sizeof__()


@pytest.mark.parametrize("size", [500, 499])
def test_complete_response_of_a_custom_transport_may_not_be_too_large_either(size: int) -> None:
    body = json.dumps(page("A", None)).encode()
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=body + b" " * (500 - len(body))))
    settings = ClientSettings(max_response_bytes=size, max_retries=0)

    if size == 500:
        assert walk(transport, settings) == ["A"]
        return
    with pytest.raises(ResponseTooLarge, match=r"^Klaviyo's response is larger than 499 bytes, the maximum size of a response\."):
        walk(transport, settings)
