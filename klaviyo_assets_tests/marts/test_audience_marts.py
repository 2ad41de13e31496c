"""Marts of lists, segments and consent, against numbers that were computed by hand from the small shop."""

from datetime import date

import pytest

from klaviyo_assets_tests.marts.conftest import Rows, Shop

pytestmark = pytest.mark.duckdb


@pytest.mark.long
def test_consent(rows: Rows) -> None:
    """P2 subscribed at 22:00 of the 1st in New York, and unsubscribed under the old name of the metric."""
    assert rows("SELECT day, subscribed, unsubscribed, spam_complaints, net FROM consent_daily WHERE channel = 'email' ORDER BY ALL") == [
        (date(2026, 3, 1), 2, 0, 0, 2),
        (date(2026, 3, 2), 0, 0, 1, 0),
        (date(2026, 3, 3), 0, 1, 0, -1),
        (date(2026, 3, 19), 1, 0, 0, 1),
    ]


@pytest.mark.long
def test_list_growth(rows: Rows) -> None:
    assert rows("SELECT day, list_name, list_id, joined, left_list, net, net_so_far FROM list_growth_daily ORDER BY ALL") == [
        (date(2026, 3, 1), "Newsletter", "L1", 2, 0, 2, 2),
        (date(2026, 3, 3), "Newsletter", "L1", 1, 0, 1, 3),
        (date(2026, 3, 4), "Newsletter", "L1", 0, 1, -1, 2),
        (date(2026, 3, 19), "No longer here", None, 1, 0, 1, 1),
    ]


def test_forms(rows: Rows) -> None:
    assert rows("FROM form_daily") == [(date(2026, 3, 19), "form", "Pop-up", 10, 1, None, 0.1)]


def test_sizes_of_lists(rows: Rows) -> None:
    found = rows("SELECT day, members, added, removed FROM audience_size_daily WHERE kind = 'list' ORDER BY day")
    assert found[:5] == [
        (date(2026, 3, 1), 2, 2, 0),
        (date(2026, 3, 2), 2, 0, 0),
        (date(2026, 3, 3), 3, 1, 0),
        (date(2026, 3, 4), 2, 0, 1),
        (date(2026, 3, 5), 2, 0, 0),
    ]
    assert found[-1] == (date(2026, 3, 20), 2, 0, 0)


def test_segments_have_the_numbers_of_klaviyo(rows: Rows) -> None:
    """The stored member of the segment is not added to Klaviyo's own numbers."""
    assert rows("SELECT day, name, members, added, removed, source FROM audience_size_daily WHERE kind = 'segment'") == [
        (date(2026, 3, 19), "VIP", 7, 2, 1, "report")
    ]


def test_numbers_for_dagster(shop: Shop) -> None:
    metadata = {name: result.metadata for name, result in shop[1].items()}

    assert metadata["list_growth_daily"] == {"net_growth_yesterday": 1, "net_growth_of_the_last_30_days": 3}
    assert metadata["consent_daily"] == {"net_growth_yesterday": 1, "net_growth_of_the_last_30_days": 2}
    assert metadata["audience_size_daily"] == {"list_members": 2}
