"""Which days are reported to Dagster, and with which data version; each case without a sync."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pytest

from klaviyo_assets import CATALOG, EventPartitions
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.reporting.period_report import PeriodReport
from klaviyo_assets.state.changed_periods import ChangedPeriods
from klaviyo_assets.state.coverage import CoverageRow, TimeWindow
from klaviyo_assets.state.periods import Periods
from klaviyo_assets.state.sync_log import SyncLog, SyncLogEntry
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query
from klaviyo_assets_tests.load.loads import Loads

pytestmark = pytest.mark.long

ASSET = dg.AssetKey("events_by_day")
EVENTS = CATALOG["events"]
FIRST = date(2026, 3, 1)
UTC_DAYS = Periods()
DAYS = [FIRST + timedelta(days=n) for n in range(5)]


def day(n: int) -> TimeWindow:
    return UTC_DAYS.window(DAYS[n])


class Shop:
    """A table of events in which syncs change days, and a Dagster instance."""

    def __init__(self, warehouse: LocalFile, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
        self.warehouse, self.instance = warehouse, instance
        monkeypatch.setattr("klaviyo_assets.reporting.period_report.log_materializations", self.store)

    def store(self, _: Any, materializations: Sequence[dg.AssetMaterialization]) -> None:
        for one in materializations:
            self.instance.report_runless_asset_event(one)

    def sync(
        self,
        name: str,
        *changed: int,
        files: Sequence[Path] = (),
        read: Sequence[TimeWindow] = (),
        ends: bool = True,
        periods: Periods | None = UTC_DAYS,
    ) -> None:
        """Record days as changed, or load files of events, which change theirs."""
        loader = Loader(self.warehouse, EVENTS, "klaviyo", periods=periods)
        row = SyncLogEntry(name, "events", "unknown", "incremental", datetime(2026, 4, 1, tzinfo=UTC), None)
        loader.begin(row)
        covered = tuple(CoverageRow("", "datetime", one.start, one.end, row.started_at, "") for one in read)
        loader.load(Batch(files=tuple(files), covered=covered), row)
        with self.warehouse.transaction() as connection:
            ChangedPeriods(connection, self.warehouse, "klaviyo").add("events", [day(n) for n in changed], name)
            row.rows_inserted, row.outcome = len(changed) + loader.progress.counts.inserted, "succeeded" if ends else "running"
            SyncLog(connection, self.warehouse, "klaviyo").update(row)

    def report(self, timezone: str = "UTC", start_date: datetime | None = None, first: date = FIRST) -> PeriodReport:
        context = cast(dg.AssetExecutionContext, SimpleNamespace(instance=self.instance))
        return PeriodReport(context, ASSET, EventPartitions(timezone=timezone, start=first), self.warehouse, "klaviyo", EVENTS, start_date)

    def versions(self) -> dict[str, str]:
        """Return the latest data version of each partition."""
        tags = self.instance.event_log_storage.get_latest_tags_by_partition(
            ASSET, dg.DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
        )
        return {key: one["dagster/data_version"] for key, one in tags.items()}

    def unreported(self) -> set[str]:
        return {sync for (sync,) in query(self.warehouse, "SELECT sync_id FROM _changed_periods")}


@pytest.fixture
def shop(warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Shop(warehouse, instance, monkeypatch)


def test_days_of_a_sync_that_still_runs_are_left_to_its_own_report(shop: Shop) -> None:
    shop.sync("ended", 0)
    shop.sync("running", 1, ends=False)

    assert shop.report().send().keys() == {DAYS[0]}
    assert shop.unreported() == {"running"}


def test_the_days_of_a_killed_sync_are_reported_after_the_next_one(shop: Shop) -> None:
    shop.sync("killed", 1, ends=False)
    shop.sync("next")

    assert shop.report().send().keys() == {DAYS[1]}
    assert not shop.unreported()


def test_a_day_that_is_reported_again_without_a_change_keeps_its_data_version(shop: Shop) -> None:
    shop.sync("first", 0, 1)
    shop.report().send()
    shop.sync("second", 1)

    found = shop.report().send(selected={DAYS[0]})

    assert {period: one.version for period, one in found.items()} == {DAYS[0]: "first", DAYS[1]: "second"}
    assert shop.versions() == {f"{DAYS[0]}": "first", f"{DAYS[1]}": "second"}


def test_the_data_version_of_a_day_changes_with_each_sync_that_changed_it(shop: Shop) -> None:
    shop.sync("z", 0)
    shop.report().send()
    shop.sync("a", 0)
    shop.sync("z2", 0)
    (before,) = {one.version for one in shop.report().send().values()}

    assert before not in ("z", "a", "z2")


def test_another_time_zone_reports_every_day_once_more(shop: Shop) -> None:
    shop.sync("first", read=[TimeWindow(day(0).start, day(3).end)])
    assert shop.report().send().keys() == {*DAYS[:4]}
    assert not shop.report().send()

    assert shop.report("Europe/Berlin").send().keys() == {*DAYS[1:4]}
    assert not shop.report("Europe/Berlin").send()
    assert shop.report().send().keys() == {*DAYS[1:4]}


def test_days_that_change_while_there_are_no_partitions_are_reported_later(shop: Shop, tmp_path: Path) -> None:
    """A code location without partitions syncs the same database, or this one has none for a while."""
    shop.sync("first", 0)
    shop.report().send()
    staged = Loads(shop.warehouse, tmp_path, "events").staged(
        [{"id": f"e{n}", "metric_id": "M", "datetime": day(n).start + timedelta(hours=12), "event_properties": "{}"} for n in (1, 3)]
    )

    shop.sync("without partitions", files=staged, periods=None)

    assert shop.unreported() == {"without partitions"}
    assert {period: one.rows for period, one in shop.report().send().items()} == {DAYS[1]: 1, DAYS[3]: 1}
    assert shop.versions() == {f"{DAYS[0]}": "first", f"{DAYS[1]}": "without partitions", f"{DAYS[3]}": "without partitions"}
    assert not shop.unreported()


def test_nothing_is_recorded_if_there_never_were_partitions(shop: Shop) -> None:
    loader = Loader(shop.warehouse, EVENTS, "klaviyo")
    loader.begin(SyncLogEntry("first", "events", "unknown", "incremental", datetime(2026, 4, 1, tzinfo=UTC), None))

    assert loader.periods is None


def test_the_first_day_of_another_time_zone_is_complete_from_the_start_date_on(shop: Shop) -> None:
    start = day(0).start  # 01:00 in Berlin
    shop.sync("first", read=[TimeWindow(start, day(1).end)])

    assert shop.report("Europe/Berlin").send().keys() == {DAYS[1]}
    assert shop.report("Europe/Berlin", start).send().keys() == {DAYS[0]}


def test_failed_days_are_cleared_if_they_were_compared_and_agree(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.sync("first", read=[TimeWindow(day(0).start, day(2).end), day(4)])
    shop.report().send()
    monkeypatch.setattr(PeriodReport, "_failed", lambda _: {*DAYS})
    seen = shop.instance.get_latest_storage_id_by_partition(ASSET, dg.DagsterEventType.ASSET_MATERIALIZATION)

    shop.report().clear_failed(TimeWindow(day(0).start, day(3).end), [DAYS[1]])

    after = shop.instance.get_latest_storage_id_by_partition(ASSET, dg.DagsterEventType.ASSET_MATERIALIZATION)
    assert {key for key, id_ in after.items() if seen.get(key) != id_} == {f"{DAYS[0]}", f"{DAYS[2]}"}, "1 differs, 3 is not covered, 4 not compared"
