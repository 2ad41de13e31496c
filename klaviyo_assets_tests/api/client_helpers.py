"""Helpers to send requests to a scripted server."""

import asyncio
import json
import traceback
from typing import Any

import pytest

from klaviyo_assets import CATALOG
from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import KlaviyoError
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets_tests.api.scripted import Reply, Scripted

KEY = "pk_" + "5ecret" * 5 + "5ecr"
LISTS = CATALOG["lists"]
RUN_AGAIN = "What to do: This is usually temporary: run the sync again later. What was read so far is kept."
HTML = "text/html; charset=UTF-8"


def errors(status: int, code: str, detail: str, **headers: str) -> Reply:
    body = {"errors": [{"id": "1", "status": status, "code": code, "title": code, "detail": detail, "source": {"pointer": "/data"}}]}
    return Reply(status, json.dumps(body).encode(), headers=headers)


def page(*ids: str, next_url: str | None = None) -> Reply:
    records = [{"type": "list", "id": one, "attributes": {"name": one}} for one in ids]
    return Reply(body=json.dumps({"data": records, "links": {"next": next_url}}).encode())


def read_lists(server: Scripted, *, retries: int = 2, **settings: Any) -> tuple[list[str], KlaviyoClient]:
    """Read all lists; return their ids and the client."""

    async def walk() -> tuple[list[str], KlaviyoClient]:
        options = ClientSettings(base_url=server.base_url, max_retries=retries, rate_limit_share=1.0, **settings)
        async with KlaviyoClient(ApiKey(KEY), options) as client:
            found = [id_ async for response in client.pages(LISTS, {}, PageDecoder(LISTS).page) for id_ in response.value.frame["id"]]
            return found, client

    return asyncio.run(walk())


def error_text(server: Scripted, kind: type[KlaviyoError], **options: Any) -> str:
    """Return the message of the expected error; no part of the error may contain the key."""
    with pytest.raises(kind) as caught:
        read_lists(server, **options)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY not in repr(vars(caught.value))
    return str(caught.value)
