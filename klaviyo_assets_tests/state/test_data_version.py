"""The data version of a table changes when its rows change, and only then: also with erasures, wrong clocks and a log that is kept short."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from klaviyo_assets.erasure.erase import Erasure
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.publish.facts import version_of
from klaviyo_assets.state.changed_periods import ChangedPeriods
from klaviyo_assets.state.data_version import data_version
from klaviyo_assets.state.sync_log import KEPT_ALWAYS, SYNCS_KEPT_FOR, SyncLog
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import local_file, query
from klaviyo_assets_tests.load.loads import NOON, Loads

pytestmark = pytest.mark.duckdb

ANN = "ann@example.com"


@pytest.fixture
def warehouse(tmp_path: Path) -> LocalFile:
    return local_file(tmp_path, "shop.duckdb")


@pytest.fixture
def load(warehouse: LocalFile, tmp_path: Path) -> Callable[[str], Loads]:
    return lambda name: Loads(warehouse, tmp_path, name)


def version(warehouse: LocalFile, name: str) -> str:
    with warehouse.connection() as connection:
        return data_version(SyncLog(connection, warehouse, "klaviyo"), name)


def published_version(warehouse: LocalFile) -> str:
    with warehouse.connection() as connection:
        return version_of(connection, ["klaviyo"], NOON)


def erase(warehouse: LocalFile, person: str) -> None:
    Erasure(warehouse, "klaviyo").run(DataSubject.named(person))


@pytest.mark.long
def test_an_erasure_changes_the_versions_of_the_tables_that_it_changes(warehouse: LocalFile, load: Callable[[str], Loads]) -> None:
    load("profiles")([{"id": "P1", "email": ANN}, {"id": "P2", "email": "bob@example.com"}])
    load("lists")([{"id": "L1", "name": "Newsletter"}])
    before = {name: version(warehouse, name) for name in ("profiles", "lists")}

    erase(warehouse, ANN)

    assert version(warehouse, "profiles") != before["profiles"]
    assert version(warehouse, "lists") == before["lists"], "no row of it has changed"
    after = version(warehouse, "profiles")
    erase(warehouse, ANN)
    assert version(warehouse, "profiles") == after, "nothing was left to erase"
    assert query(warehouse, "SELECT table_name, rows_deleted, rows_redacted FROM _erasures") == [("profiles", 1, 0)]


def test_a_redaction_alone_changes_the_version(warehouse: LocalFile, load: Callable[[str], Loads]) -> None:
    """The address belongs to no profile, so no hash is stored."""
    load("profiles")([{"id": "P1", "email": "bob@example.com"}])
    load("lists")([{"id": "L1", "name": f"Friends of {ANN}"}])
    versions, published = {name: version(warehouse, name) for name in ("profiles", "lists")}, published_version(warehouse)

    erase(warehouse, ANN)

    assert query(warehouse, f"SELECT count(*) FROM lists WHERE contains(name, '{ANN}')") == [(0,)]
    assert version(warehouse, "lists") != versions["lists"]
    assert version(warehouse, "profiles") == versions["profiles"]
    assert published_version(warehouse) != published


@pytest.mark.long
def test_an_erasure_records_the_days_of_events_that_it_changes(warehouse: LocalFile, load: Callable[[str], Loads]) -> None:
    load("profiles")([{"id": "P1", "email": ANN}])
    events = load("events")
    with warehouse.transaction() as connection:
        ChangedPeriods(connection, warehouse, "klaviyo").prepare()
    rows = [{"id": "own", "profile_id": "P1"}, {"id": "naming", "event_properties": f'{{"friend": "{ANN}"}}'}, {"id": "other"}]
    events([{"metric_id": "M", "datetime": NOON + timedelta(days=number)} | row for number, row in enumerate(rows)])

    erase(warehouse, ANN)

    with warehouse.connection() as connection:
        found = ChangedPeriods(connection, warehouse, "klaviyo").of("events")
    ((erasure,),) = query(warehouse, "SELECT DISTINCT id FROM _erasures")
    assert [(one.window.start, one.sync_id) for one in found] == [(NOON, erasure), (NOON + timedelta(days=1), erasure)]
    assert {one.window.end - one.window.start for one in found} == {timedelta(minutes=15)}


def test_an_erasure_that_is_only_tried_records_nothing(warehouse: LocalFile, load: Callable[[str], Loads]) -> None:
    load("profiles")([{"id": "P1", "email": ANN}])
    before = version(warehouse, "profiles")
    Erasure(warehouse, "klaviyo").run(DataSubject.named(ANN), dry_run=True)
    assert version(warehouse, "profiles") == before


def test_a_sync_dated_in_the_future_does_not_hide_later_changes(warehouse: LocalFile, load: Callable[[str], Loads]) -> None:
    lists = load("lists")
    lists.row = replace(lists.row, id="future", started_at=NOON + timedelta(days=900))
    loader = Loader(warehouse, lists.entry, "klaviyo")
    loader.begin(lists.row)
    lists([{"id": "A"}])
    loader.end(lists.row, NOON + timedelta(days=900, minutes=1))

    for number, rows in enumerate([[{"id": "B"}], []]):
        started = NOON + timedelta(hours=number + 1)
        lists.row = replace(lists.row, id=f"sync-{number}", started_at=started, rows_inserted=0, outcome="running", finished_at=None)
        loader = Loader(warehouse, lists.entry, "klaviyo")
        loader.begin(lists.row, latest=started + timedelta(minutes=1))
        lists(rows)
        assert version(warehouse, "lists") == "sync-0"
    assert query(warehouse, "SELECT id, started_at, finished_at FROM _syncs WHERE id = 'future'") == [
        ("future", NOON + timedelta(minutes=59, seconds=59), NOON + timedelta(minutes=59, seconds=59))
    ]


def test_the_last_sync_that_has_changed_rows_stays_in_the_log(warehouse: LocalFile, load: Callable[[str], Loads]) -> None:
    lists = load("lists")
    changed, idle = (replace(lists.row, id=name, outcome="succeeded") for name in ("changed", "idle"))
    old = datetime(2020, 1, 1, tzinfo=UTC)
    with warehouse.transaction() as connection:
        log = SyncLog(connection, warehouse, "klaviyo")
        log.insert(replace(changed, started_at=old, rows_inserted=1))
        for number in range(2 * KEPT_ALWAYS):
            log.insert(replace(idle, id=f"idle-{number}", started_at=old + timedelta(hours=number + 1)))
        log.delete_old("lists", old + SYNCS_KEPT_FOR + timedelta(days=100))
        assert log.count("lists") == KEPT_ALWAYS + 1
        assert data_version(log, "lists") == "changed"
