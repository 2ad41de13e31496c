"""Events of some metrics only: what is stored, what a change of the selection reads, and what full reads and ranges leave alone."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from klaviyo_assets.api.klaviyo_errors import NotFound
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.extract.metric_selection import MetricRules, UnknownMetric
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.sync.sync_report import SyncReport
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync

NewAccount = Callable[..., SandboxProcess]

pytestmark = pytest.mark.usefixtures("unpaced")


@pytest.fixture
def shop(new_account: NewAccount) -> SandboxProcess:
    """An account without events that are still to arrive."""
    found = new_account(metrics=5, events=400, profiles=60)
    found.advance(timedelta(days=40))
    return found


def metric_of(shop: SandboxProcess) -> dict[str, str | None]:
    """Return the metric of each of the account's events."""
    return {one["id"]: (one["relationships"]["metric"].get("data") or {}).get("id") for one in shop.truth("events")}


def true_ids(shop: SandboxProcess, *, only: set[str] | None = None, without: frozenset[str] | set[str] = frozenset()) -> set[str]:
    """Return the ids of the account's events of some metrics."""
    return {id_ for id_, metric in metric_of(shop).items() if metric not in without and (only is None or metric in only)}


def stored(warehouse: LocalFile) -> set[str]:
    return {id_ for (id_,) in query(warehouse, "SELECT id FROM events WHERE _deleted_at IS NULL")}


def metrics(shop: SandboxProcess) -> list[tuple[str, str]]:
    """Return the ids and names of the metrics, those with most events first."""
    events_of = Counter(metric_of(shop).values())
    return sorted([(one["id"], one["attributes"]["name"]) for one in shop.truth("metrics")], key=lambda one: -events_of[one[0]])


def events(shop: SandboxProcess, warehouse: LocalFile, *, include: tuple[str, ...] = (), exclude: tuple[str, ...] = (), **options: Any) -> SyncReport:
    shop.advance(timedelta(minutes=1))
    return sync("events", shop, warehouse, SyncOptions(metrics=MetricRules(include, exclude), **options))


@pytest.mark.long
def test_events_of_an_excluded_metric_are_not_stored_and_are_read_when_it_is_selected_again(shop: SandboxProcess, warehouse: LocalFile) -> None:
    (busiest, name), *_ = metrics(shop)

    events(shop, warehouse, exclude=(name,))

    assert stored(warehouse) == true_ids(shop, without={busiest})
    again = events(shop, warehouse, exclude=(name,))
    assert again.row.records_read == 0

    back = events(shop, warehouse)

    assert stored(warehouse) == true_ids(shop)
    assert back.row.records_read == len(true_ids(shop, only={busiest})), "only what is missing"
    assert events(shop, warehouse).row.records_read == 0


@pytest.mark.long
def test_only_the_included_metrics_are_read_and_one_that_is_added_brings_its_history(shop: SandboxProcess, warehouse: LocalFile) -> None:
    (first, name), (second, _), *_ = metrics(shop)

    report = events(shop, warehouse, include=(name,))

    assert stored(warehouse) == true_ids(shop, only={first})
    assert report.row.records_read == len(stored(warehouse)), "no other event is transferred"

    more = events(shop, warehouse, include=(name, second))

    assert stored(warehouse) == true_ids(shop, only={first, second})
    assert more.row.records_read == len(true_ids(shop, only={second})), "only the history of the new one"


@pytest.mark.long
def test_the_history_of_all_metrics_is_read_once_the_selection_ends(shop: SandboxProcess, warehouse: LocalFile) -> None:
    (_, name), *_ = metrics(shop)
    events(shop, warehouse, include=(name,))

    events(shop, warehouse)

    assert stored(warehouse) == true_ids(shop)
    assert events(shop, warehouse).row.records_read == 0


@pytest.mark.long
def test_what_all_reads_have_covered_counts_for_each_metric(shop: SandboxProcess, warehouse: LocalFile) -> None:
    (first, name), *_ = metrics(shop)
    events(shop, warehouse)

    assert events(shop, warehouse, exclude=(name,)).row.records_read == 0
    assert events(shop, warehouse, include=(name,)).row.records_read == 0
    assert stored(warehouse) == true_ids(shop), "rows that were stored before stay"

    shop.change("event", datetime=shop.now(), metric_id=first)
    events(shop, warehouse, exclude=(name,))
    assert len(stored(warehouse)) == len(true_ids(shop)) - 1

    events(shop, warehouse)
    assert stored(warehouse) == true_ids(shop)


@pytest.mark.long
@pytest.mark.parametrize(("mode", "kind"), [(SyncMode.full, "include"), (SyncMode.full, "exclude"), (SyncMode.range, "include")])
def test_rows_of_other_metrics_are_not_marked_as_deleted(mode: SyncMode, kind: str, shop: SandboxProcess, warehouse: LocalFile) -> None:
    (first, name), (second, _), *_ = metrics(shop)
    events(shop, warehouse)
    selected = {first} if kind == "include" else {second}
    gone = next(iter(true_ids(shop, only=selected)))
    shop.change("delete", type="events", id=gone)
    window = TimeWindow(shop.now() - timedelta(days=900), shop.now()) if mode is SyncMode.range else None

    rules: dict[str, Any] = {kind: (name,)}
    events(shop, warehouse, **rules, mode=mode, window=window)

    assert stored(warehouse) == true_ids(shop), "only the event that is gone"
    assert query(warehouse, "SELECT id FROM events WHERE _deleted_at IS NOT NULL") == [(gone,)]
    events(shop, warehouse)
    assert stored(warehouse) == true_ids(shop)


@pytest.mark.long
def test_a_metric_that_appears_later_with_an_excluded_name_is_excluded(shop: SandboxProcess, warehouse: LocalFile) -> None:
    (first, name), *_ = metrics(shop)
    events(shop, warehouse, exclude=(name,))
    (second,) = shop.change("add", type="metrics", attributes={"name": name})
    shop.change("event", datetime=shop.now(), metric_id=second)

    events(shop, warehouse, exclude=(name,))

    assert stored(warehouse) == true_ids(shop, without={first, second})


def test_a_misspelled_metric_stops_the_sync(shop: SandboxProcess, warehouse: LocalFile) -> None:
    _, name = metrics(shop)[0]

    with pytest.raises(UnknownMetric, match=f"Did you mean '{name}'"):
        events(shop, warehouse, exclude=(f"{name}s",))


@pytest.mark.long
def test_a_metric_that_is_renamed_does_not_stop_later_syncs(shop: SandboxProcess, warehouse: LocalFile) -> None:
    (first, name), (second, other), *_ = metrics(shop)
    events(shop, warehouse, exclude=(name,))
    shop.change("update", type="metrics", id=first, attributes={"name": "Quite another name"})

    excluded = events(shop, warehouse, exclude=(name,))

    assert stored(warehouse) == true_ids(shop), "what the name no longer leaves out is read, also its history"
    (note,) = excluded.notes
    assert f"'Quite another name' ({first}) were left out before and are read now" in note
    assert events(shop, warehouse, exclude=(name,)).row.records_read == 0

    shop.change("event", datetime=shop.now(), metric_id=first)
    shop.change("event", datetime=shop.now(), metric_id=second)
    included = events(shop, warehouse, include=(name, other))

    assert included.row.records_read == 1, "only the metric that is known"
    assert len(included.notes) == 1
    with pytest.raises(UnknownMetric):
        events(shop, warehouse, include=(name,))


@pytest.mark.long
def test_metrics_are_requested_as_the_catalog_in_use_says(shop: SandboxProcess, warehouse: LocalFile) -> None:
    (_, name), *_ = metrics(shop)
    elsewhere = replace(CATALOG["metrics"], endpoint=replace(CATALOG["metrics"].endpoint, path="/api/elsewhere"))

    with pytest.raises(NotFound, match="/api/elsewhere"):
        sync("events", shop, warehouse, SyncOptions(metrics=MetricRules((name,))), catalog=CATALOG.updated({"metrics": elsewhere}))
