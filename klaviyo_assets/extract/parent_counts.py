"""Requests Klaviyo's own number of a parent's children, such as a list's ``profile_count``."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.klaviyo_errors import NotFound
from klaviyo_assets.catalog.resource_type import ResourceType


async def count_children(client: KlaviyoClient, parent: ResourceType, attribute: str, ids: Iterable[str]) -> dict[str, tuple[int, datetime]]:
    """Return the number of children of some parents, and when each was requested; those that no longer exist are left out.

    One request each, at the endpoint's lower limit for this attribute.

    Args:
        client: The client.
        parent: The parents' type.
        attribute: Additional field with the number.
        ids: Their ids.

    Raises:
        KlaviyoError: If Klaviyo refuses or fails.
    """
    found = {}
    parameters = {f"additional-fields[{parent.jsonapi_type}]": attribute, f"fields[{parent.jsonapi_type}]": "id"}
    for id_ in ids:
        try:
            response = await client.get(parent, f"{parent.endpoint.path}/{quote(id_, safe='')}", parameters, lambda body: _number(body, attribute))
        except NotFound as error:
            if not error.is_about_a_record:
                raise
            continue
        found[id_] = (response.value, response.requested_at)
    return found


def _number(body: bytes, attribute: str) -> int:
    """Return the number in a document with one record.

    Raises:
        ValueError: If there is none.
    """
    document = msgspec.json.decode(body, type=dict[str, Any])
    try:
        number = document["data"]["attributes"][attribute]
    except (KeyError, TypeError):
        number = None
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError(f"the record has no {attribute}")
    return number
