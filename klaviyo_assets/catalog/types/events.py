"""Events: what people did, one row per event.

Late events, those that arrive after their time window was read, are found by the ``lookback_ages`` below: ``extract/strategies/incremental.py``
reads a window again at each age, by the rule of ``state/coverage.py``.
"""

from datetime import timedelta

from klaviyo_assets.catalog.columns import (
    EACH,
    Column,
    ColumnType,
    all_included,
    attribute,
    computed,
    from_first_included,
    record_id,
    to_many,
    to_one,
)
from klaviyo_assets.catalog.endpoint import EQUALS, HAS, RANGE, TIER_M, TIER_XL, Endpoint, Include, PageSize
from klaviyo_assets.catalog.replication import Incremental
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.metric_aggregates import METRIC_AGGREGATES


def _attributed(target: str, name: str, description: str) -> Column:
    """A column of the first attribution. The resource of an attribution has no attributes, only relationships."""
    relationship = "attributed-event" if target == "event" else target
    return from_first_included("attributions", f"attributed_{name}", relationship, f"{description}, by its first attribution; null if none.")


def _property(name: str, type: ColumnType, description: str, *paths: str | tuple[str, ...], columns: tuple[str, ...] = ()) -> Column:
    return computed("event_properties", name, type, description, *paths, columns=columns)


_TEXT, _AMOUNT, _COUNT, _FLAG = ColumnType.STRING, ColumnType.FLOAT, ColumnType.INTEGER, ColumnType.BOOLEAN

_CURRENCY = ("$value_currency", "$currency_code", "currency_code", "currency")

# Klaviyo names properties that its own messages and integrations send: https://developers.klaviyo.com/en/reference/query_metric_aggregates ("by").
_PROPERTIES = (
    _property("value", _AMOUNT, "Amount of the event, such as the total of an order ($value), in the currency of the column currency.", "$value"),
    computed("event_properties", "currency", _TEXT, "Currency of the value: three capital letters (ISO 4217).", *_CURRENCY, is_currency=True),
    _property("event_key", _TEXT, "What identifies the event for its sender, such as the number of the order ($event_id).", "$event_id"),
    _property("message_id", _TEXT, "Message that the event is about, such as the one opened ($message): of a campaign or a flow.", "$message"),
    _property("flow_id", _TEXT, "Flow of that message ($flow); null for a campaign.", "$flow"),
    _property("variation_id", _TEXT, "Variation of that message in an A/B test ($variation).", "$variation"),
    _property("campaign_id", _TEXT, "Campaign of that message, where Klaviyo names it ($campaign).", "$campaign"),
    _property(
        "attributed_message_id",
        _TEXT,
        "Message that the event is attributed to: that of the first attribution, else the one that the properties name ($attribution).",
        ("$attribution", "$message"),
        columns=("attributed_campaign_message_id", "attributed_flow_message_id"),
    ),
    _property(
        "attributed_channel",
        _TEXT,
        "Channel of the message that the event is attributed to, where the properties name it.",
        ("$attribution", "$channel"),
        ("$attribution", "channel"),
        "$attributed_channel",
    ),
    _property(
        "machine_open", _FLAG, "Whether a program opened the message, such as Apple Mail Privacy Protection.", "machine_open", "Apple Privacy Open"
    ),
    _property("inbox_provider", _TEXT, "Provider of the recipient's inbox, such as Gmail (Inbox Provider).", "Inbox Provider"),
    _property("email_domain", _TEXT, "Domain of the recipient's e-mail address (Email Domain).", "Email Domain"),
    _property("bounce_type", _TEXT, "Kind of a bounce: Hard or Soft (Bounce Type).", "Bounce Type"),
    _property(
        "item_count",
        _COUNT,
        "Lines of an order or cart: the length of Items, else what the properties say.",
        ("Items", EACH),
        "ItemCount",
        "Item Count",
    ),
    _property("product_id", _TEXT, "Product of an event about one product (ProductID).", "ProductID", "Product ID"),
)

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
        to_many("attributions", "attribution_ids", "Attributions of the event: what Klaviyo credits it to; null if there are none."),
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
        *_PROPERTIES,
    ),
    requested_includes=(Include("attributions"),),
    replication=Incremental(
        field="datetime",
        # Each age costs one more read of every window, so there are few, and they become sparser: most late events are minutes late.
        lookback_ages=(
            timedelta(hours=1),  # events that appear minutes late; one arrived 110 minutes late, which the next age catches
            timedelta(hours=6),  # attribution reaches an event up to three hours after it
            timedelta(days=1),  # without it, an event that is more than six hours late would be missing until the third day
            timedelta(days=3),
            timedelta(days=7),  # a connector that read four days back missed events, and now reads seven
            timedelta(days=17),  # the users of that connector then reported events up to 17 days late; the audit finds later ones
        ),
        future_dated=True,
        honors_start_date=True,
    ),
    counted_by=METRIC_AGGREGATES,
    metric_filter="metric_id",
    has_metric_views=True,
    partitioned=True,
    refresh="hourly",
    sorted_by=("metric_id", "datetime"),
    subject_column="profile_id",
)
