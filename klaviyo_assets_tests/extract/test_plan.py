"""Planning: which slices a sync reads, and the query of each slice."""

from datetime import timedelta

import pytest

from klaviyo_assets.catalog import CATALOG, EVENTS
from klaviyo_assets.catalog.replication import FullTable, Included, Incremental, NewestFirst
from klaviyo_assets.errors import InvalidRange
from klaviyo_assets.extract.slice_query import slice_parameters
from klaviyo_assets.extract.slices import SubsetSlice
from klaviyo_assets.extract.strategies.strategy import LAG
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions, range_field
from klaviyo_assets.state.coverage import BEGINNING, TimeWindow, merge_coverage
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.each import each
from klaviyo_assets_tests.extract.plans import BY_TIME, DAY, FULL_TABLE, HOUR, NOW, TOP, at, planned, queries, row, windows

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


WITHOUT_RANGE = [name for name, entry in CATALOG.items() if range_field(entry) is None and not isinstance(entry.replication, FullTable | Included)]


@each(WITHOUT_RANGE)
def test_a_type_whose_syncs_do_not_read_everything_has_no_range_either(name: str) -> None:
    with pytest.raises(InvalidRange) as caught:
        planned(name, SyncOptions(SyncMode.range, window=TimeWindow(at(1), at(2))))
    assert str(caught.value) == f"{name} has no mode range. What to do: Run it with mode incremental, or with mode full to read everything again."


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
    covered = merge_coverage([], [row("datetime", BEGINNING, last - LAG, last)], EVENTS.replication.lookback_ages)

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
    covered = merge_coverage([], [row("datetime", BEGINNING, last - LAG, last)], EVENTS.replication.lookback_ages)

    at_twenty_past = planned("events", covered=covered, now=NOW + timedelta(minutes=20)).slices
    before_the_hour = planned("events", covered=covered, now=NOW - timedelta(minutes=5)).slices

    assert len(at_twenty_past) == 6
    assert windows(before_the_hour) == [(last - HOUR, NOW - timedelta(minutes=5) - LAG)]


def test_just_after_a_sync_events_read_only_the_last_hour() -> None:
    covered = merge_coverage([], [row("datetime", BEGINNING, TOP, NOW)], EVENTS.replication.lookback_ages)

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

    slices = [part for part in planned("profiles", covered=covered).slices if not part.field_is_nested]

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

    slices = [part for part in planned("profiles", covered=covered).slices if not part.field_is_nested]

    assert [(part.field, part.start, part.end, part.covers_to) for part in slices] == [("updated", last - HOUR, None, TOP)]


def test_consent_changes_are_followed_by_their_own_time_fields() -> None:
    """Since the first read, then since a margin before the last sync, for changes that become visible late. Each is one chain and is not split."""
    first, last = at(8, 6), at(10, 6)
    suppressed, from_a_list = (f"subscriptions.email.marketing.{name}.timestamp" for name in ("suppression", "list_suppressions"))
    covered = [row("created", BEGINNING, first - LAG, first), row("updated", first - LAG - HOUR, last - LAG, last)]
    covered += [row(suppressed, first - LAG - HOUR, last - LAG, last)]

    slices = [part for part in planned("profiles", covered=covered).slices if part.field_is_nested]

    assert [(part.field, part.start, part.end, part.covers_to) for part in slices] == [
        (suppressed, last - LAG - HOUR, None, TOP),
        (from_a_list, first - LAG - HOUR, None, TOP),
    ]
    assert queries("profiles", slices) == [
        (suppressed, f"greater-or-equal({suppressed},2026-03-10T04:59:50Z)"),
        (from_a_list, f"greater-or-equal({from_a_list},2026-03-08T04:59:50Z)"),
    ]
    assert not any(part.field_is_nested for part in planned("profiles").slices)
    assert not any(part.field_is_nested for part in planned("profiles", SyncOptions(SyncMode.full), covered).slices)


def test_a_sync_within_a_second_of_the_last_requests_consent_changes_again() -> None:
    fields = [f"subscriptions.email.marketing.{name}.timestamp" for name in ("suppression", "list_suppressions")]
    covered = [row("created", BEGINNING, at(8), at(8, 6)), *(row(field, at(8), TOP, NOW) for field in ("updated", *fields))]

    slices = [part for part in planned("profiles", covered=covered).slices if part.field_is_nested]

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
