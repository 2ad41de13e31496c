"""Requests what planning a report needs to know about the account: its time zone, conversion metrics, and where its history begins."""

from datetime import UTC, date, datetime

import msgspec

from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.klaviyo_errors import AccessDenied, AccessRefused, ScopeMissing
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.mapped_metrics import MAPPED_METRICS
from klaviyo_assets.errors import SyncError
from klaviyo_assets.extract.listing import Listing
from klaviyo_assets.extract.report_facts import ReportFacts
from klaviyo_assets.state.time_zone import account_time_zone
from klaviyo_assets.sync.context import SyncContext

_FOUNDED = date(2012, 1, 1)
"""Klaviyo's founding year: the start of the history if no later start is known."""

_MAX_PAGES = 1_000

_SET_METRICS = "set KLAVIYO_CONVERSION_METRIC_IDS to the ids of one or more metrics (the table metrics lists them)"


class _Reference(msgspec.Struct):
    id: str


class _Relationship(msgspec.Struct):
    data: _Reference | None = None


class _Relationships(msgspec.Struct, rename={"custom_metric": "custom-metric"}):
    metric: _Relationship | None = None
    custom_metric: _Relationship | None = None


class _Mapped(msgspec.Struct):
    relationships: _Relationships | None = None


class _MappedDocument(msgspec.Struct):
    data: _Mapped


class _CreationTime(msgspec.Struct):
    created: datetime | None = None


class _DatedRecord(msgspec.Struct):
    id: str
    attributes: _CreationTime


async def report_facts(sync: SyncContext) -> ReportFacts | None:
    """Return what planning a report needs to know; None for other types.

    Raises:
        KlaviyoError: If Klaviyo refuses or fails.
        SyncError: If the time zone or the conversion metric is not known; the text says what to do.
    """
    report, client = sync.entry.replication.report, sync.client
    if report is None:
        return None
    zone = await account_time_zone(client, sync.loader.warehouse.state_dir, sync.row.account_id, catalog=sync.catalog)
    metrics = sync.options.conversion_metrics or await _revenue_metric(sync) if report.by_conversion_metric else ()
    began = await _began(client, sync.catalog.metrics_type) if sync.entry.named_in_filter is None else None
    since = began.astimezone(zone).date() if began is not None else _FOUNDED
    facts = ReportFacts(zone, max(since, report.not_before or since), metrics)
    if sync.entry.named_in_filter is None:
        return facts
    created = await _created(client, sync.entry.named_in_filter)
    ids = {id_: facts.since if at is None else max(facts.since, at.astimezone(zone).date()) for id_, at in created.items()}
    return ReportFacts(zone, min(ids.values(), default=facts.since), metrics, ids)


async def _revenue_metric(sync: SyncContext) -> tuple[str, ...]:
    """Return the account's own revenue metric; it may be a custom metric.

    Raises:
        SyncError: If the account has none, or the key may not read it.
    """
    entry = sync.catalog.get(MAPPED_METRICS.name, MAPPED_METRICS)
    path, include = f"{entry.endpoint.path}/revenue", {"include": "metric,custom-metric"}
    try:
        mapped = (await sync.client.get(entry, path, include, msgspec.json.Decoder(_MappedDocument).decode)).value.data.relationships
    except AccessDenied as error:
        raise SyncError(
            f"The account's revenue metric, by which reports count conversions, cannot be read: {error.message}",
            f"Create a private API key that also has metrics:read, or {_SET_METRICS}.",
        ) from error
    for one in (mapped.metric, mapped.custom_metric) if mapped is not None else ():
        if one is not None and one.data is not None:
            return (one.data.id,)
    raise SyncError(
        "No metric of the account is mapped as its revenue, by which reports count conversions.",
        f"Map one in Klaviyo (Analytics > Metrics > Mapped metrics), or {_SET_METRICS}.",
    )


async def _began(client: KlaviyoClient, metrics: ResourceType) -> datetime | None:
    """Return when the account was created, judged by its oldest metric: metrics cannot be deleted, and no message is sent without one.

    None if it is not known.
    """
    try:
        created = await _created(client, metrics)
    except (ScopeMissing, AccessRefused):  # other refusals are temporary and must fail the sync: empty early windows would use up the daily limit
        return None  # then earlier, empty windows are requested too
    return min((at for at in created.values() if at is not None), default=None)


async def _created(client: KlaviyoClient, entry: ResourceType) -> dict[str, datetime | None]:
    """Return when each record of a type was created, by its id."""
    parameters = {**entry.page_parameters, f"fields[{entry.jsonapi_type}]": "created"}
    found: dict[str, datetime | None] = {}
    async for response in client.pages(entry, parameters, msgspec.json.Decoder(Listing[_DatedRecord]).decode, max_pages=_MAX_PAGES):
        for record in response.value.data:
            at = record.attributes.created
            found[record.id] = at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
    return found
