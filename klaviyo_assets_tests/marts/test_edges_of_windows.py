"""What lies just within and just outside of the windows of attribution and engagement."""

from datetime import timedelta
from pathlib import Path

import pytest

from klaviyo_assets_tests.marts.conftest import build_shop, select
from klaviyo_assets_tests.marts.small_shop import M1, NOW, T1, Row, event

pytestmark = [pytest.mark.duckdb, pytest.mark.long]


@pytest.mark.parametrize(
    ("touch", "message", "hours", "credited"),
    [
        ("clicked_sms", T1, 23, "T1"),
        ("clicked_sms", T1, 25, ""),
        ("clicked", M1, 119, "M1"),
        ("clicked", M1, 121, ""),
    ],
)
def test_a_touch_outside_of_its_window_gets_no_credit(tmp_path: Path, touch: str, message: Row, hours: int, credited: str) -> None:
    at = NOW - timedelta(days=1)
    events = [
        event("touch", touch, "P6", f"{at - timedelta(hours=hours):%F %T}", **message),
        event("bought", "order", "P6", f"{at:%F %T}", value=10, currency="USD"),
    ]
    warehouse, _ = build_shop(tmp_path, events, names=["attribution_comparison"])
    rows = select(warehouse, "SELECT model, message_id FROM attribution_comparison WHERE order_event_id = 'bought' ORDER BY model")

    assert rows == [(model, "" if model == "native" else credited) for model in ("first_touch", "last_click", "last_touch", "linear", "native")]


def test_engagement_follows_the_last_open_or_click(tmp_path: Path) -> None:
    """Each person also clicked in another message, long before."""
    days = {"P1": 29, "P2": 31, "P3": 89, "P4": 91, "P5": 179, "P6": 181}
    events = [
        *(event(f"{who}-first", "clicked_sms", who, f"{NOW - timedelta(days=300):%F %T}", **T1) for who in days),
        *(
            event(f"{who}-last", metric, who, f"{NOW - timedelta(days=ago):%F %T}", **M1)
            for (who, ago), metric in zip(days.items(), ("clicked", "opened") * 3, strict=True)
        ),
    ]
    warehouse, _ = build_shop(tmp_path, events, names=["profile_lifetime"])

    assert select(warehouse, "SELECT profile_id, engagement FROM profile_lifetime ORDER BY ALL") == [
        ("P1", "active_30"),
        ("P2", "active_90"),
        ("P3", "active_90"),
        ("P4", "active_180"),
        ("P5", "active_180"),
        ("P6", "inactive"),
    ]
