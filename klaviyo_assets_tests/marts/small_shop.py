"""A shop of a few rows, in the raw tables, with numbers that can be computed by hand. Its days are those of New York, its currency is USD.

Five people (P1 to P5), a campaign by e-mail with message M1, one by SMS with T1, and a flow with message FM1, which P5 receives twice.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.columns import ADDED_COLUMNS
from klaviyo_assets.catalog.report_columns import MESSAGE_STATISTICS

SCHEMA = "klaviyo"
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
"""When the marts of this shop are built: a morning in New York."""

Row = Mapping[str, Any]

M1, T1 = {"message_id": "M1"}, {"message_id": "T1"}
FM1 = {"message_id": "FM1", "flow_id": "F1"}
GMAIL, YAHOO = ({"inbox_provider": name, "email_domain": f"{name.lower()}.com"} for name in ("Gmail", "Yahoo"))

_METRICS = {
    "received": "Received Email",
    "opened": "Opened Email",
    "clicked": "Clicked Email",
    "bounced": "Bounced Email",
    "spam": "Marked Email as Spam",
    "unsubscribed": "Unsubscribed from Email Marketing",
    "unsubscribed_old": "Unsubscribed",
    "subscribed": "Subscribed to Email Marketing",
    "received_sms": "Received SMS",
    "clicked_sms": "Clicked SMS",
    "failed_sms": "Failed to Deliver SMS",
    "joined": "Subscribed to List",
    "left": "Unsubscribed from List",
    "order": "Placed Order",
    "order_of_api": "Placed Order",
    "refund": "Refunded Order",
    "checkout": "Checkout Started",
    "view": "Viewed Product",
    "cart": "Added to Cart",
}

_NOTHING = dict.fromkeys((column.name for column in MESSAGE_STATISTICS), 0)
_READ_AT = "2026-03-20 11:00:00+00"


def report(campaign: str, message: str, **numbers: Any) -> Row:
    names = {"campaign_id": campaign, "campaign_message_id": message, "send_channel": "email", "variation": "", "window_start": "2026-01-01"}
    return {**names, "conversion_metric_id": "order", "_synced_at": _READ_AT, **_NOTHING, **numbers}


def flow_report(variation: str, window: Row, **numbers: Any) -> Row:
    names = {"flow_id": "F1", "flow_message_id": "FM1", "send_channel": "email", "variation": variation}
    return {**names, **window, "conversion_metric_id": "order", "_synced_at": _READ_AT, **_NOTHING, **numbers}


_TABLES: Mapping[str, tuple[Row, ...]] = {
    "accounts": ({"id": "A", "timezone": "America/New_York", "preferred_currency": "USD"},),
    "metrics": tuple({"id": id, "name": name} for id, name in _METRICS.items()),
    "mapped_metrics": (
        {"id": "revenue", "metric_id": "order"},
        {"id": "refunded_sales", "metric_id": "refund"},
        {"id": "started_checkout", "metric_id": "checkout"},
        {"id": "viewed_product", "metric_id": "view"},
        {"id": "added_to_cart", "metric_id": "cart"},
    ),
    "custom_metrics": (),
    "campaigns": (
        {"id": "C1", "name": "Spring", "channel": "email", "status": "Sent", "send_time": "2026-03-02 04:30:00+00", "campaign_message_ids": ["M1"]},
        {"id": "C2", "name": "Text", "channel": "sms", "status": "Sent", "send_time": "2026-03-05 15:00:00+00", "campaign_message_ids": ["T1"]},
    ),
    "campaign_messages": (
        {"id": "M1", "campaign_id": "C1", "channel": "email", "label": "Spring mail", "subject": "It is spring"},
        {"id": "T1", "campaign_id": "C2", "channel": "sms", "label": "Spring text"},
    ),
    "flows": ({"id": "F1", "name": "Welcome", "status": "live", "trigger_type": "Added to List"},),
    "flow_messages": ({"id": "FM1", "flow_id": "F1", "flow_action_id": "FA1", "name": "Hello", "channel": "email", "subject_line": "Hello"},),
    "profiles": tuple({"id": f"P{number}", "email": f"p{number}@example.com", "created": "2025-12-01 12:00:00+00"} for number in range(1, 7)),
    "lists": ({"id": "L1", "name": "Newsletter"},),
    "list_members": (
        {"list_id": "L1", "profile_id": "P1", "joined_group_at": "2026-03-01 12:00:00+00"},
        {"list_id": "L1", "profile_id": "P2", "joined_group_at": "2026-03-01 13:00:00+00", "removed_at": "2026-03-04 12:00:00+00"},
        {"list_id": "L1", "profile_id": "P3", "joined_group_at": "2026-03-03 12:00:00+00"},
    ),
    "segments": ({"id": "S1", "name": "VIP"},),
    "segment_members": ({"segment_id": "S1", "profile_id": "P1", "joined_group_at": "2026-03-01 12:00:00+00"},),
    "segment_report_daily": ({"segment_id": "S1", "day": "2026-03-19", "total_members": 7, "members_added": 2, "members_removed": 1},),
    "catalog_items": ({"id": "$custom:::$default:::hat", "external_id": "hat", "title": "Hat"},),
    "campaign_report": (
        report(
            "C1",
            "M1",
            recipients=4,
            delivered=3,
            bounced=1,
            opens=5,
            opens_unique=3,
            clicks=2,
            clicks_unique=1,
            unsubscribes=1,
            unsubscribe_uniques=1,
            spam_complaints=1,
            conversions=2,
            conversion_uniques=1,
            conversion_value=150,
        ),
        report("C2", "T1", send_channel="sms", recipients=2, delivered=1, failed=1, clicks=1, clicks_unique=1, text_message_spend=0.5),
    ),
    "flow_report": (
        flow_report(
            "V1",
            {"window_start": "2026-01-01"},
            recipients=2,
            delivered=2,
            opens=1,
            opens_unique=1,
            clicks=1,
            clicks_unique=1,
            conversions=1,
            conversion_uniques=1,
            conversion_value=30,
        ),
        flow_report("V2", {"window_start": "2026-01-01"}, recipients=1, delivered=1),
    ),
    "flow_report_daily": (
        flow_report("V1", {"day": "2026-01-10"}, recipients=1, delivered=1, opens=1, opens_unique=1),
        flow_report(
            "V1",
            {"day": "2026-02-20"},
            recipients=1,
            delivered=1,
            clicks=1,
            clicks_unique=1,
            conversions=1,
            conversion_uniques=1,
            conversion_value=30,
        ),
        flow_report("V2", {"day": "2026-02-25"}, recipients=1, delivered=1),
    ),
    "forms": ({"id": "form", "name": "Pop-up"},),
    "form_report_daily": ({"form_id": "form", "form_version_id": "1", "day": "2026-03-19", "viewed_form": 10, "submits": 1},),
    "coupons": (),
    "coupon_codes": (),
    "reviews": (
        {"id": "R1", "product_external_id": "hat", "product_name": "Hat", "rating": 5, "created": "2026-03-10 12:00:00+00"},
        {"id": "R2", "product_external_id": "hat", "product_name": "Hat", "rating": 2, "created": "2026-03-11 12:00:00+00"},
    ),
}


def _order(id: str, profile: str | None, at: str, value: float, lines: Mapping[str, int], currency: str = "USD", **columns: Any) -> Row:
    items = [{"ProductID": product, "ProductName": product.title(), "Quantity": count, "ItemPrice": 10} for product, count in lines.items()]
    return event(id, "order", profile, at, value=value, currency=currency, event_key=id, items=items, **columns)


def event(id: str, metric: str, profile: str | None, at: str, **columns: Any) -> Row:
    properties = {name: columns.pop(key) for key, name in (("items", "Items"), ("list", "List")) if key in columns}
    moment = f"{at}+00"
    return {"id": id, "metric_id": metric, "profile_id": profile, "datetime": moment, "event_properties": json.dumps(properties), **columns}


EVENTS = (
    # The campaign: P1 opens twice and clicks, a machine opens for P2 and P3, P3 also opens, P4's address is wrong.
    event("r1", "received", "P1", "2026-03-02 04:31:00", **M1, **GMAIL),
    event("r2", "received", "P2", "2026-03-02 04:31:00", **M1, **GMAIL),
    event("r3", "received", "P3", "2026-03-02 05:31:00", **M1, **YAHOO),
    event("b4", "bounced", "P4", "2026-03-02 04:31:00", bounce_type="Hard", **M1, **YAHOO),
    event("o1", "opened", "P1", "2026-03-02 12:00:00", machine_open=False, **M1, **GMAIL),
    event("o2", "opened", "P1", "2026-03-03 12:00:00", machine_open=False, **M1, **GMAIL),
    event("o3", "opened", "P2", "2026-03-02 04:32:00", machine_open=True, **M1, **GMAIL),
    event("o4", "opened", "P3", "2026-03-02 05:32:00", machine_open=True, **M1, **YAHOO),
    event("o5", "opened", "P3", "2026-03-02 14:00:00", **M1, **YAHOO),
    event("k1", "clicked", "P1", "2026-03-02 12:01:00", **M1, **GMAIL),
    event("k2", "clicked", "P1", "2026-03-02 12:02:00", **M1, **GMAIL),
    event("s3", "spam", "P3", "2026-03-02 14:01:00", **M1, **YAHOO),
    event("u2", "unsubscribed_old", "P2", "2026-03-03 12:00:00", **M1, **GMAIL),
    event("gone", "clicked", "P3", "2026-03-03 12:00:00", _deleted_at="2026-03-04 00:00:00+00", **M1),
    event("future", "opened", "P3", "2027-01-01 00:00:00", **M1),
    # The text message: it does not reach P2.
    event("t1", "received_sms", "P1", "2026-03-05 15:00:00", **T1),
    event("t2", "failed_sms", "P2", "2026-03-05 15:00:00", **T1),
    event("t3", "clicked_sms", "P1", "2026-03-05 15:10:00", **T1),
    # The flow: P5 opens January's message in February; then the second one leads to an order.
    event("f1", "received", "P5", "2026-01-10 12:00:00", variation_id="V1", **FM1, **GMAIL),
    event("f2", "opened", "P5", "2026-02-03 12:00:00", variation_id="V1", **FM1, **GMAIL),
    event("f3", "received", "P5", "2026-02-20 12:00:00", variation_id="V1", **FM1, **GMAIL),
    event("f4", "clicked", "P5", "2026-02-21 12:00:00", variation_id="V1", **FM1, **GMAIL),
    event("f5", "received", "P3", "2026-02-25 12:00:00", variation_id="V2", **FM1, **YAHOO),
    # Orders. O2 is in another currency, O6 has no profile, O7 is the same as O1 from another integration.
    _order(
        "O1",
        "P1",
        "2026-03-02 13:00:00",
        100,
        {"hat": 2, "scarf": 1},
        attributed_message_id="M1",
        attributed_channel="email",
        attributed_event_id="k2",
        attributed_campaign_id="C1",
    ),
    _order(
        "O2", "P1", "2026-03-04 13:00:00", 50, {"hat": 1}, "EUR", attributed_message_id="M1", attributed_channel="email", attributed_event_id="o2"
    ),
    _order("O3", "P1", "2026-03-06 02:00:00", 40, {"scarf": 1, "hat": 1}),
    _order(
        "O4",
        "P5",
        "2026-02-22 12:00:00",
        30,
        {"hat": 1},
        attributed_message_id="FM1",
        attributed_flow_id="F1",
        attributed_channel="email",
        attributed_event_id="f4",
    ),
    _order("O5", "P5", "2026-03-19 13:00:00", 20, {"glove": 1}),
    _order("O6", None, "2026-03-19 14:00:00", 10, {"glove": 1}),
    event("O7", "order_of_api", "P1", "2026-03-02 13:00:00", value=100, currency="USD"),
    event("refund", "refund", "P1", "2026-03-10 12:00:00", value=10, currency="USD", event_key="O1", items=[{"ProductID": "hat", "Quantity": 1}]),
    # Checkouts: P5's leads to O4 with the flow's help; P1 starts two before O3; P2 gives up; P3's is recent.
    event("c5", "checkout", "P5", "2026-02-20 11:00:00", value=30, currency="USD"),
    event("c1", "checkout", "P1", "2026-03-05 20:00:00", value=40, currency="USD"),
    event("c1b", "checkout", "P1", "2026-03-05 21:00:00", value=40, currency="USD"),
    event("c2", "checkout", "P2", "2026-03-05 20:00:00", value=15, currency="USD"),
    event("c3", "checkout", "P3", "2026-03-18 20:00:00", value=15, currency="USD"),
    # Interest in products, consent and lists.
    event("v1", "view", "P1", "2026-03-01 12:00:00", product_id="hat"),
    event("v2", "view", "P1", "2026-03-01 12:01:00", product_id="hat"),
    event("v3", "view", "P2", "2026-03-01 12:00:00", product_id="hat"),
    event("a1", "cart", "P1", "2026-03-01 12:02:00", product_id="hat"),
    event("n1", "subscribed", "P1", "2026-03-01 12:00:00"),
    event("n2", "subscribed", "P2", "2026-03-02 03:00:00"),
    event("n3", "subscribed", "P3", "2026-03-19 12:00:00"),
    event("l1", "joined", "P1", "2026-03-01 12:00:00", list="Newsletter"),
    event("l2", "joined", "P2", "2026-03-01 13:00:00", list="Newsletter"),
    event("l3", "joined", "P3", "2026-03-03 12:00:00", list="Newsletter"),
    event("l4", "left", "P2", "2026-03-04 12:00:00", list="Newsletter"),
    event("l5", "joined", "P4", "2026-03-19 12:00:00", list="No longer here"),
)


def fill(connection: DuckDBPyConnection, schema: str, events: Sequence[Row] = EVENTS, more: Mapping[str, Sequence[Row]] | None = None) -> None:
    """Create the raw tables of the catalog in a schema, and insert the shop's rows.

    Args:
        connection: The database.
        schema: Where the tables are created.
        events: Events of the shop; by default all of them.
        more: More rows by table.
    """
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    tables = {**_TABLES, "events": events}
    for name, rows in {table: [*rows, *(more or {}).get(table, ())] for table, rows in tables.items()}.items():
        columns = {column.name: str(column.type) for column in (*CATALOG[name].columns, *ADDED_COLUMNS)}
        declared = ", ".join(f'"{column}" {type_}' for column, type_ in columns.items())
        connection.execute(f"CREATE OR REPLACE TABLE {schema}.{name} ({declared})")
        for row in rows:
            insert(connection, f"{schema}.{name}", row)


def insert(connection: DuckDBPyConnection, table: str, row: Row) -> None:
    """Insert a row into a table; columns that it does not have are null."""
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" for _ in row)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", [*row.values()])


def events_without(*messages: str) -> list[Row]:
    """Return the events of the shop except those of some messages."""
    return [row for row in EVENTS if row.get("message_id") not in messages]
