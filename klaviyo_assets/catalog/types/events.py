"""Events: what people did, one row per event."""

from datetime import timedelta

from klaviyo_assets.catalog.columns import Column, ColumnType, all_included, attribute, from_first_included, record_id, to_many, to_one
from klaviyo_assets.catalog.endpoint import EQUALS, HAS, RANGE, TIER_M, TIER_XL, Endpoint, Include, PageSize
from klaviyo_assets.catalog.replication import Incremental
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.metric_aggregates import METRIC_AGGREGATES


def _attributed(target: str, name: str, description: str) -> Column:
    """A column of the first attribution. The resource of an attribution has no attributes, only relationships."""
    relationship = "attributed-event" if target == "event" else target
    return from_first_included("attributions", f"attributed_{name}", relationship, f"{description}, by its first attribution; null if none.")


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
        to_many("attributions", "attribution_ids", "Attributions of the event: what Klaviyo gives the credit for it; null if there are none."),
        _attributed("event", "event_id", "The event that the conversion is attributed to, such as an open or a click"),
        _attributed("campaign", "campaign_id", "The campaign that the event is attributed to"),
        _attributed("campaign-message", "campaign_message_id", "The message of that campaign"),
        _attributed("flow", "flow_id", "The flow that the event is attributed to"),
        _attributed("flow-message", "flow_message_id", "The message of that flow"),
        _attributed("flow-message-variation", "flow_message_variation_id", "The variation of that message, in an A/B test"),
        all_included(
            "attributions",
            "attributions",
            "What each attribution refers to (its JSON:API relationships), exactly as Klaviyo sent it and in the order of attribution_ids; "
            "null in the place of one that Klaviyo did not send.",
        ),
    ),
    requested_includes=(Include("attributions"),),
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
