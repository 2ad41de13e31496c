"""Days and months of a time zone, and time zones that no machine knows."""

from datetime import UTC, date, datetime

import pytest

from klaviyo_assets import EventPartitions
from klaviyo_assets.settings.options import InvalidSetting, from_environment
from klaviyo_assets.state.periods import Grain, Periods
from klaviyo_assets.validation import InvalidDefinition


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/passwd", "Europe", "Z" * 300, "Europe/\0Berlin"])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        EventPartitions("daily", timezone=name)

    assert str(caught.value) == f"timezone={name!r} is not the name of a time zone. Write its IANA name, such as Europe/Berlin."


def test_an_unknown_time_zone_of_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_PARTITIONS_TIMEZONE", "Mars/Olympus")

    with pytest.raises(InvalidSetting, match="KLAVIYO_PARTITIONS_TIMEZONE is not the name of a time zone: 'Mars/Olympus'"):
        from_environment()


@pytest.mark.parametrize(
    ("grain", "period", "after"),
    [
        (Grain.DAILY, date(2026, 3, 29), date(2026, 3, 30)),
        (Grain.DAILY, date(2025, 12, 31), date(2026, 1, 1)),
        (Grain.MONTHLY, date(2026, 1, 1), date(2026, 2, 1)),
        (Grain.MONTHLY, date(2025, 12, 1), date(2026, 1, 1)),
    ],
)
def test_each_period_begins_where_the_one_before_ends(grain: Grain, period: date, after: date) -> None:
    periods = Periods(grain, "Europe/Berlin")

    assert periods.next(period) == after
    assert periods.window(period).end == periods.window(after).start
    assert periods.of(periods.start(after)) == after


def test_the_day_on_which_clocks_change_has_23_hours() -> None:
    window = Periods(Grain.DAILY, "Europe/Berlin").window(date(2026, 3, 29))

    assert (window.start, window.end) == (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
