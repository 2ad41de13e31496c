"""Syncs over real HTTP into real DuckDB files: afterwards the tables equal the records of the account."""

from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.replication import Incremental, PerParent
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.quality.inspector import inspecting
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import COLLECTIONS, query, sync, table, truth, with_parents
from klaviyo_assets_tests.shapes import representatives

NewAccount = Callable[..., SandboxProcess]

SWITCHES = {
    "archived_by_default": True,
    "all_reviews_by_default": True,
    "strict_includes_bound": True,
    "ignore_profiles_upper_bound": True,
    "archiving_moves_updated": False,
    "attributions_without_include": True,
    "events_move_updated": True,
}
"""Behavior that Klaviyo does not document, each switch set to the opposite of the sandbox's default."""

SWITCHED = ["campaigns", "events", "flows", "profiles", "reviews"]
"""The types that the switches concern."""


def assert_equal_to_truth(sandbox: SandboxProcess, warehouse: LocalFile, name: str, *, except_columns: tuple[str, ...] = ()) -> None:
    omitted = (*except_columns, *(column.name for column in CATALOG[name].columns if column.volatile))
    assert_frame_equal(table(warehouse, name).drop(omitted), truth(sandbox, name).drop(omitted))


REPRESENTATIVES = [entry.name for entry in representatives(COLLECTIONS.values())]
"""The pass with the older DuckDB syncs these; the others run the same code with other columns."""

_ROUNDS = 3

QUICK = {"events", "lists", "list_members", "campaign_messages"}
"""``make test-quick`` syncs these: read by time, completely, by parent, and within the response for another type."""

every_type = [
    pytest.param(name, marks=[*[pytest.mark.duckdb] * (name in REPRESENTATIVES), *[pytest.mark.long] * (name not in QUICK)]) for name in COLLECTIONS
]


@pytest.mark.parametrize("name", every_type)
def test_a_first_sync_reads_everything_and_a_second_changes_nothing(name: str, account: SandboxProcess, warehouse: LocalFile) -> None:
    *_, report = [sync(one, account, warehouse) for one in with_parents(name)]

    assert report.row_count == account.counts()[name] > 0
    assert_equal_to_truth(account, warehouse, name)
    with inspecting(warehouse, CATALOG[name], "klaviyo") as inspector:
        assert inspector.unknown_attributes() == []
        assert inspector.drifts() == []

    rows = f"SELECT * FROM {name} ORDER BY {', '.join(CATALOG[name].primary_key)}"
    before = query(warehouse, rows)
    again = sync(name, account, warehouse)

    assert (again.row.rows_inserted, again.row.rows_updated, again.row.rows_deleted) == (0, 0, 0)
    assert query(warehouse, rows) == before


@pytest.mark.long
@pytest.mark.parametrize(
    ("switches", "names"),
    [
        pytest.param({}, [*COLLECTIONS], id="usual", marks=pytest.mark.slow),
        pytest.param(SWITCHES, SWITCHED, id="unusual", marks=pytest.mark.duckdb),
    ],
)
def test_changes_between_syncs_are_found(switches: dict[str, bool], names: list[str], new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(**switches)
    sandbox.advance(timedelta(days=30))  # late events of the account's own history have arrived
    for name in names:
        sync(name, sandbox, warehouse)
    for round_ in range(_ROUNDS):
        sandbox.advance(timedelta(minutes=50))
        sandbox.change("round", seed=round_)
        sandbox.advance(timedelta(minutes=10))
        for name in names:
            sync(name, sandbox, warehouse)

    incremental = [name for name in names if isinstance(CATALOG[name].replication, Incremental)]
    of_parents = [name for name in names if isinstance(CATALOG[name].replication, PerParent)]  # some changes are found days later
    for name in set(names) - {*incremental, *of_parents}:
        assert_equal_to_truth(sandbox, warehouse, name)
    # Merging two profiles moves old events, and deleting one leaves no trace: only a full sync finds both.
    assert_equal_to_truth(sandbox, warehouse, "events", except_columns=("profile_id",))
    for name in set(incremental) - {"events"}:
        expected, found = truth(sandbox, name), table(warehouse, name)
        key = str(CATALOG[name].id_column)
        assert_frame_equal(found.filter(pl.col(key).is_in(expected[key].implode())), expected)
        assert found.height - expected.height == (2 * _ROUNDS if CATALOG[name].jsonapi_type == "profile" else _ROUNDS)

    for name in (*incremental, *of_parents):
        sync(name, sandbox, warehouse, SyncOptions(mode=SyncMode.full))
        assert_equal_to_truth(sandbox, warehouse, name)


@pytest.mark.long
@pytest.mark.duckdb
def test_text_cut_in_the_middle_of_an_emoji_does_not_fail_a_sync(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(lone_surrogates=True)

    sync("events", sandbox, warehouse)

    assert_equal_to_truth(sandbox, warehouse, "events")
    half = r"\\\\u[dD][89a-fA-F]"  # the escape itself, with its backslash escaped
    assert query(warehouse, f"SELECT count(*) > 0 FROM events WHERE regexp_matches(event_properties::VARCHAR, '{half}')") == [(True,)]


@pytest.mark.duckdb
@pytest.mark.long
def test_events_that_arrive_days_late_are_found_at_the_next_lookback_age(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account()
    sync("events", sandbox, warehouse)
    for days in (2, 6, 16):
        sandbox.change("event", datetime=sandbox.now() - timedelta(days=days), arrival=sandbox.now() + timedelta(hours=1))
    sandbox.advance(timedelta(hours=2))
    sync("events", sandbox, warehouse)
    assert table(warehouse, "events").height < truth(sandbox, "events").height

    sandbox.advance(timedelta(days=17, hours=1))
    sync("events", sandbox, warehouse)

    assert_equal_to_truth(sandbox, warehouse, "events")


@pytest.mark.duckdb
@pytest.mark.long
@pytest.mark.parametrize("name", ["events", "profiles", "reviews"])
def test_only_a_full_sync_finds_deletions(name: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account()
    sync(name, sandbox, warehouse)
    gone = table(warehouse, name)["id"][5]
    sandbox.change("delete", type=name, id=gone)
    sync(name, sandbox, warehouse)
    assert gone in table(warehouse, name)["id"]

    report = sync(name, sandbox, warehouse, SyncOptions(mode=SyncMode.full))

    assert report.row.rows_deleted == 1
    assert table(warehouse, name, deleted=True)["id"].to_list() == [gone]
    assert_equal_to_truth(sandbox, warehouse, name)
    again = sync(name, sandbox, warehouse)
    assert (again.row.rows_inserted, again.row.rows_updated, again.row.rows_deleted) == (0, 0, 0)


@pytest.mark.duckdb
def test_rows_that_reappear_are_no_longer_marked_as_deleted(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account()
    sync("lists", sandbox, warehouse)
    with warehouse.connection() as connection:
        connection.execute("UPDATE klaviyo.klaviyo.lists SET _deleted_at = now()")

    report = sync("lists", sandbox, warehouse)

    assert report.row.rows_updated == report.row_count == sandbox.counts()["lists"]
    assert_equal_to_truth(sandbox, warehouse, "lists")
