"""The server's clock: a time is trusted once two sources agree."""

from datetime import UTC, datetime, timedelta

import pytest

from klaviyo_assets.api.clock import ServerClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = 24 * HOUR


class Machine:
    """A machine with a clock that may be wrong or be changed."""

    def __init__(self, off_by: timedelta = timedelta()) -> None:
        self.off_by = off_by
        self.ticks = 100.0

    def clock(self) -> ServerClock:
        return ServerClock(lambda: self.true + self.off_by, lambda: self.ticks)

    @property
    def true(self) -> datetime:
        return NOON + timedelta(seconds=self.ticks - 100)


@pytest.mark.parametrize("wrong", [HOUR * 3, -HOUR * 3, HOUR * 24 * 365])
def test_one_wrong_date_is_not_trusted(wrong: timedelta) -> None:
    machine = Machine()
    clock = machine.clock()
    clock.note(NOON + wrong)
    assert not clock.is_trusted
    machine.ticks += 2
    clock.note(machine.true)

    assert clock.is_trusted
    assert clock.now() == machine.true


@pytest.mark.parametrize("off_by", [HOUR * 5, -HOUR * 5])
def test_two_dates_outweigh_this_machines_clock(off_by: timedelta) -> None:
    machine = Machine(off_by)
    clock = machine.clock()
    for _ in range(2):
        machine.ticks += 1
        assert not clock.is_trusted
        clock.note(machine.true)

    assert clock.is_trusted
    assert clock.now() == machine.true


def test_dates_that_never_agree_are_never_trusted() -> None:
    machine = Machine(HOUR * 5)
    clock = machine.clock()
    for hours in (1, -2, 3, -4):
        clock.note(NOON + hours * HOUR)

    assert not clock.is_trusted


def test_later_date_does_not_move_the_clock(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    clock = machine.clock()
    clock.note(machine.true)
    machine.ticks += 60
    clock.note(machine.true - 2 * HOUR)
    clock.note(machine.true + 2 * HOUR)
    clock.note(None)

    assert clock.now() == machine.true
    assert [record.getMessage().endswith("it is ignored.") for record in caplog.records] == [True]


def test_setting_this_machines_clock_does_not_move_the_server_clock() -> None:
    machine = Machine()
    clock = machine.clock()
    clock.note(machine.true)
    machine.off_by, machine.ticks = -HOUR, 160.0

    assert clock.now() == machine.true


def test_response_without_a_date_is_skipped() -> None:
    machine = Machine(HOUR)
    clock = machine.clock()
    clock.note(None)
    assert not clock.is_trusted
    clock.note(machine.true)
    assert not clock.is_trusted, "this machine's clock is not a response"
    clock.note(machine.true)

    assert clock.is_trusted
    assert clock.now() == machine.true


def test_this_machines_clock_is_used_if_the_server_sends_no_date(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    clock = machine.clock()
    for _ in range(3):
        assert not clock.is_trusted
        clock.note(None)

    assert clock.is_trusted
    assert clock.now() == machine.true
    assert "have no Date header" in caplog.text


def at(date: str) -> datetime:
    return datetime.fromisoformat(date).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("machine", "server"),
    [
        ("2026-11-27", "1970-01-01"),
        ("2026-11-27", "2000-01-01"),
        ("2026-11-27", "2024-11-01"),
        ("2026-11-27", "2028-12-15"),
        ("2026-11-27", "2038-01-19"),
        ("2026-11-27", "8999-12-31"),
        ("2035-01-01", "2026-11-27"),
        ("1970-01-01", "2060-01-01"),
        ("1970-01-01", "2000-01-01"),
    ],
)
def test_clocks_that_are_years_apart_are_not_trusted(machine: str, server: str) -> None:
    clock = ServerClock(lambda: at(machine), lambda: 0.0)
    clock.note(at(server))
    assert clock.disagreement_text is None, "a single response may be wrong"
    for _ in range(3):
        clock.note(at(server))

    assert not clock.is_trusted
    assert clock.disagreement_text == (
        f"Klaviyo's responses say that it is {server} 00:00 UTC, and this machine's clock says that it is {machine} 00:00 UTC."
    )


@pytest.mark.parametrize(
    ("machine", "server"),
    [
        ("2026-11-27", "2026-11-26"),
        ("2026-11-27", "2025-01-01"),
        ("2026-11-27", "2028-11-01"),
        ("1970-01-01", "2026-11-27"),
        ("2020-01-01", "2028-11-27"),
    ],
)
def test_plausible_clock_difference_is_trusted_with_a_warning(machine: str, server: str, caplog: pytest.LogCaptureFixture) -> None:
    clock = ServerClock(lambda: at(machine), lambda: 0.0)
    for _ in range(2):
        clock.note(at(server))

    assert clock.is_trusted
    assert clock.disagreement_text is None
    assert [record.getMessage() for record in caplog.records] == [
        f"Klaviyo's clock shows {server} 00:00 UTC and this machine's clock {machine} 00:00 UTC; Klaviyo's is used. Correct this machine's clock."
    ]


@pytest.mark.parametrize("date", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)])
def test_extreme_date_does_not_overflow(date: datetime) -> None:
    clock = ServerClock()
    for _ in range(2):
        clock.note(date)
        assert clock.now() + 365 * DAY > clock.now() - 365 * DAY

    assert clock.disagreement_text is not None


def test_disagreement_ends_when_a_date_agrees_with_this_machine() -> None:
    clock = ServerClock(lambda: at("2026-11-27"), lambda: 0.0)
    for date in ("1970-01-01", "1970-01-01", "2026-11-27"):
        clock.note(at(date))

    assert clock.is_trusted
    assert clock.disagreement_text is None
