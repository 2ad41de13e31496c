"""Planning of ranges: what a user may request, and what it reads."""

import re
from datetime import datetime

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.errors import InvalidRange
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions, parse_user_time, range_field
from klaviyo_assets.state.coverage import BEGINNING, TimeWindow
from klaviyo_assets_tests.each import each
from klaviyo_assets_tests.extract.plans import BY_TIME, DAY, NOW, TOP, at, planned, queries, range_request, row, windows


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("events", ("datetime", "and(greater-or-equal(datetime,2026-03-01T00:00:00Z),less-than(datetime,2026-03-02T00:00:00Z))")),
        ("profiles", ("created", "and(greater-than(created,2026-02-28T23:59:59Z),less-than(created,2026-03-02T00:00:01Z))")),
        (
            "reviews",
            ("created", "and(equals(status,'all'),greater-or-equal(created,2026-03-01T00:00:00Z),less-or-equal(created,2026-03-02T00:00:00Z))"),
        ),
    ],
)
def test_a_range_is_read_again_although_it_is_covered(name: str, expected: tuple[str, str]) -> None:
    field = range_field(CATALOG[name])
    assert field is not None

    plan_ = planned(name, range_request(name, at(1), at(2)), [row(field, BEGINNING, TOP, NOW)])

    assert queries(name, plan_.slices) == [expected]
    assert [(part.start, part.end, part.covers_to) for part in plan_.slices] == [(at(1), at(2), at(2))]
    assert not plan_.stale


@each(BY_TIME)
def test_a_range_ends_at_the_end_of_coverage(name: str) -> None:
    (part,) = planned(name, range_request(name, at(9), NOW + 30 * DAY)).slices

    assert (part.start, part.end, part.covers_to) == (at(9), TOP, TOP)


@each(BY_TIME)
def test_a_range_in_the_future_reads_nothing(name: str) -> None:
    assert planned(name, range_request(name, NOW + DAY, NOW + 2 * DAY)).slices == ()


def test_a_long_range_is_cut() -> None:
    slices = planned("events", range_request("events", at(5) - 40 * DAY, at(5))).slices

    assert windows(slices) == [(at(4), at(5)), (at(4) - 4 * DAY, at(4)), (at(4) - 20 * DAY, at(4) - 4 * DAY), (at(5) - 40 * DAY, at(4) - 20 * DAY)]


@pytest.mark.parametrize(
    ("name", "request_", "message", "advice"),
    [
        ("events", SyncOptions(SyncMode.range), "Mode range of events needs a start and an end", "Set both"),
        (
            "events",
            SyncOptions(SyncMode.range, "timestamp", TimeWindow(at(1), at(2))),
            "events cannot be read by a range of 'timestamp'",
            "Use field: datetime.",
        ),
        (
            "profiles",
            SyncOptions(SyncMode.range, "updated", TimeWindow(at(1), at(2))),
            "profiles cannot be read by a range of 'updated'",
            "Use field: created.",
        ),
        (
            "reviews",
            SyncOptions(SyncMode.range, "updated", TimeWindow(at(1), at(2))),
            "reviews cannot be read by a range of 'updated'",
            "Use field: created.",
        ),
        (
            "events",
            SyncOptions(SyncMode.range, window=TimeWindow(at(2), at(1))),
            "The range of events is empty: 2026-03-02T00:00:00+00:00 is not before 2026-03-01T00:00:00+00:00",
            "Set an end that lies after the start.",
        ),
        (
            "events",
            SyncOptions(SyncMode.range, window=TimeWindow(at(2), at(2))),
            "The range of events is empty",
            "Set an end that lies after the start.",
        ),
    ],
    ids=["no window", "field of events", "field of profiles", "field of reviews", "inverted", "empty"],
)
def test_a_wrong_range_is_rejected_with_advice(name: str, request_: SyncOptions, message: str, advice: str) -> None:
    with pytest.raises(InvalidRange, match=re.escape(message)) as caught:
        planned(name, request_)
    assert advice in str(caught.value)


def test_the_field_of_a_range_is_optional() -> None:
    assert planned("events", SyncOptions(SyncMode.range, window=TimeWindow(at(1), at(2)))) == planned("events", range_request("events", at(1), at(2)))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01", at(1)),
        (" 2026-03-01T12:30 ", at(1, 12, 30)),
        ("2026-03-01T12:30:00Z", at(1, 12, 30)),
        ("2026-03-01T12:30:00+01:00", at(1, 11, 30)),
    ],
)
def test_dates_and_times_are_parsed(text: str, instant: datetime) -> None:
    assert parse_user_time(text, "start") == instant


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "01/02/2026", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_an_invalid_date_is_rejected_by_name(text: str) -> None:
    with pytest.raises(InvalidRange, match=re.escape(f"start is not a date: {text!r}.")) as caught:
        parse_user_time(text, "start")
    assert "2026-01-31" in str(caught.value)
