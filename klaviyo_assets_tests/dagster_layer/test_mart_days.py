"""Which days of a mart are reported, and with which data version: also in an account of another time zone than that of the partitions."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets import EventPartitions
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets_tests.dagster_layer.test_mart_partitions import BY_DAY, ORDERS, Shop
from klaviyo_assets_tests.marts.folders import own_models
from klaviyo_assets_tests.marts.stored import SCHEMA, KeptOpen, StoredAccount

pytestmark = pytest.mark.long

SYDNEY, LOS_ANGELES = "Australia/Sydney", "America/Los_Angeles"
NIGHT_OF_UTC = {SYDNEY: datetime(2026, 2, 20, 20, tzinfo=UTC), LOS_ANGELES: datetime(2026, 2, 20, 2, tzinfo=UTC)}
"""A moment that is on another day in the account: the next one in Sydney, the one before in Los Angeles."""

DAY_OF_UTC, LOCAL_DAY = "2026-02-20", {SYDNEY: "2026-02-21", LOS_ANGELES: "2026-02-19"}
REBUILD: dict[str, Any] = {"ops": {"klaviyo_marts": {"config": {"rebuild": True}}}}


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("A_KEY", "pk_0123456789abcdef0123456789abcdef01")
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def shop(tmp_path: Path, instance: dg.DagsterInstance) -> Shop:
    """An account with an event at noon (UTC) of each of 19 days, and a mart that has been built."""
    found = Shop(tmp_path, instance)
    found.store(*range(1, 20))
    return found


def set_zone(shop: Shop, zone: str) -> None:
    with closing(KeptOpen(shop.path)) as warehouse:
        StoredAccount(warehouse, "accounts").sync({"accounts": [{"id": "A", "timezone": zone}]})


def add_event(shop: Shop, at: datetime, id_: str = "added") -> None:
    with closing(KeptOpen(shop.path)) as warehouse:
        account = StoredAccount(warehouse)
        account.now = datetime(2026, 3, 10, tzinfo=UTC)
        account.sync({"events": [{"id": id_, "profile_id": "p", "datetime": at}]})


def versions(shop: Shop) -> dict[str, str]:
    """Return the data version of each day in Dagster."""
    tag = "dagster/data_version"
    storage = shop.instance.event_log_storage
    found = storage.get_latest_tags_by_partition(BY_DAY, dg.DagsterEventType.ASSET_MATERIALIZATION, [tag])
    return {day: tags[tag] for day, tags in found.items()}


def version_of_model(shop: Shop) -> str:
    (record,) = shop.instance.fetch_materializations(ORDERS, limit=1).records
    assert record.asset_materialization is not None
    return (record.asset_materialization.tags or {})["dagster/data_version"]


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {day for day in before.keys() | after.keys() if before.get(day) != after.get(day)}


def select(shop: Shop, first: str, last: str) -> dg.ExecuteInProcessResult:
    return shop.run("", BY_DAY, **{"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last})


def warnings(result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance) -> list[str]:
    return [entry.user_message for entry in instance.all_logs(result.run_id) if "Marts count days in the account's time zone" in entry.user_message]


@pytest.mark.parametrize("zone", [SYDNEY, LOS_ANGELES])
def test_a_day_that_changed_is_reported_if_the_day_of_utc_is_selected(zone: str, shop: Shop, instance: dg.DagsterInstance) -> None:
    set_zone(shop, zone)
    shop.build()
    before = versions(shop)
    add_event(shop, NIGHT_OF_UTC[zone])

    result = select(shop, DAY_OF_UTC, DAY_OF_UTC)

    assert changed(before, versions(shop)) == {LOCAL_DAY[zone]}
    assert shop.reported() == {DAY_OF_UTC: 1, LOCAL_DAY[zone]: 1}
    (warning,) = warnings(result, instance)
    assert f"{zone} (UTC until" in warning
    assert f'partitions=EventPartitions("daily", timezone="{zone}")' in warning


def test_a_build_whose_days_are_those_of_the_partitions_warns_of_nothing(shop: Shop, instance: dg.DagsterInstance) -> None:
    for result in (shop.run("klaviyo_build_marts", ORDERS), select(shop, DAY_OF_UTC, DAY_OF_UTC)):
        assert not warnings(result, instance)


def test_days_computed_again_without_a_change_keep_their_data_versions(shop: Shop) -> None:
    shop.build()
    add_event(shop, NIGHT_OF_UTC[SYDNEY])
    shop.build()
    before, of_model = versions(shop), version_of_model(shop)
    assert len(set(before.values())) == 2, "days of a range with different versions"

    for _ in range(2):
        select(shop, "2026-02-18", "2026-02-22")
        assert versions(shop) == before
        assert version_of_model(shop) == of_model

    select(shop, "2026-02-05", "2026-02-05")
    assert changed(before, versions(shop)) == {"2026-02-05"}, "a day without rows that was not materialized before"
    before = versions(shop)
    select(shop, "2026-02-05", "2026-02-05")
    assert versions(shop) == before


def test_a_rebuild_reports_the_days_that_differ_only(shop: Shop) -> None:
    shop.build()
    before, of_model = versions(shop), version_of_model(shop)
    job = shop.defs.resolve_job_def("klaviyo_build_marts")

    def rebuild() -> None:
        job.execute_in_process(instance=shop.instance, asset_selection=[ORDERS], run_config=REBUILD)

    rebuild()
    assert not shop.reported()
    assert (versions(shop), version_of_model(shop)) == (before, of_model)

    with closing(KeptOpen(shop.path)) as warehouse:  # what a full sync does: changes are not followed any more
        account = StoredAccount(warehouse)
        account.now = datetime(2026, 3, 10, tzinfo=UTC)
        account.execute("DELETE FROM events WHERE datetime::DATE = DATE '2026-02-12'")
        account.sync({"events": [{"id": "new", "datetime": NIGHT_OF_UTC[SYDNEY]}]}, mode="full")
    shop.build()
    assert changed(before, versions(shop)) == {"2026-02-12", DAY_OF_UTC}
    rebuild()
    assert not shop.reported()


def test_a_day_without_a_partition_yet_is_reported_once_it_has_one(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def today_is(day: int) -> None:
        monkeypatch.setattr(EventPartitions, "last", lambda _: date(2026, 3, day))

    set_zone(shop, SYDNEY)
    today_is(1)
    add_event(shop, datetime(2026, 3, 1, 20, tzinfo=UTC))
    assert "2026-03-02" not in shop.build()
    assert not shop.build()

    today_is(2)
    assert shop.build() == {"2026-03-02": 1}
    assert not shop.build()


def test_days_that_a_build_outside_of_dagster_has_computed_are_reported_by_the_next_one(shop: Shop, tmp_path: Path) -> None:
    shop.build()
    before = versions(shop)
    add_event(shop, NIGHT_OF_UTC[SYDNEY])
    with closing(KeptOpen(shop.path)) as warehouse:
        for result in MartRunner(warehouse, SCHEMA, own_models(tmp_path / "models")).run():
            result.raise_if_failed()

    assert shop.build() == {DAY_OF_UTC: 1}
    assert changed(before, versions(shop)) == {DAY_OF_UTC}
