"""Loads: which version of a record counts, which rows are written and which do not change."""

from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.state.sync_log import SyncLogEntry
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query
from klaviyo_assets_tests.load.loads import NOON, Loads, after

pytestmark = pytest.mark.duckdb


@pytest.fixture
def events(warehouse: LocalFile, tmp_path: Path) -> Loads:
    return Loads(warehouse, tmp_path, "events")


@pytest.fixture
def profiles(warehouse: LocalFile, tmp_path: Path) -> Loads:
    return Loads(warehouse, tmp_path, "profiles")


def test_the_newest_version_of_duplicates_in_a_batch_counts(profiles: Loads, warehouse: LocalFile) -> None:
    older = {"id": "A", "email": "older", "updated": after(1), "_synced_at": after(9)}
    newest = {"id": "A", "email": "newest", "updated": after(2), "_synced_at": after(3)}
    reread = {"id": "A", "email": "newest", "updated": after(2), "_synced_at": after(1)}

    assert profiles([older, newest], [reread, {"id": "B"}]) == (2, 0)
    assert query(warehouse, "SELECT id, email, _synced_at FROM profiles ORDER BY id") == [("A", "newest", after(3)), ("B", None, NOON)]


def test_the_later_read_counts_if_a_type_has_no_version(events: Loads, warehouse: LocalFile) -> None:
    events([{"id": "A", "uuid": "later", "_synced_at": after(2)}, {"id": "A", "uuid": "earlier", "_synced_at": after(1)}])

    assert query(warehouse, "SELECT uuid FROM events") == [("later",)]


def test_an_older_read_does_not_replace_a_newer_one(events: Loads, warehouse: LocalFile) -> None:
    events([{"id": "A", "uuid": "newer", "_synced_at": after(2)}])

    assert events([{"id": "A", "uuid": "older", "_synced_at": after(1)}]) == (0, 0)
    assert query(warehouse, "SELECT uuid FROM events") == [("newer",)]


@pytest.mark.long
def test_an_older_version_that_is_read_later_does_not_replace_a_newer_one(profiles: Loads, warehouse: LocalFile) -> None:
    profiles([{"id": "A", "email": "newer", "updated": after(2)}])

    assert profiles([{"id": "A", "email": "older", "updated": after(1), "_synced_at": after(9)}]) == (0, 0)
    assert profiles([{"id": "A", "email": "newest", "updated": after(3), "_synced_at": after(-9)}]) == (0, 1)
    assert query(warehouse, "SELECT email FROM profiles") == [("newest",)]


@pytest.mark.long
@pytest.mark.parametrize("earlier", [None, 2], ids=["had none", "had one"])
@pytest.mark.parametrize("read_after", [-1, 1], ids=["read before", "read after"])
def test_the_later_read_counts_if_a_row_has_no_version(earlier: int | None, read_after: int, profiles: Loads, warehouse: LocalFile) -> None:
    versions = (after(2), None) if earlier else (None, after(2))
    profiles([{"id": "A", "email": "before", "updated": versions[0]}])

    profiles([{"id": "A", "email": "now", "updated": versions[1], "_synced_at": after(read_after)}])

    assert query(warehouse, "SELECT email FROM profiles") == [("now" if read_after > 0 else "before",)]


@pytest.mark.parametrize("first", [None, 2], ids=["first had none", "first had one"])
@pytest.mark.parametrize("later", [0, 1], ids=["the first", "the second"])
@pytest.mark.parametrize("missing", [None, 9_999], ids=["missing", "in the future"])
def test_the_later_read_of_a_batch_counts_if_a_row_has_no_version(
    first: int | None, later: int, missing: int | None, profiles: Loads, warehouse: LocalFile
) -> None:
    without = None if missing is None else after(missing)
    versions = (after(-2), without) if first else (without, after(-2))

    profiles([{"id": "A", "email": str(at), "updated": versions[at], "_synced_at": after(1 + (at == later))} for at in (0, 1)])

    assert query(warehouse, "SELECT email FROM profiles") == [(str(later),)]


@pytest.mark.parametrize("updated", [-5, 0, 5], ids=["earlier", "the same", "later"])
def test_the_later_read_of_a_batch_counts_for_full_table_types(updated: int, warehouse: LocalFile, tmp_path: Path) -> None:
    flows = Loads(warehouse, tmp_path, "flows")
    flows([{"id": "A", "name": "before", "updated": NOON}, {"id": "A", "name": "now", "updated": after(updated), "_synced_at": after(1)}])

    assert query(warehouse, "SELECT name FROM flows") == [("now",)]


@pytest.mark.parametrize("updated", [None, -5, 0, 5], ids=["missing", "earlier", "the same", "later"])
def test_the_later_read_counts_for_full_table_types(updated: int | None, warehouse: LocalFile, tmp_path: Path) -> None:
    flows = Loads(warehouse, tmp_path, "flows")
    flows([{"id": "A", "name": "before", "updated": NOON}])

    assert flows([{"id": "A", "name": "now", "updated": None if updated is None else after(updated), "_synced_at": after(1)}]) == (0, 1)
    assert query(warehouse, "SELECT name FROM flows") == [("now",)]


@pytest.mark.long
@pytest.mark.parametrize(("read_after", "marked"), [(1, True), (3, False)], ids=["read before it was marked", "read after"])
def test_a_record_that_reappears_with_an_older_version_is_unmarked(read_after: int, marked: bool, profiles: Loads, warehouse: LocalFile) -> None:
    profiles([{"id": "A", "updated": after(0)}])
    query(warehouse, f"UPDATE profiles SET _deleted_at = '{after(2).isoformat()}'")

    profiles([{"id": "A", "updated": after(-9), "_synced_at": after(read_after)}])

    assert query(warehouse, "SELECT _deleted_at IS NOT NULL FROM profiles") == [(marked,)]


def test_the_same_content_is_not_written_again(events: Loads, warehouse: LocalFile) -> None:
    rows = [{"id": str(number), "event_properties": f'{{"n": {number}}}'} for number in range(10)]
    events(rows)

    assert events([row | {"_synced_at": after(1)} for row in rows]) == (0, 0)
    assert query(warehouse, "SELECT DISTINCT _synced_at FROM events") == [(NOON,)]


def test_json_is_compared_as_text(events: Loads, warehouse: LocalFile) -> None:
    events([{"id": "A", "event_properties": '{"n": 1.0}'}, {"id": "B", "event_properties": '{"n": 1}'}])

    assert events([{"id": "A", "event_properties": '{"n": 1.00}'}, {"id": "B", "event_properties": '{"n": 1}'}]) == (0, 1)
    assert query(warehouse, "SELECT event_properties::VARCHAR FROM events WHERE id = 'A'") == [('{"n": 1.00}',)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"first_name": "Ada", "last_name": "Byron"}, {"first_name": "Byron", "last_name": "Ada"}),
        ({"first_name": "Ada", "last_name": None}, {"first_name": None, "last_name": "Ada"}),
        ({"first_name": None}, {"first_name": ""}),
        ({"first_name": ""}, {"first_name": None}),
        ({"first_name": "Ada", "last_name": "Ada"}, {"first_name": "Eve", "last_name": "Eve"}),
        ({"properties": "{}"}, {"properties": None}),
        ({"properties": '{"a": 1, "b": 2}'}, {"properties": '{"b": 2, "a": 1}'}),
    ],
)
def test_every_kind_of_change_is_detected(profiles: Loads, warehouse: LocalFile, before: dict[str, Any], now: dict[str, Any]) -> None:
    profiles([{"id": "A", **before}])

    assert profiles([{"id": "A", **now, "_synced_at": after(1)}]) == (0, 1)
    assert query(warehouse, f"SELECT {', '.join(f'{name}::VARCHAR' for name in now)} FROM profiles") == [tuple(now.values())]


def test_new_changed_and_same_rows_in_one_batch(events: Loads, warehouse: LocalFile) -> None:
    events([{"id": "same", "uuid": "1"}, {"id": "changed", "uuid": "1"}, {"id": "other", "uuid": "1"}])

    batch = [{"id": "same", "uuid": "1"}, {"id": "changed", "uuid": "2"}, {"id": "new", "uuid": "2"}, {"id": "new", "uuid": "2"}]
    assert events([row | {"_synced_at": after(1)} for row in batch]) == (1, 1)
    assert query(warehouse, "SELECT id, uuid FROM events ORDER BY id") == [("changed", "2"), ("new", "2"), ("other", "1"), ("same", "1")]


def test_a_row_that_reappears_is_no_longer_marked(events: Loads, warehouse: LocalFile) -> None:
    events([{"id": "A", "uuid": "1"}])
    query(warehouse, "UPDATE events SET _deleted_at = now()")

    assert events([{"id": "A", "uuid": "1", "_synced_at": after(1)}]) == (0, 1)
    assert query(warehouse, "SELECT _deleted_at, _synced_at FROM events") == [(None, after(1))]


def test_a_failed_load_counts_nothing(events: Loads, warehouse: LocalFile, tmp_path: Path) -> None:
    loader = Loader(warehouse, CATALOG["events"], "klaviyo")
    (tmp_path / "damaged.parquet").write_bytes(b"no Parquet")

    with pytest.raises(Exception, match=r"damaged\.parquet"):
        loader.load(Batch(files=(tmp_path / "damaged.parquet",), covered=()), events.row)
    assert vars(loader.progress.counts) == {"inserted": 0, "updated": 0, "deleted": 0}


@pytest.mark.long
def test_many_updates_do_not_bloat_the_file(profiles: Loads, warehouse: LocalFile) -> None:
    def versions(updated: int, step: int) -> list[dict[str, Any]]:
        return [
            {"id": str(n), "email": f"{n * 7919 % 10007}@{updated}.example", "updated": after(updated), "_synced_at": after(updated)}
            for n in range(0, 20_000, step)
        ]

    profiles(versions(0, 1))
    sizes = []
    for number in range(1, 25):
        assert profiles(versions(number, 5)) == (0, 4_000)
        sizes.append(warehouse.path.stat().st_size)

    assert max(sizes[12:]) <= max(sizes[:12])


def test_only_the_end_of_a_sync_looks_for_deleted_rows_to_free(warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a query of each table's storage, which was most of the time of an idle sync in a database with all tables."""
    looked = []
    monkeypatch.setattr("klaviyo_assets.warehouse.vacuum.is_due", lambda _: looked.append(1))
    row, loader = SyncLogEntry("a-sync", "lists", "unknown", "full", NOON, None), Loader(warehouse, CATALOG["lists"], "klaviyo")

    loader.begin(row)
    assert looked == []

    loader.end(row, NOON)
    assert looked == [1]
