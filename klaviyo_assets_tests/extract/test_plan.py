"""Planning: which slices a sync reads, and the query of each slice."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from klaviyo_assets.catalog import CATALOG, EVENTS, PROFILES, REVIEWS, Include
from klaviyo_assets.catalog.replication import FullTable, Incremental, NewestFirst
from klaviyo_assets.errors import InvalidRange
from klaviyo_assets.extract.options import SyncMode, SyncOptions, fingerprint, parse_instant, range_field
from klaviyo_assets.extract.plan import Plan, plan
from klaviyo_assets.extract.slice_query import slice_parameters
from klaviyo_assets.extract.slices import Slice, SubsetSlice
from klaviyo_assets.extract.strategies import strategy_for
from klaviyo_assets.extract.strategies.base import LAG, PlanContext
from klaviyo_assets.state.coverage import BEGINNING, CoverageRow, TimeWindow, merged
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.each import each

NOW = datetime(2026, 3, 10, 12, 0, 10, tzinfo=UTC)
TOP = NOW - LAG
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FULL_TABLE = [name for name, entry in CATALOG.items() if isinstance(entry.replication, FullTable)]
BY_TIME = [name for name, entry in CATALOG.items() if isinstance(entry.replication, Incremental | NewestFirst)]


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def row(field: str, start: datetime, end: datetime, read_at: datetime, fingerprint_: str = "same") -> CoverageRow:
    return CoverageRow("all", field, start, end, read_at, fingerprint_)


def planned(
    name: str,
    request: SyncOptions = SyncOptions(),  # noqa: B008
    covered: Sequence[CoverageRow] = (),
    *,
    oldest: datetime | None = None,
    now: datetime = NOW,
    fingerprint_: str = "same",
) -> Plan:
    entry = CATALOG[name]
    return plan(strategy_for(entry), PlanContext(entry, request, covered, now, fingerprint_), oldest)


def windows(slices: Sequence[Slice], field: str | None = None) -> list[tuple[datetime | None, datetime | None]]:
    return [(part.start, part.covers_to) for part in slices if field in (None, part.field)]


def queries(name: str, slices: Sequence[Slice]) -> list[tuple[str | None, str | None]]:
    parameters = [slice_parameters(CATALOG[name], part) for part in slices]
    return [(one.get("sort"), one.get("filter")) for one in parameters]


def range_request(name: str, start: datetime, end: datetime) -> SyncOptions:
    return SyncOptions(SyncMode.range, field=range_field(CATALOG[name]), window=TimeWindow(start, end))


# --- types that are read completely


FULL_TABLE_QUERIES = {
    "accounts": [(None, None)],
    "campaigns": [
        ("id", "and(equals(messages.channel,'email'),equals(archived,false))"),
        ("id", "and(equals(messages.channel,'email'),equals(archived,true))"),
        ("id", "and(equals(messages.channel,'sms'),equals(archived,false))"),
        ("id", "and(equals(messages.channel,'sms'),equals(archived,true))"),
        ("id", "and(equals(messages.channel,'mobile_push'),equals(archived,false))"),
        ("id", "and(equals(messages.channel,'mobile_push'),equals(archived,true))"),
    ],
    "flows": [("id", "equals(archived,false)"), ("id", "equals(archived,true)")],
    "forms": [("created_at", None), ("-created_at", None)],
    "lists": [("id", None)],
    "metrics": [(None, None)],
    "segments": [("id", None)],
    "web_feeds": [("created", None), ("-created", None)],
}


@each(FULL_TABLE)
def test_a_full_table_type_reads_every_subset_completely(name: str) -> None:
    entry = CATALOG[name]
    default = [("id" if "id" in entry.endpoint.sorts else None, ",".join(one.filters) or None) for one in entry.subsets]
    for mode in (SyncMode.incremental, SyncMode.full):
        slices = planned(name, SyncOptions(mode, start_date=at(1)), oldest=at(1)).slices

        assert queries(name, slices) == FULL_TABLE_QUERIES.get(name, default)
        assert list(dict.fromkeys(part.subset.name for part in slices)) == [subset.name for subset in entry.subsets]
        assert all(isinstance(part, SubsetSlice) for part in slices)


@each(FULL_TABLE)
def test_a_full_table_type_has_no_range(name: str) -> None:
    with pytest.raises(InvalidRange, match=f"{name} has no mode range: every sync reads it completely") as caught:
        planned(name, SyncOptions(SyncMode.range, window=TimeWindow(at(1), at(2))))
    assert "Run it with mode incremental." in str(caught.value)


# --- the first read


def backfill_field(name: str) -> str:
    """Return the field of the first read."""
    replication = CATALOG[name].replication
    assert isinstance(replication, Incremental | NewestFirst)
    return replication.backfill_field or replication.field


FIRST_QUERY = {"events": ("datetime", None), "profiles": ("created", None), "reviews": ("created", "equals(status,'all')")}


@each(BY_TIME)
def test_a_history_with_an_unknown_beginning_is_one_slice_without_bounds(name: str) -> None:
    for mode in (SyncMode.incremental, SyncMode.full):
        (part,) = planned(name, SyncOptions(mode)).slices

        assert (part.start, part.end, part.covers_to, part.descending) == (BEGINNING, None, TOP, False)
        assert queries(name, [part]) == [FIRST_QUERY.get(name, (backfill_field(name), None))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "events",
            [
                ("datetime", "greater-or-equal(datetime,2026-03-09T12:00:00Z)"),
                ("datetime", "and(greater-or-equal(datetime,2026-03-05T12:00:00Z),less-than(datetime,2026-03-09T12:00:00Z))"),
                ("datetime", "and(greater-or-equal(datetime,2026-02-17T12:00:00Z),less-than(datetime,2026-03-05T12:00:00Z))"),
                ("datetime", "less-than(datetime,2026-02-17T12:00:00Z)"),
            ],
        ),
        (
            "profiles",
            [
                ("created", "greater-than(created,2026-03-09T11:59:59Z)"),
                ("created", "and(greater-than(created,2026-03-05T11:59:59Z),less-than(created,2026-03-09T12:00:01Z))"),
                ("created", "and(greater-than(created,2026-02-17T11:59:59Z),less-than(created,2026-03-05T12:00:01Z))"),
                ("created", "less-than(created,2026-02-17T12:00:01Z)"),
            ],
        ),
        (
            "reviews",
            [
                ("created", "and(equals(status,'all'),greater-or-equal(created,2026-03-09T12:00:00Z))"),
                (
                    "created",
                    "and(equals(status,'all'),greater-or-equal(created,2026-03-05T12:00:00Z),less-or-equal(created,2026-03-09T12:00:00Z))",
                ),
                (
                    "created",
                    "and(equals(status,'all'),greater-or-equal(created,2026-02-17T12:00:00Z),less-or-equal(created,2026-03-05T12:00:00Z))",
                ),
                ("created", "and(equals(status,'all'),less-or-equal(created,2026-02-17T12:00:00Z))"),
            ],
        ),
    ],
)
def test_a_history_with_a_known_beginning_is_cut_newest_first(name: str, expected: list[tuple[str, str]]) -> None:
    slices = planned(name, oldest=at(1, 12) - 30 * DAY).slices

    assert queries(name, slices) == expected
    assert windows(slices) == [(at(9, 12), TOP), (at(5, 12), at(9, 12)), (at(5, 12) - 16 * DAY, at(5, 12)), (BEGINNING, at(5, 12) - 16 * DAY)]
    assert [part.end for part in slices] == [None, at(9, 12), at(5, 12), at(5, 12) - 16 * DAY]


@each(BY_TIME)
def test_every_request_has_the_maximum_page_size(name: str) -> None:
    entry = CATALOG[name]
    (part,) = planned(name).slices

    parameters = slice_parameters(entry, part)

    assert entry.endpoint.page_size is not None
    assert parameters["page[size]"] == str(entry.endpoint.page_size.maximum)
    assert parameters.get(f"additional-fields[{entry.jsonapi_type}]", "") == ",".join(entry.requested_fields)


@each(BY_TIME)
def test_a_short_history_is_not_cut(name: str) -> None:
    for oldest in (TOP - 30 * DAY, TOP - HOUR / 2, TOP, NOW + DAY):  # a month, half an hour, nothing, in the future
        assert windows(planned(name, oldest=oldest).slices) == [(BEGINNING, TOP)], oldest


# --- events by coverage


def test_events_read_the_last_hour_again_and_each_window_once_at_each_lookback_age() -> None:
    last = NOW - DAY
    covered = merged([], [row("datetime", BEGINNING, last - LAG, last)], EVENTS.replication.lookback_ages)

    slices = planned("events", covered=covered).slices

    hour = NOW.replace(second=0)
    # The last sync was a day ago: events that were younger than an hour, six hours, a day … then have reached that age since.
    assert windows(slices) == [
        (last - DAY, TOP),
        (last - 3 * DAY, hour - 3 * DAY),
        (last - 7 * DAY, hour - 7 * DAY),
        (last - 17 * DAY, hour - 17 * DAY),
    ]
    assert [part.end for part in slices] == [None, hour - 3 * DAY, hour - 7 * DAY, hour - 17 * DAY]


def test_lookback_ages_are_checked_once_an_hour() -> None:
    """A sync every few minutes does not request a few minutes at each age."""
    last = NOW - timedelta(minutes=20)
    covered = merged([], [row("datetime", BEGINNING, last - LAG, last)], EVENTS.replication.lookback_ages)

    at_twenty_past = planned("events", covered=covered, now=NOW + timedelta(minutes=20)).slices
    before_the_hour = planned("events", covered=covered, now=NOW - timedelta(minutes=5)).slices

    assert len(at_twenty_past) == 6
    assert windows(before_the_hour) == [(last - HOUR, NOW - timedelta(minutes=5) - LAG)]


def test_just_after_a_sync_events_read_only_the_last_hour() -> None:
    covered = merged([], [row("datetime", BEGINNING, TOP, NOW)], EVENTS.replication.lookback_ages)

    assert windows(planned("events", covered=covered).slices) == [(NOW - HOUR, TOP)]


def test_a_gap_is_read_again() -> None:
    covered = [row("datetime", BEGINNING, at(1), NOW), row("datetime", at(2), TOP, NOW)]

    assert windows(planned("events", covered=covered).slices) == [(NOW - HOUR, TOP), (at(1), at(2))]


# --- the start date


def test_the_start_date_limits_events() -> None:
    (part,) = planned("events", SyncOptions(start_date=at(5))).slices

    assert (part.start, part.covers_to) == (at(5), TOP)
    assert queries("events", [part]) == [("datetime", "greater-or-equal(datetime,2026-03-05T00:00:00Z)")]


def test_an_earlier_start_date_reads_the_time_in_between() -> None:
    covered = [row("datetime", at(5), TOP, NOW)]

    assert windows(planned("events", SyncOptions(start_date=at(3)), covered).slices) == [(NOW - HOUR, TOP), (at(3), at(5))]


def test_a_start_date_in_the_future_reads_nothing() -> None:
    assert planned("events", SyncOptions(start_date=NOW + DAY)).slices == ()


@each([name for name in COLLECTIONS if name != "events"])
def test_the_start_date_limits_only_events(name: str) -> None:
    for mode in (SyncMode.incremental, SyncMode.full):
        assert planned(name, SyncOptions(mode, start_date=at(5))) == planned(name, SyncOptions(mode))


# --- profiles


def test_an_interrupted_backfill_of_profiles_continues_and_follows_updated_from_its_start() -> None:
    first, second = at(8, 6), at(9, 6)
    covered = [row("created", at(5), first - LAG, first), row("created", at(3), at(4), second)]

    slices = [part for part in planned("profiles", covered=covered).slices if not part.secondary_cursors]

    changed_since = first - LAG - HOUR
    assert [(part.field, part.start, part.covers_to) for part in slices] == [
        ("updated", changed_since, TOP),
        ("created", at(4), at(5)),
        ("created", BEGINNING, at(3)),
    ]
    assert queries("profiles", slices) == [
        ("updated", "greater-than(updated,2026-03-08T04:59:49Z)"),
        ("created", "and(greater-than(created,2026-03-03T23:59:59Z),less-than(created,2026-03-05T00:00:01Z))"),
        ("created", "less-than(created,2026-03-03T00:00:01Z)"),
    ]


def test_profiles_only_follow_updated_after_the_backfill() -> None:
    first, last = at(8, 6), at(10, 6)
    covered = [row("created", BEGINNING, first - LAG, first), row("updated", first - LAG - HOUR, last - LAG, last)]

    slices = [part for part in planned("profiles", covered=covered).slices if not part.secondary_cursors]

    assert [(part.field, part.start, part.end, part.covers_to) for part in slices] == [("updated", last - HOUR, None, TOP)]


def test_consent_changes_are_followed_by_their_own_time_fields() -> None:
    """Since the first read, then since a margin before the last sync, for changes that become visible late. Each is one chain and is not split."""
    first, last = at(8, 6), at(10, 6)
    suppressed, from_a_list = (f"subscriptions.email.marketing.{name}.timestamp" for name in ("suppression", "list_suppressions"))
    covered = [row("created", BEGINNING, first - LAG, first), row("updated", first - LAG - HOUR, last - LAG, last)]
    covered += [row(suppressed, first - LAG - HOUR, last - LAG, last)]

    slices = [part for part in planned("profiles", covered=covered).slices if part.secondary_cursors]

    assert [(part.field, part.start, part.end, part.covers_to) for part in slices] == [
        (suppressed, last - LAG - HOUR, None, TOP),
        (from_a_list, first - LAG - HOUR, None, TOP),
    ]
    assert queries("profiles", slices) == [
        (suppressed, f"greater-or-equal({suppressed},2026-03-10T04:59:50Z)"),
        (from_a_list, f"greater-or-equal({from_a_list},2026-03-08T04:59:50Z)"),
    ]
    assert not any(part.secondary_cursors for part in planned("profiles").slices)
    assert not any(part.secondary_cursors for part in planned("profiles", SyncOptions(SyncMode.full), covered).slices)


def test_a_sync_within_a_second_of_the_last_requests_consent_changes_again() -> None:
    fields = [f"subscriptions.email.marketing.{name}.timestamp" for name in ("suppression", "list_suppressions")]
    covered = [row("created", BEGINNING, at(8), at(8, 6)), *(row(field, at(8), TOP, NOW) for field in ("updated", *fields))]

    slices = [part for part in planned("profiles", covered=covered).slices if part.secondary_cursors]

    assert [(part.field, part.start, part.covers_to) for part in slices] == [(field, TOP - HOUR, TOP) for field in fields]


def test_a_full_read_of_profiles_reads_everything_although_it_is_covered() -> None:
    covered = [row("created", BEGINNING, TOP, NOW), row("updated", at(1), TOP, NOW)]

    (part,) = planned("profiles", SyncOptions(SyncMode.full), covered).slices

    assert (part.field, part.start, part.covers_to) == ("created", BEGINNING, TOP)


# --- reviews


def test_reviews_are_read_newest_first_after_the_backfill() -> None:
    first = at(8, 6)
    covered = [row("created", BEGINNING, first - LAG, first)]

    (part,) = planned("reviews", covered=covered).slices

    assert (part.field, part.start, part.end, part.covers_to, part.descending) == ("updated", first - LAG - HOUR, None, TOP, True)
    assert queries("reviews", [part]) == [("-updated", "equals(status,'all')")]


def test_a_newest_first_read_ends_below_the_last_complete_one() -> None:
    first, last = at(8, 6), at(10, 6)
    covered = [row("created", BEGINNING, first - LAG, first), row("updated", first - LAG - HOUR, last - LAG, last)]

    (part,) = planned("reviews", covered=covered).slices

    assert (part.start, part.covers_to) == (last - LAG - HOUR, TOP)


def test_a_newest_first_read_ends_below_the_oldest_gap() -> None:
    first, last = at(2, 6), at(10, 6)
    covered = [
        row("created", BEGINNING, first - LAG, first),
        row("updated", first - LAG - HOUR, at(4), at(4)),
        row("updated", at(6), last - LAG, last),
    ]

    (part,) = planned("reviews", covered=covered).slices

    assert (part.start, part.covers_to) == (at(4) - HOUR, TOP)


def test_an_interrupted_backfill_of_reviews_continues_and_changes_are_read_newest_first() -> None:
    first = at(8, 6)

    slices = planned("reviews", covered=[row("created", at(5), first - LAG, first)]).slices

    assert [(part.field, part.start, part.end, part.covers_to) for part in slices] == [
        ("updated", first - LAG - HOUR, None, TOP),
        ("created", BEGINNING, at(5), at(5)),
    ]


# --- ranges


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
    assert parse_instant(text, "start") == instant


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "01/02/2026", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_an_invalid_date_is_rejected_by_name(text: str) -> None:
    with pytest.raises(InvalidRange, match=re.escape(f"start is not a date: {text!r}.")) as caught:
        parse_instant(text, "start")
    assert "2026-01-31" in str(caught.value)


# --- changed options


def coverage_with_other_options(name: str) -> list[CoverageRow]:
    replication = CATALOG[name].replication
    assert isinstance(replication, Incremental | NewestFirst)
    if replication.backfill_field is None:
        return [row(replication.field, BEGINNING, TOP - DAY, NOW - DAY, "before")]
    backfill = row(replication.backfill_field, BEGINNING, at(5), at(5), "before")
    return [backfill, row(replication.field, at(5) - HOUR, TOP - DAY, NOW - DAY, "before")]


COVERAGE_OF = {name: coverage_with_other_options(name) for name in BY_TIME}


@each(BY_TIME)
def test_coverage_with_other_options_is_read_again(name: str) -> None:
    again = planned(name, covered=COVERAGE_OF[name])

    assert again.slices == planned(name).slices
    assert again.stale


@each(BY_TIME)
def test_coverage_with_other_options_is_kept_if_accepted(name: str) -> None:
    kept = planned(name, SyncOptions(accept_changed_options=True), COVERAGE_OF[name])

    assert kept == planned(name, covered=COVERAGE_OF[name], fingerprint_="before")
    assert not kept.stale


@each(BY_TIME)
def test_a_full_read_does_not_report_changed_options(name: str) -> None:
    assert not planned(name, SyncOptions(SyncMode.full), COVERAGE_OF[name]).stale


@each(BY_TIME)
def test_changed_options_are_reported_until_everything_is_read_again(name: str) -> None:
    """Changes before the new backfill began need not be read again."""
    first, *_ = planned(name).slices
    assert first.field is not None
    read = [row(first.field, BEGINNING, TOP, NOW)]
    covered = [one for one in COVERAGE_OF[name] if one.field != first.field] + read

    assert not planned(name, covered=covered, now=NOW + DAY).stale


@each(COLLECTIONS)
def test_the_fingerprint_depends_on_the_revision_and_the_type(name: str) -> None:
    entry = CATALOG[name]

    assert fingerprint(entry, "2026-07-15") == fingerprint(entry, "2026-07-15")
    assert fingerprint(entry, "2026-07-15") != fingerprint(entry, "2026-10-15")


def test_the_fingerprints_of_all_types_differ() -> None:
    assert len({fingerprint(one, "2026-07-15") for one in CATALOG.values()}) == len(CATALOG)


@pytest.mark.parametrize("includes", [(Include("tags"),), (Include("flow-actions"),), (Include("tags", fields={"tag": ("name",)}),)])
def test_the_fingerprint_depends_on_what_is_included(includes: tuple[Include, ...]) -> None:
    entry = CATALOG["flows"]
    without, other = replace(entry, requested_includes=()), replace(entry, requested_includes=(Include("tags"), Include("flow-actions")))

    found = {fingerprint(one, "2026-07-15") for one in (without, other, replace(entry, requested_includes=includes))}

    assert len(found) == 3


# --- properties of every plan


SECONDS = st.integers(-400 * 86_400, 5 * 86_400)
MOMENTS = st.builds(lambda seconds, micro: TOP + timedelta(seconds=seconds, microseconds=micro), SECONDS, st.integers(0, 999_999))


@st.composite
def coverages(draw: st.DrawFn, name: str) -> list[CoverageRow]:
    field = range_field(CATALOG[name])
    follows = {"events": "datetime"}.get(name, "updated")
    rows = []
    for _ in range(draw(st.integers(0, 4))):
        start, end = sorted((draw(MOMENTS), draw(MOMENTS)))
        read_at = min(end + LAG + timedelta(seconds=draw(st.integers(0, 30 * 86_400))), NOW)
        if start < min(end, read_at - LAG):
            rows.append(
                row(draw(st.sampled_from([str(field), follows])), start, min(end, read_at - LAG), read_at, draw(st.sampled_from(["same", "before"])))
            )
    return rows


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from(BY_TIME))
def test_slices_are_disjoint_newest_first_and_not_in_the_future(data: st.DataObject, name: str) -> None:
    covered = data.draw(coverages(name))
    start, end = sorted((data.draw(MOMENTS), data.draw(MOMENTS)))
    request = data.draw(st.sampled_from([SyncOptions(), SyncOptions(SyncMode.full), SyncOptions(start_date=start), range_request(name, start, end)]))
    assume(request.window is None or request.window.start < request.window.end)
    oldest = data.draw(st.none() | MOMENTS)

    slices = planned(name, request, covered, oldest=oldest).slices
    whole = planned(name, request, covered).slices

    for part in slices:
        assert part.start is not None
        assert part.covers_to is not None
        assert part.covers_to <= TOP
        assert part.end in (None, part.covers_to)
        assert (part.end is None) == (part.covers_to == TOP and request.mode is not SyncMode.range)
        for bound in re.findall(r"-\w+\(\w+,([0-9TZ:.-]+)\)", slice_parameters(CATALOG[name], part).get("filter", "")):
            assert datetime.fromisoformat(bound) <= TOP + timedelta(seconds=1)
    for field in {part.field for part in slices}:
        mine, uncut = windows(slices, field), windows(whole, field)
        assert all(later[0] >= earlier[1] for later, earlier in pairwise(mine))
        assert joined(mine) == joined(uncut)
        assert len({start for start, _ in mine}) == len(mine)
    of_changes = [part.field == "updated" for part in slices if name != "events"]
    assert of_changes == sorted(of_changes, reverse=True) or not any(part.descending for part in slices)


def joined(descending: Sequence[tuple[datetime | None, datetime | None]]) -> list[tuple[datetime | None, datetime | None]]:
    """Merge windows that touch."""
    result: list[tuple[datetime | None, datetime | None]] = []
    for start, end in descending:
        if result and result[-1][0] == end:
            result[-1] = (start, result[-1][1])
        else:
            result.append((start, end))
    return result


def test_borders_between_slices_are_whole_seconds() -> None:
    """An endpoint may round bounds to whole seconds."""
    slices = planned("profiles", oldest=at(1) - 400 * DAY + timedelta(microseconds=123_457)).slices

    assert [part.start.microsecond for part in slices if part.start is not None] == [0] * 6


def test_slice_names_describe_what_they_read() -> None:
    (first,) = planned("events").slices
    (subset, *_) = planned("campaigns").slices
    (between,) = planned("profiles", range_request("profiles", at(1), at(2))).slices

    assert first.name == "datetime from … to …"
    assert subset.name == "email/live"
    assert between.name == "created from 2026-03-01 00:00:00 to 2026-03-02 00:00:00"
    assert (range_field(EVENTS), range_field(PROFILES), range_field(REVIEWS)) == ("datetime", "created", "created")


def test_planning_many_parents_does_not_compare_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    entry, compared, equal = CATALOG["list_members"], 0, CoverageRow.__eq__
    parents = [f"L{number:04d}" for number in range(300)]
    covered = [CoverageRow("all", "list_id", BEGINNING, TOP, NOW - HOUR, "same", final=True, parent=id_) for id_ in parents]

    def counting(self: CoverageRow, other: object) -> bool:
        nonlocal compared
        compared += 1
        return equal(self, other)

    monkeypatch.setattr(CoverageRow, "__eq__", counting)
    result = plan(strategy_for(entry), PlanContext(entry, SyncOptions(), covered, NOW, "same", parents), None)

    assert [part.parent_id for part in result.slices] == parents
    assert not result.stale
    assert compared < 2 * len(parents)
