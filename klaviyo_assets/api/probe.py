"""A cheap request that shows whether the key may read a resource type, and Klaviyo's time."""

from typing import Any

import msgspec

from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.filters import all_of, equals
from klaviyo_assets.api.klaviyo_errors import ClocksDisagree, InvalidResponse, NotFound
from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.hosting import host_alone
from klaviyo_assets.catalog.resource_type import ResourceType

_PROBES_FOR_TIME = 6
"""Maximum number of requests to find two responses that agree about the time."""

_PARENTS_TRIED = 3
"""Parents that may be deleted one after the other, each between its own request and that for its children."""


async def sync_clock(client: KlaviyoClient, entry: ResourceType) -> None:
    """Send requests until Klaviyo's time is confirmed; none if it already is.

    Raises:
        ClocksDisagree: If the responses and the clock of this machine are years apart.
        KlaviyoError: As :func:`probe` does; :class:`~klaviyo_assets.api.klaviyo_errors.InvalidResponse` if the responses do not agree.
    """
    for _ in range(_PROBES_FOR_TIME):
        if client.time_is_known:
            return
        try:
            await probe(client, entry)
        except NotFound as error:
            if entry.parent is None or not error.is_about_a_record:
                raise  # a deleted parent says nothing about the other parents, and this response shows the time too
        if (disagreement := client.clock_disagreement) is not None:
            raise ClocksDisagree(f"{disagreement} They are too far apart, so the end of the covered time is unknown.")
    if not client.time_is_known:
        raise InvalidResponse("Klaviyo's responses disagree about the current time, so the end of the covered time is unknown.")


async def probe(client: KlaviyoClient, entry: ResourceType) -> dict[str, Any] | None:
    """Request one record of the resource type; for a child type, one child of the first parent; for a type with a host, one record of the host.

    A made-up parent id would not work: Klaviyo may respond with 404 to an unknown id before it checks the key's scopes. If the parent is deleted
    between the two requests, the next parent is used.

    Returns:
        The response's document; None for a child type without parents, since its endpoint cannot be requested.

    Raises:
        KlaviyoError: As the client does; :class:`~klaviyo_assets.api.klaviyo_errors.ScopeMissing` if the key lacks the scope.
    """
    if (shown_by := entry.access_shown_by) is not None:
        return await probe(client, shown_by)
    if entry.parent is None:
        return await _one_record(client, entry, None)
    for tried in range(1, _PARENTS_TRIED + 1):
        parents = await probe(client, entry.parent.entry)
        if parents is None or not parents["data"]:
            return None
        try:
            return await _one_record(client, entry, parents["data"][0]["id"])
        except NotFound as error:
            if tried == _PARENTS_TRIED or not error.is_about_a_record:
                raise
    raise AssertionError("unreachable: the last attempt raises")


async def _one_record(client: KlaviyoClient, entry: ResourceType, parent_id: str | None) -> dict[str, Any]:
    if entry.host is not None:
        entry = host_alone(entry)
        return (await client.get(entry, entry.endpoint.path, _small(entry) | entry.record_parameters, _collection)).value
    parameters = _sparse_fieldset(entry) | _small(entry, parent_id)
    response = await client.get(entry, entry.path_of(parent_id), parameters, _collection)
    return response.value


def _small(entry: ResourceType, parent_id: str | None = None) -> dict[str, str]:
    """Return the parameters for a page with one record; of a parent's children if the endpoint filters by the parent."""
    parameters = {}
    if entry.endpoint.page_size is not None:
        parameters["page[size]"] = "1"
    if entry.parent is not None and entry.parent.filter is not None and parent_id is not None:
        parameters["filter"] = equals(entry.parent.filter, parent_id)
    elif entry.endpoint.required_filter is not None:
        parameters["filter"] = all_of(*entry.subsets[0].filters)
    return parameters


def _collection(body: bytes) -> dict[str, Any]:
    """Decode a collection document. Any other document with status 200 does not prove that the key may read the type.

    Raises:
        ValueError: If it is not a collection.
    """
    document = msgspec.json.decode(body, type=dict[str, Any])
    records = document.get("data")
    if not isinstance(records, list) or not all(isinstance(record, dict) and "id" in record for record in records):
        raise ValueError("the document is not a collection of records")
    return document


def _sparse_fieldset(entry: ResourceType) -> dict[str, str]:
    """Select one time attribute only: cheap, and free of customer-defined content that a parser may refuse."""
    times = (column for column in entry.columns if column.type is ColumnType.TIMESTAMP and column.path[0] == "attributes")
    column = next(times, None)
    return {f"fields[{entry.jsonapi_type}]": ".".join(column.path[1:])} if column is not None else {}
