"""Requests outside of the cursor chains: records by id before they are marked as deleted, and the oldest record of a type."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

from klaviyo_assets._internal.event_loop import first_error
from klaviyo_assets.api.client import ApiResponse, KlaviyoClient
from klaviyo_assets.api.filters import all_of, any_of
from klaviyo_assets.api.klaviyo_errors import NotFound
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import Page, PageDecoder

T = TypeVar("T")

_ID_FIELDS = ("id", "ids")
"""Names under which endpoints filter by the id of a record; those of the product catalog call it ``ids``."""

_IDS_PER_REQUEST = 50
_LOOK_UPS_AT_ONCE = 10
_PAGES_PER_REQUEST = 100
"""Pages over which the records of one request may be spread, empty ones included."""


async def look_up(client: KlaviyoClient, entry: ResourceType, ids: Sequence[str]) -> list[Page]:
    """Return pages with the records that still exist.

    If the endpoint filters by id, each request looks up many ids; otherwise, each looks up one. If Klaviyo has no endpoint for one record either
    (``lookup_limit`` is None), nothing is requested or returned.

    Raises:
        KlaviyoError: If Klaviyo refuses or fails; then no record may be marked as deleted.
    """
    for field in _ID_FIELDS:
        if entry.endpoint.allows(field, "any"):
            return await _in_groups(client, entry, field, ids)
    if entry.endpoint.lookup_limit is None:
        return []
    return await look_up_one_by_one(client, entry, ids)


async def _in_groups(client: KlaviyoClient, entry: ResourceType, field: str, ids: Sequence[str]) -> list[Page]:
    decoders = [(subset, PageDecoder(entry, subset).linked_page) for subset in entry.subsets]  # created once: each costs as much as a page
    pages = []
    for first in range(0, len(ids), _IDS_PER_REQUEST):
        has_id = any_of(field, ids[first : first + _IDS_PER_REQUEST])
        for subset, decode in decoders:
            parameters = dict(entry.page_parameters) | {"filter": all_of(*subset.filters, has_id)}
            async for response in client.pages(entry, parameters, decode, max_pages=_PAGES_PER_REQUEST):
                if response.value.count:
                    pages.append(response.value.stamped(response.requested_at))
    return pages


async def look_up_one(
    client: KlaviyoClient, entry: ResourceType, id_: str, parameters: Mapping[str, str], decode: Callable[[bytes], T]
) -> ApiResponse[T] | None:
    """Return the response with one record; None if the record does not exist.

    Raises:
        KlaviyoError: If Klaviyo refuses or fails.
    """
    try:
        return await client.get(entry, f"{entry.endpoint.path}/{quote(id_, safe='')}", parameters, decode)
    except NotFound as error:
        if not error.is_about_a_record:
            raise
        return None


async def look_up_one_by_one(client: KlaviyoClient, entry: ResourceType, ids: Sequence[str]) -> list[Page]:
    """Return a page for each record that still exists; a few are requested at once.

    Raises:
        KlaviyoError: If Klaviyo refuses or fails.
    """
    decode = PageDecoder(entry).single

    async def page_of(id_: str) -> Page | None:
        """Return the record with an id, None if it does not exist."""
        response = await look_up_one(client, entry, id_, entry.record_parameters, decode)
        return response.value.stamped(response.requested_at) if response is not None else None

    pages: list[Page | None] = []
    for first in range(0, len(ids), _LOOK_UPS_AT_ONCE):
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(page_of(id_)) for id_ in ids[first : first + _LOOK_UPS_AT_ONCE]]
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
        pages += [task.result() for task in tasks]
    return [page for page in pages if page is not None]


async def oldest_record(client: KlaviyoClient, entry: ResourceType, field: str) -> datetime | None:
    """Return the earliest value of a time field in the first subset; None if it has no records.

    Raises:
        KlaviyoError: If Klaviyo refuses or fails.
    """
    subset = entry.subsets[0]
    parameters = dict(entry.page_parameters) | {"sort": field, "page[size]": "1"}
    if subset.filters:
        parameters["filter"] = all_of(*subset.filters)
    response = await client.get(entry, entry.endpoint.path, parameters, PageDecoder(entry, subset).page)
    extent = response.value.extent(field)
    return extent.least if extent else None
