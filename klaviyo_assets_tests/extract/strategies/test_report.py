"""Which windows of a report a sync reads, and with which requests."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from klaviyo_assets.api.filters import any_of
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.catalog_errors import MissingTrait
from klaviyo_assets.extract.plan import plan
from klaviyo_assets.extract.report_facts import ReportFacts
from klaviyo_assets.extract.slices import ReportSlice
from klaviyo_assets.extract.strategies import strategy_for
from klaviyo_assets.extract.strategies.strategy import LAG, PlanContext
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.state.coverage import CoverageRow, merge_coverage

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 10, 22, 30, tzinfo=UTC)  # 23:30 in Berlin
DAY = timedelta(days=1)
FACTS = ReportFacts(BERLIN, date(2023, 5, 17), metrics=("Order1",))


def planned(
    name: str, covered: Sequence[CoverageRow] = (), now: datetime = NOW, facts: ReportFacts = FACTS, mode: SyncMode = SyncMode.incremental
) -> list[ReportSlice]:
    entry = CATALOG[name]
    context = PlanContext(entry, SyncOptions(mode=mode), covered, now, "current", report=facts)
    slices = strategy_for(entry).plan(context, None)
    assert all(isinstance(one, ReportSlice) for one in slices)
    return list(slices)  # type: ignore[arg-type]


def read(name: str, slices: Sequence[ReportSlice], covered: Sequence[CoverageRow] = (), now: datetime = NOW) -> list[CoverageRow]:
    """Return the coverage after a sync."""
    ages, found = CATALOG[name].replication.lookback_ages_of("day"), {(row.subset, row.parent): list[CoverageRow]() for row in covered}
    for row in covered:
        found[row.subset, row.parent].append(row)
    for one in slices:
        for parent in one.ids or ("",):
            row = CoverageRow(one.subset.name, one.field, one.start, one.covers_to, now, "current", parent=parent)
            found[one.subset.name, parent] = merge_coverage(found.get((one.subset.name, parent), []), [row], ages)
    return [row for rows in found.values() for row in rows]


def days(slices: Sequence[ReportSlice]) -> list[tuple[str, str]]:
    return [(str(one.first), str(one.last)) for one in slices]


@pytest.mark.parametrize("name", ["campaign_report", "flow_report"])
def test_years_are_those_of_the_account_newest_first(name: str) -> None:
    assert days(planned(name)) == [(f"{year}-01-01", f"{year}-12-31") for year in (2026, 2025, 2024, 2023)]
    late = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)  # in Berlin, the new year has begun
    assert days(planned(name, now=late))[0] == ("2027-01-01", "2027-12-31")


def test_request_names_all_statistics_groupings_and_inclusive_bounds_in_the_accounts_time() -> None:
    this_year, last_year, *_ = planned("campaign_report")

    assert this_year.body["timeframe"] == {"start": "2026-01-01T00:00:00+00:00", "end": "2026-03-10T23:30:00+00:00"}
    assert last_year.body["timeframe"] == {"start": "2025-01-01T00:00:00+00:00", "end": "2025-12-31T23:59:59+00:00"}
    assert last_year.start == datetime(2024, 12, 31, 23, tzinfo=UTC)
    assert last_year.covers_to == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert this_year.covers_to == NOW - LAG
    assert last_year.body["conversion_metric_id"] == "Order1"
    assert {"campaign_message_name", "variation", "variation_name"} <= set(last_year.body["group_by"])  # type: ignore[call-overload]
    assert len(last_year.body["statistics"]) == 31  # type: ignore[arg-type]
    assert "interval" not in last_year.body


def test_series_are_requested_in_windows_of_60_days_without_gap_or_overlap() -> None:
    for now in (NOW, NOW + 17 * DAY, datetime(2026, 10, 25, 12, tzinfo=UTC)):
        slices = planned("flow_report_daily", now=now)

        assert slices[0].last == now.astimezone(BERLIN).date()
        assert slices[-1].first == FACTS.since
        assert all((one.last - one.first).days < 60 for one in slices)
        assert all(later.first - DAY == one.last for later, one in itertools.pairwise(slices))
        assert all(later.start == one.covers_to for later, one in itertools.pairwise(slices))
        assert {one.body["interval"] for one in slices} == {"daily"}


@pytest.mark.parametrize("name", ["campaign_report", "flow_report", "flow_report_daily", "form_report_daily", "campaign_report_history"])
def test_second_sync_of_a_day_reads_nothing_and_the_next_day_what_changes(name: str) -> None:
    first = planned(name)
    covered = read(name, first)

    assert planned(name, covered, NOW + timedelta(minutes=20)) == []
    tomorrow = planned(name, covered, NOW + timedelta(hours=1))  # 00:30 in Berlin
    changing = 2 if name in ("campaign_report", "flow_report") else 1
    assert days(tomorrow)[:changing] == days(planned(name, now=NOW + timedelta(hours=1)))[:changing]
    assert len(tomorrow) == changing


def test_a_full_sync_reads_every_window_again() -> None:
    covered = read("campaign_report", planned("campaign_report"))

    assert len(planned("campaign_report", covered, mode=SyncMode.full)) == 4


def test_old_years_are_read_monthly_on_different_days() -> None:
    facts = replace(FACTS, since=date(2013, 2, 1))
    covered, now = read("campaign_report", planned("campaign_report", facts=facts)), NOW
    requests: dict[str, list[int]] = {}
    for day in range(1, 75):
        now = NOW + day * DAY
        slices = planned("campaign_report", covered, now, facts)
        covered = read("campaign_report", slices, covered, now)
        for first, _ in days(slices):
            requests.setdefault(first[:4], []).append(day)
        assert len(slices) <= 3

    assert requests["2026"] == requests["2025"] == list(range(1, 75))
    assert all(later - day >= 30 for year in range(2013, 2025) for day, later in zip(requests[str(year)], requests[str(year)][1:], strict=False))
    assert all(requests[str(year)][0] <= 30 + 12 for year in range(2013, 2025))


def test_old_days_of_flows_are_read_monthly_and_those_of_forms_never() -> None:
    for name, again in (("flow_report_daily", True), ("form_report_daily", False)):
        first = planned(name)
        covered = read(name, first)
        old: list[tuple[str, str]] = []
        for day in range(1, 50):
            slices = planned(name, covered, NOW + day * DAY)
            covered = read(name, slices, covered, NOW + day * DAY)
            old += days(slices)[1:]
            assert len(slices) <= 2
        assert bool(old) == again
        assert len(covered) <= 75  # rows of the same read are merged


def test_days_that_no_sync_read_after_they_settled_are_read_once_more() -> None:
    covered = read("form_report_daily", planned("form_report_daily"))
    later = NOW + 70 * DAY

    slices = planned("form_report_daily", covered, later)

    assert days(slices)[0][1] == str(later.astimezone(BERLIN).date())
    assert min(one.first for one in slices) <= date(2026, 3, 10) - 29 * DAY  # read before, when it was younger than 30 days
    assert planned("form_report_daily", read("form_report_daily", slices, covered, later), later) == []


def test_segments_are_named_by_at_most_a_hundred_ids_and_from_their_first_day_on() -> None:
    ids = {f"S{number:03}": date(2023, 6, 1) for number in range(230)} | {"new": date(2026, 3, 1)}
    facts = ReportFacts(BERLIN, date(2023, 6, 1), ids=ids)

    slices = planned("segment_report_daily", facts=facts)

    newest = [one for one in slices if one.last == date(2026, 3, 10)]
    assert [len(one.ids) for one in newest] == [100, 100, 31]
    assert newest[0].body["filter"] == any_of("segment_id", [f"S{number:03}" for number in range(100)])
    assert "group_by" not in newest[0].body
    assert min(one.first for one in slices) == date(2023, 6, 1)
    assert all("new" not in one.ids for one in slices if one.last < date(2026, 3, 1))
    assert len(slices) == 3 * 18

    covered = read("segment_report_daily", slices)
    assert len(planned("segment_report_daily", covered, NOW + DAY, facts)) == 3
    added = replace(facts, ids={**ids, "other": date(2026, 1, 9)})
    assert [one.ids for one in planned("segment_report_daily", covered, NOW, added)] == [("other",), ("other",)]


def test_each_conversion_metric_has_requests_and_coverage_of_its_own() -> None:
    one = read("flow_report", planned("flow_report"))
    two = replace(FACTS, metrics=("Order1", "Order2"))

    slices = planned("flow_report", one, facts=two)

    assert {item.subset.values["conversion_metric_id"] for item in slices} == {"Order2"}
    assert len(slices) == 4


def test_observations_ask_for_the_sends_of_30_days() -> None:
    (one,) = planned("campaign_report_history")

    assert one.window_values == {"observed_on": "2026-03-10"}
    assert one.body["timeframe"] == {"start": "2026-02-09T00:00:00+00:00", "end": "2026-03-10T23:30:00+00:00"}


def test_windows_read_with_other_columns_are_reported_as_read_again() -> None:
    entry, current = CATALOG["campaign_report"], read("campaign_report", planned("campaign_report"))
    earlier = [replace(row, fingerprint="earlier") for row in current]

    def is_stale(*covered: CoverageRow) -> bool:
        context = PlanContext(entry, SyncOptions(), covered, NOW + timedelta(hours=1), "current", report=FACTS)
        return plan(strategy_for(entry), context, None).stale

    assert is_stale(*earlier)
    assert is_stale(*current[1:], earlier[0])
    assert not is_stale(*current)
    assert not is_stale(*current, replace(earlier[0], start=NOW - 9000 * DAY, end=NOW - 8000 * DAY)), "no window of the account's history"


def test_planning_a_report_of_your_own_needs_its_facts() -> None:
    context = PlanContext(replace(CATALOG["campaign_report"], name="my_report"), SyncOptions(), (), NOW, "current")

    with pytest.raises(MissingTrait, match=r"^The resource type my_report has no report, but the code that uses it needs one\."):
        strategy_for(context.entry).plan(context, None)


def test_windows_read_with_other_columns_are_read_again() -> None:
    covered = [replace(row, fingerprint="earlier") for row in read("campaign_report", planned("campaign_report"))]

    assert len(planned("campaign_report", covered)) == 4
