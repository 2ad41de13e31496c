"""Requests the account's metrics."""

import msgspec

from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.listing import Listing

_MAX_PAGES = 1_000
"""Maximum pages of the list of metrics, enough for a hundred thousand metrics and more."""


class _MetricName(msgspec.Struct):
    name: str = ""


class _NamedMetric(msgspec.Struct):
    id: str
    attributes: _MetricName | None = None


_Listing = Listing[_NamedMetric]


async def metric_names(client: KlaviyoClient, metrics: ResourceType) -> dict[str, str]:
    """Return the names of all metrics by id.

    Args:
        client: The client.
        metrics: The type of metrics.

    Raises:
        KlaviyoError: If Klaviyo refuses or fails.
    """
    found: dict[str, str] = {}
    async for response in client.pages(metrics, metrics.page_parameters, msgspec.json.Decoder(_Listing).decode, max_pages=_MAX_PAGES):
        found |= {record.id: record.attributes.name if record.attributes else "" for record in response.value.data}
    return found
