"""Events: what people did, one row per event."""

from datetime import timedelta

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id, to_many, to_one
from klaviyo_assets.catalog.endpoint import EQUALS, HAS, RANGE, TIER_M, TIER_XL, Endpoint, PageSize
from klaviyo_assets.catalog.replication import Incremental
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.metric_aggregates import METRIC_AGGREGATES

EVENTS = ResourceType(
    name="events",
    jsonapi_type="event",
    description="One row per event: something that a profile did or received (an order, an open, a click), with its custom properties.",
    scope="events:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_events",
    endpoint=Endpoint(
        path="/api/events",
        limit=TIER_XL,
        lookup_limit=TIER_M,
        page_size=PageSize(default=200, maximum=1000),
        filters={
            "metric_id": EQUALS,
            "profile_id": EQUALS,
            "profile": HAS,
            "metric": HAS,
            "datetime": RANGE,
            "timestamp": RANGE,
        },
        sorts=("datetime", "timestamp"),
        includes=("attributions", "metric", "profile"),
    ),
    columns=(
        record_id("Klaviyo's id of the event."),
        attribute(
            "datetime",
            ColumnType.TIMESTAMP,
            "When the event took place, in whole seconds. Can be in the future; events can arrive days late.",
        ),
        attribute("timestamp", ColumnType.INTEGER, "The same instant in seconds since 1970-01-01 UTC."),
        attribute("uuid", ColumnType.STRING, "UUID that Klaviyo derives from the event's time and content."),
        attribute(
            "event_properties",
            ColumnType.JSON,
            "Custom properties exactly as Klaviyo sent them, such as $value (the amount), item lists and $flow or $message.",
            personal=True,
        ),
        to_one("profile", "The profile that the event belongs to, if it still exists."),
        to_one("metric", "The event's metric."),
        to_many("attributions", "attribution_ids", "Attributions of the event; null if Klaviyo does not list them."),
    ),
    replication=Incremental(
        field="datetime",
        lookback_ages=(
            timedelta(hours=1),
            timedelta(hours=6),
            timedelta(days=1),
            timedelta(days=3),
            timedelta(days=7),
            timedelta(days=17),
        ),
        future_dated=True,
        honors_start_date=True,
    ),
    counted_by=METRIC_AGGREGATES,
    metric_filter="metric_id",
    refresh="hourly",
    subject_column="profile_id",
)
