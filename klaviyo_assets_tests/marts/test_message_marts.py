"""Marts of messages, against numbers that were computed by hand from the small shop."""

from datetime import date

import pytest

from klaviyo_assets_tests.marts.conftest import Rows, Shop

pytestmark = pytest.mark.duckdb

NEAR = {"rel": 1e-9}


@pytest.mark.long
def test_campaigns(rows: Rows) -> None:
    assert rows(
        "SELECT campaign_name, message_name, channel, subject, sent_on, recipients, delivered, bounced, failed, bounced_or_failed "
        "FROM campaign_performance ORDER BY ALL"
    ) == [
        ("Spring", "Spring mail", "email", "It is spring", date(2026, 3, 1), 4, 3, 1, 0, 1),  # 23:30 in New York
        ("Text", "Spring text", "sms", None, date(2026, 3, 5), 2, 1, 0, 1, 1),
    ]


def test_machines_are_not_people(rows: Rows) -> None:
    ((opens, unique, rate, machines, with_machines),) = rows(
        "SELECT opens, opens_unique, open_rate, machine_opens, opens_unique_with_machines FROM campaign_performance WHERE message_id = 'M1'"
    )
    assert (opens, unique, machines, with_machines) == (3, 2, 2, 3)
    assert rate == pytest.approx(2 / 3)


def test_text_messages_have_no_open_rate(rows: Rows) -> None:
    assert rows("SELECT delivered, open_rate FROM campaign_performance WHERE message_id = 'T1'") == [(1, None)]


def test_deleted_and_future_events_do_not_count(rows: Rows) -> None:
    assert rows("SELECT clicks, clicks_unique, unsubscribes, spam_complaints FROM campaign_performance WHERE message_id = 'M1'") == [(2, 1, 1, 1)]


def test_currencies_are_not_added(rows: Rows) -> None:
    assert rows(
        "SELECT conversions, conversion_uniques, currency, conversion_value, conversion_value_by_currency, average_order_value, "
        "revenue_per_recipient "
        "FROM campaign_performance WHERE message_id = 'M1'"
    ) == [(2, 1, "USD", 100.0, {"EUR": 50.0, "USD": 100.0}, 100.0, 25.0)]


def test_what_only_reports_know(rows: Rows) -> None:
    assert rows("SELECT message_id, text_message_spend, text_message_roi FROM campaign_performance ORDER BY ALL") == [
        ("M1", None, None),
        ("T1", 0.5, 0.0),
    ]


def test_flow_messages_count_in_the_month_of_send(rows: Rows) -> None:
    """P5 opened January's message in February, and clicked the second one of February."""
    assert rows(
        "SELECT month, variation_id, delivered, opens_unique, clicks_unique, conversions, conversion_value FROM flow_message_performance ORDER BY ALL"
    ) == [
        (date(2026, 1, 1), "V1", 1, 1, 0, 0, 0.0),
        (date(2026, 2, 1), "V1", 1, 0, 1, 1, 30.0),
        (date(2026, 2, 1), "V2", 1, 0, 0, 0, 0.0),
    ]


def test_flows(rows: Rows) -> None:
    assert rows(
        "SELECT month, flow_name, status, messages, people, recipients, opens_unique, clicks_unique, conversions, conversion_value, "
        "revenue_per_recipient "
        "FROM flow_performance ORDER BY ALL"
    ) == [
        (date(2026, 1, 1), "Welcome", "live", 1, 1, 1, 1, 0, 0, 0.0, 0.0),
        (date(2026, 2, 1), "Welcome", "live", 1, 2, 2, 0, 1, 1, 30.0, 15.0),
    ]


def test_messages_by_day_of_the_event(rows: Rows) -> None:
    assert rows("SELECT day, activity, currency, events, people, value FROM message_daily WHERE message_id = 'M1' ORDER BY ALL") == [
        (date(2026, 3, 1), "bounced", "", 1, 1, None),
        (date(2026, 3, 1), "machine_opened", "", 1, 1, None),
        (date(2026, 3, 1), "received", "", 2, 2, None),
        (date(2026, 3, 2), "clicked", "", 2, 1, None),
        (date(2026, 3, 2), "machine_opened", "", 1, 1, None),
        (date(2026, 3, 2), "opened", "", 2, 2, None),
        (date(2026, 3, 2), "ordered", "USD", 1, 1, 100.0),
        (date(2026, 3, 2), "received", "", 1, 1, None),
        (date(2026, 3, 2), "spam", "", 1, 1, None),
        (date(2026, 3, 3), "opened", "", 1, 1, None),
        (date(2026, 3, 3), "unsubscribed", "", 1, 1, None),
        (date(2026, 3, 4), "ordered", "EUR", 1, 1, 50.0),
    ]


def test_deliverability(rows: Rows) -> None:
    assert rows(
        "SELECT inbox_provider, sum(delivered), sum(bounced), sum(hard_bounced), sum(opens), sum(machine_opens), sum(clicks), sum(spam_complaints) "
        "FROM deliverability_daily WHERE day >= '2026-03-01' GROUP BY ALL ORDER BY ALL"
    ) == [("Gmail", 2, 0, 0, 2, 1, 2, 0), ("Yahoo", 1, 1, 1, 1, 1, 0, 1)]


def test_conversions_know_the_send(rows: Rows) -> None:
    assert rows("SELECT order_event_id, message_id, variation_id, sent_at::VARCHAR, month FROM fct_conversions ORDER BY ALL") == [
        ("O1", "M1", "", "2026-03-02 04:31:00+00", date(2026, 3, 1)),
        ("O2", "M1", "", "2026-03-02 04:31:00+00", date(2026, 3, 1)),
        ("O4", "FM1", "V1", "2026-02-20 12:00:00+00", date(2026, 2, 1)),
    ]


def test_numbers_for_dagster(shop: Shop) -> None:
    metadata = {name: result.metadata for name, result in shop[1].items()}

    assert metadata["campaign_performance"] == pytest.approx({"open_rate_of_the_last_30_days": 2 / 3, "revenue_of_the_last_30_days": 100})
    assert metadata["flow_performance"] == pytest.approx({"revenue_of_the_last_month": 30, "revenue_per_recipient_of_the_last_month": 15})
    assert metadata["deliverability_daily"] == pytest.approx(
        {"bounce_rate_of_the_last_30_days": 1 / 6, "spam_complaint_rate_of_the_last_30_days": 1 / 5}
    )
