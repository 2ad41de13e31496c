"""Columns of reports: groupings, which identify a row, and statistics.

Descriptions follow Klaviyo's reference of the reporting API (https://developers.klaviyo.com/en/reference/reporting_api_overview) and its help pages.
"""

from collections.abc import Mapping

from klaviyo_assets.catalog.columns import Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType

GROUPINGS, STATISTICS, WINDOW = "groupings", "statistics", "window"
"""Members of a report's rows."""

CONVERSION_METRIC = Column(
    "conversion_metric_id",
    ColumnType.STRING,
    "Metric that the conversion statistics count: the account's revenue metric, or one that the setting conversion_metric_ids names. Each metric "
    "has rows of its own, in which all other statistics repeat: filter by it before you add up.",
    ("subset", "conversion_metric_id"),
    required=True,
)

_MESSAGE_STATISTICS: Mapping[str, str] = {
    "recipients": "Messages sent, including those that bounced or failed.",
    "delivered": "Messages delivered.",
    "delivery_rate": "Share of recipients to whom the message was delivered.",
    "bounced": "Messages that bounced.",
    "bounce_rate": "Share of recipients whose message bounced.",
    "failed": "Text messages that failed.",
    "failed_rate": "Share of text messages that failed.",
    "bounced_or_failed": "Messages that bounced or failed.",
    "bounced_or_failed_rate": "Share of messages that bounced or failed.",
    "opens": "Opens, repeated ones included.",
    "opens_unique": "Recipients who opened the message.",
    "open_rate": "Share of delivered messages that were opened.",
    "clicks": "Clicks, repeated ones included.",
    "clicks_unique": "Recipients who clicked.",
    "click_rate": "Share of delivered messages with a click.",
    "click_to_open_rate": "Share of openers who clicked.",
    "unsubscribes": "Unsubscribes.",
    "unsubscribe_uniques": "Recipients who unsubscribed.",
    "unsubscribe_rate": "Share of delivered messages after which the recipient unsubscribed.",
    "spam_complaints": "Complaints about spam.",
    "spam_complaint_rate": "Share of delivered messages with a complaint about spam.",
    "conversions": "Conversions that Klaviyo attributes to the message.",
    "conversion_uniques": "Recipients with a conversion.",
    "conversion_rate": "Share of delivered messages with a conversion.",
    "conversion_value": "Value of the conversions, in the account's currency.",
    "average_order_value": "Value per conversion.",
    "revenue_per_recipient": "Value of the conversions per recipient.",
    "message_segment_count_sum": "Segments of the text messages that were sent.",
    "text_message_credit_usage_amount": "Credits used for text messages.",
    "text_message_spend": "Money spent on text messages.",
    "text_message_roi": "Value of the conversions per money spent on text messages.",
}

_FORM_STATISTICS: Mapping[str, str] = {
    "viewed_form": "Views of the form.",
    "viewed_form_uniques": "People who viewed the form.",
    "viewed_form_step": "Views of steps of the form.",
    "viewed_form_step_uniques": "People who viewed a step of the form.",
    "closed_form": "Times that the form was closed.",
    "closed_form_uniques": "People who closed the form.",
    "submits": "Submissions of the form.",
    "submit_rate": "Share of views that led to a submission.",
    "submitted_form_step": "Submissions of steps of the form.",
    "submitted_form_step_uniques": "People who submitted a step of the form.",
    "qualified_form": "Times that a visitor qualified for the form.",
    "qualified_form_uniques": "People who qualified for the form.",
}

_SEGMENT_STATISTICS: Mapping[str, str] = {
    "total_members": "Members of the segment at the end of the day.",
    "members_added": "Members that joined on the day.",
    "members_removed": "Members that left on the day.",
    "net_members_changed": "Members that joined, less those that left.",
}

_NOT_ADDITIVE = " Not additive: do not add it up over rows."
_RATE = " A fraction, not to be averaged: divide the counts instead."


def _statistic(name: str, description: str) -> Column:
    is_rate = name.endswith(("_rate", "_roi", "average_order_value", "revenue_per_recipient"))
    is_unique = "_unique" in name or name == "total_members"
    note = _RATE if is_rate else _NOT_ADDITIVE if is_unique else ""
    return Column(name, ColumnType.FLOAT, description + note, ("attributes", STATISTICS, name))


MESSAGE_STATISTICS = tuple(_statistic(*one) for one in _MESSAGE_STATISTICS.items())
"""All statistics of campaign and flow reports."""

FORM_STATISTICS = tuple(_statistic(*one) for one in _FORM_STATISTICS.items())
"""All statistics of form reports."""

SEGMENT_STATISTICS = tuple(_statistic(*one) for one in _SEGMENT_STATISTICS.items())
"""All statistics of segment reports."""


def grouping(name: str, description: str) -> Column:
    """A column of the primary key: an attribute that the report groups by. Klaviyo's null is stored as an empty text, since a key has no nulls."""
    return Column(name, ColumnType.STRING, description, ("attributes", GROUPINGS, name), required=True)


def window_date(name: str, description: str) -> Column:
    """A column of the primary key: the day or the first day of the window, in the account's time zone."""
    return Column(name, ColumnType.DATE, description, ("attributes", WINDOW, name), required=True)


def groupings_of(entry: ResourceType) -> tuple[str, ...]:
    """Return the attributes that a report groups by."""
    return _members(entry, GROUPINGS)


def statistics_of(entry: ResourceType) -> tuple[str, ...]:
    """Return the statistics that a report asks for."""
    return _members(entry, STATISTICS)


def _members(entry: ResourceType, group: str) -> tuple[str, ...]:
    return tuple(column.path[2] for column in entry.columns if column.path[:2] == ("attributes", group))
