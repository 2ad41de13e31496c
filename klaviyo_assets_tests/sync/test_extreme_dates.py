"""Records with extreme dates, long before 1970 or thousands of years ahead: all of them are read."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.replication import Incremental, NewestFirst
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions, range_field
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.coverage import BEGINNING, TimeWindow
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import in_small_pages, query, sync, table, truth

pytestmark = pytest.mark.long

NewAccount = Callable[..., SandboxProcess]

BY_TIME = [name for name, entry in CATALOG.items() if isinstance(entry.replication, Incremental | NewestFirst)]

SMALL = {"events": 400, "profiles": 150, "reviews": 120}

LONG_AGO = [
    datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(1901, 12, 13, 20, 45, 51, tzinfo=UTC),  # before the earliest second of a 32-bit clock
    datetime(1582, 10, 4, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
]
FAR_AHEAD = [datetime(2100, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)]


def add_dated(sandbox: SandboxProcess, name: str, moment: datetime) -> None:
    """Add a record with this moment in all its time fields."""
    if name == "events":
        sandbox.change("event", datetime=moment)
        return
    sandbox.change("add", type=name, attributes={"created": moment.isoformat(), "updated": moment.isoformat()})


@pytest.mark.duckdb
@pytest.mark.parametrize("mode", [SyncMode.incremental, SyncMode.full])
@pytest.mark.parametrize("name", BY_TIME)
def test_records_with_extreme_dates_are_read(name: str, mode: SyncMode, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(**SMALL)
    for moment in (*LONG_AGO, *FAR_AHEAD):
        add_dated(sandbox, name, moment)
    # Small pages, so slices are split.
    entry = in_small_pages(name)

    sync(entry, sandbox, warehouse, SyncOptions(mode))

    assert_frame_equal(table(warehouse, name), truth(sandbox, name))
    again = sync(entry, sandbox, warehouse)
    assert (again.row.rows_inserted, again.row.rows_updated) == (0, 0)
    field = range_field(entry)
    assert query(warehouse, f"SELECT DISTINCT isinf(min(window_start)) FROM _coverage WHERE resource_type = '{name}' AND field = '{field}'") == [
        (True,)
    ]


@pytest.mark.parametrize("name", BY_TIME)
def test_records_that_an_earlier_version_skipped_are_read(name: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(**SMALL)
    add_dated(sandbox, name, LONG_AGO[0])
    sync(name, sandbox, warehouse)
    query(warehouse, f"DELETE FROM {name} WHERE {range_field(CATALOG[name])} < '1970-01-01'")
    query(warehouse, "UPDATE _coverage SET window_start = '1970-01-01 00:00:00+00' WHERE isinf(window_start)")
    query(warehouse, "UPDATE _syncs SET table_rows = NULL, table_newest = NULL")  # that version did not record these

    report = sync(name, sandbox, warehouse)

    assert report.row.records_read < truth(sandbox, name).height, "other records are not read again"
    assert_frame_equal(table(warehouse, name), truth(sandbox, name))
    assert sync(name, sandbox, warehouse).row.requests <= report.row.requests


@pytest.mark.parametrize("name", BY_TIME)
def test_a_range_may_be_before_1970(name: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(**SMALL)
    for moment in LONG_AGO:
        add_dated(sandbox, name, moment)
    before = TimeWindow(BEGINNING + timedelta(microseconds=1), datetime(1970, 1, 1, tzinfo=UTC))

    sync(name, sandbox, warehouse, SyncOptions(SyncMode.range, window=before))

    assert query(warehouse, f"SELECT count(*) FROM {name}") == [(3,)]
    sync(name, sandbox, warehouse, SyncOptions(SyncMode.range, window=TimeWindow(BEGINNING, before.end)))
    assert query(warehouse, f"SELECT count(*) FROM {name}") == [(4,)]


@pytest.mark.parametrize("name", ["profiles", "reviews"])
def test_a_version_dated_in_the_future_does_not_block_later_changes(name: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(**SMALL)
    sync(name, sandbox, warehouse)
    id_ = table(warehouse, name)["id"][0]
    sandbox.change("update", type=name, id=id_, attributes={"updated": FAR_AHEAD[-1].isoformat()})
    sandbox.advance(timedelta(minutes=1))
    sync(name, sandbox, warehouse)
    assert query(warehouse, f"SELECT year(updated) FROM {name} WHERE id = '{id_}'") == [(9999,)]
    sandbox.advance(timedelta(minutes=1))
    sandbox.change("update", type=name, id=id_, attributes={"updated": sandbox.now().isoformat(), "title": "new"})

    sync(name, sandbox, warehouse)

    assert query(warehouse, f"SELECT title FROM {name} WHERE id = '{id_}'") == [("new",)]
    assert_frame_equal(table(warehouse, name), truth(sandbox, name))
