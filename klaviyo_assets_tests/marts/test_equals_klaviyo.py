"""The check ``equals_klaviyo``: numbers from events against Klaviyo's own reports."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.marts.results import CheckResult
from klaviyo_assets_tests.marts.conftest import Rows, Shop, build_shop, select
from klaviyo_assets_tests.marts.small_shop import EVENTS, FM1, Row, event, events_without, flow_report, report

pytestmark = pytest.mark.duckdb

CHECKED = ("campaign_performance", "flow_message_performance")
ONE = {"recipients": 1, "delivered": 1}


def sent(message: str, *activity: Row, at: str = "2026-03-10 12:00:00", name: str | None = "Known") -> dict[str, list[Row]]:
    """Return a campaign that was sent to P1, and what happened to it."""
    campaign = {"id": f"C-{message}", "name": name, "channel": "email", "send_time": f"{at}+00"}
    return {
        "campaigns": [campaign] if name else [],
        "campaign_messages": [{"id": message, "campaign_id": campaign["id"], "channel": "email"}] if name else [],
        "events": [*activity],
    }


def received(message: str) -> Row:
    return event(f"r-{message}", "received", "P1", "2026-03-10 12:00:00", message_id=message)


def clicked(message: str, number: int) -> Row:
    return event(f"k{number}-{message}", "clicked", "P1", "2026-03-10 13:00:00", message_id=message)


def just_sent(message: str, people: int) -> list[Row]:
    """Return the sends of a message 35 minutes before the report is read, without what happened to them since."""
    return [event(f"r{number}-{message}", "received", f"Q{number}", "2026-03-20 10:25:00", message_id=message) for number in range(people)]


OLD = {"_synced_at": "2026-03-18 11:00:00+00"}
"""When a report was read that is two days old."""


def opened_after(message: str) -> Row:
    """Return an open of the day after an old report was read."""
    return event(f"o-{message}", "opened", "P1", "2026-03-19 12:00:00", message_id=message)


def merged(*parts: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    return {table: [row for part in parts for row in part.get(table, ())] for table in {name for part in parts for name in part}}


def check(shop: Shop, model: str) -> CheckResult:
    (found,) = (one for one in shop[1][model].checks if one.name == "equals_klaviyo")
    return found


@pytest.mark.long
@pytest.mark.parametrize("model", CHECKED)
def test_equal_numbers_pass(shop: Shop, model: str) -> None:
    assert check(shop, model).passed


def test_every_statistic_of_every_message_is_compared(rows: Rows) -> None:
    assert rows("SELECT kind, span, message_id, count(*) FROM klaviyo_comparison GROUP BY ALL ORDER BY ALL") == [
        ("campaign", "year", "M1", 14),
        ("campaign", "year", "T1", 14),
        ("flow", "month", "FM1", 2 * 10),
        ("flow", "year", "FM1", 14),
    ]
    assert rows("SELECT message_id, equals_klaviyo FROM campaign_performance ORDER BY ALL") == [("M1", True), ("T1", True)]


@pytest.fixture(scope="module")
def different(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop without the events of M1 and FM1, and with campaigns that differ from Klaviyo's report, each in its own way."""
    recent_open = event("o-recent", "opened", "P1", "2026-03-20 10:30:00", message_id="recent")
    more = merged(
        sent("bots", received("bots"), clicked("bots", 1), clicked("bots", 2)),
        sent("late", received("late")),
        sent("missing", received("missing")),
        sent("merged", received("merged"), clicked("merged", 1), clicked("merged", 2)),
        sent("recent", received("recent"), recent_open),
        sent("just_sent", *just_sent("just_sent", 20)),
        sent("later", received("later"), opened_after("later")),
        sent("late_read", received("late_read"), opened_after("late_read")),
        sent("unreported", received("unreported")),
        sent("missing_all"),
        sent("older", at="2026-01-09 12:00:00"),
        sent("deleted", name=None),
        {
            "campaign_report": [
                report("C-bots", "bots", **ONE, clicks=1, clicks_unique=1),
                report("C-late", "late", **ONE, conversions=1, conversion_uniques=1, conversion_value=70),
                report("C-missing", "missing", recipients=2, delivered=2),
                report("C-merged", "merged", **ONE, clicks=2, clicks_unique=2),
                report("C-recent", "recent", **ONE),
                report("C-just_sent", "just_sent", recipients=20, delivered=20, opens=7, opens_unique=7, clicks=3, clicks_unique=3),
                report("C-later", "later", **ONE, **OLD),
                report("C-late_read", "late_read", **ONE, **OLD, opens=2, opens_unique=2),
                report("C-missing_all", "missing_all", **ONE),
                report("C-older", "older", **ONE),
                report("C-deleted", "deleted", **ONE),
            ]
        },
    )
    return build_shop(tmp_path_factory.mktemp("different"), events_without("M1", "FM1"), more, CHECKED)


@pytest.mark.long
@pytest.mark.parametrize(("model", "message"), [("campaign_performance", "M1"), ("flow_message_performance", "FM1")])
def test_a_message_without_its_events_is_named(different: Shop, model: str, message: str) -> None:
    found = check(different, model)

    assert not found.passed
    assert found.warns
    assert message in {one["message_id"] for one in found.examples}
    assert all(one["reason"] and one["counted"] != one["klaviyo"] for one in found.examples)


@pytest.mark.parametrize(
    ("message", "statistics", "reason"),
    [
        ("missing_all", {"recipients": (0, 1), "delivered": (0, 1)}, "no send of this message is stored: events are missing"),
        ("bots", {"clicks": (2, 1)}, "bot clicks"),
        ("late", {"conversions": (0, 1), "conversion_uniques": (0, 1), "conversion_value": (0, 70)}, "late attribution"),
        ("missing", {"recipients": (1, 2), "delivered": (1, 2)}, "events are missing: they arrived late"),
        ("merged", {"clicks_unique": (1, 2)}, "merged or deleted profiles"),
        ("recent", {}, ""),
        ("just_sent", {"opens": (0, 7), "opens_unique": (0, 7), "clicks": (0, 3), "clicks_unique": (0, 3)}, "events are missing: they arrived late"),
        ("later", {}, ""),
        ("late_read", {"opens": (1, 2), "opens_unique": (1, 2)}, "events are missing: they arrived late"),
        ("unreported", {"recipients": (1, 0), "delivered": (1, 0)}, "the report does not have this message"),
        ("older", {"recipients": (0, 1), "delivered": (0, 1)}, "sent before the oldest stored event"),
        ("deleted", {"recipients": (0, 1), "delivered": (0, 1)}, "deleted message"),
    ],
)
def test_differences_have_a_reason(different: Shop, message: str, statistics: dict[str, tuple[float, float]], reason: str) -> None:
    found: list[tuple[Any, ...]] = select(
        different[0], f"SELECT statistic, counted, klaviyo, reason FROM klaviyo_comparison WHERE message_id = '{message}' AND NOT is_equal"
    )
    numbers = {statistic: (counted, klaviyo) for statistic, counted, klaviyo, _ in found}

    assert numbers == statistics
    assert {text for *_, text in found if not text.startswith(reason)} == set()


def test_rows_of_a_metric_that_conversions_are_no_longer_counted_by_are_not_compared(tmp_path: Path) -> None:
    before = report("C-one", "one", recipients=5, delivered=5, conversions=9, conversion_value=90, conversion_metric_id="view", **OLD)
    reports = {"campaign_report": [before, report("C-one", "one", **ONE)]}
    warehouse, _ = build_shop(tmp_path, EVENTS, merged(sent("one", received("one")), reports), CHECKED)

    assert select(warehouse, "SELECT statistic, counted, klaviyo FROM klaviyo_comparison WHERE message_id = 'one' AND NOT is_equal") == []


def test_recent_events_count_for_their_own_statistic_and_window(tmp_path: Path) -> None:
    """A message that was sent in March was opened half an hour before the reports were read."""
    events = (
        *EVENTS,
        event("f6", "received", "P5", "2026-03-19 12:00:00", variation_id="V1", **FM1),
        event("f7", "opened", "P5", "2026-03-20 10:30:00", variation_id="V1", **FM1),
    )
    warehouse, _ = build_shop(tmp_path, events, {"flow_report_daily": [flow_report("V1", {"day": "2026-03-19"}, recipients=1, delivered=1)]}, CHECKED)

    assert select(warehouse, "SELECT span, window_start, statistic, recent FROM klaviyo_comparison WHERE recent > 0 ORDER BY ALL") == [
        ("month", date(2026, 3, 1), "opens", 1),
        ("year", date(2026, 1, 1), "opens", 1),
        ("year", date(2026, 1, 1), "opens_unique", 1),
    ]
