"""Volatile values differ at each read although nothing has changed: they are stored, but a row is not rewritten because of them alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from klaviyo_assets.catalog import CATALOG, CatalogError
from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id
from klaviyo_assets.catalog.endpoint import RANGE
from klaviyo_assets.catalog.replication import FullTable, Incremental
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.lists import LISTS
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.warehouse import Warehouse
from klaviyo_assets_tests.accounts import local_file, query
from klaviyo_assets_tests.load.loads import NOON, Loads, after
from klaviyo_assets_tests.warehouse.attached import AttachedDatabase

pytestmark = pytest.mark.duckdb

PICTURES = replace(
    LISTS,
    name="pictures",
    jsonapi_type="picture",
    columns=(
        record_id("Id."),
        attribute("name", ColumnType.STRING, "Name."),
        attribute("screenshot_url", ColumnType.STRING, "A presigned URL.", volatile=True),
        attribute("seen", ColumnType.TIMESTAMP, "When it was requested.", volatile=True),
    ),
    replication=FullTable(),
    version_column=None,
    unmapped=(),
)
VERSIONED = replace(
    PICTURES,
    columns=(*PICTURES.columns, attribute("updated", ColumnType.TIMESTAMP, "When it was changed.")),
    endpoint=replace(LISTS.endpoint, filters={"updated": RANGE}, sorts=("updated",)),
    replication=Incremental("updated", lookback_ages=()),
    version_column="updated",
)
EVERYTHING = "SELECT id, name, screenshot_url, seen, _synced_at FROM pictures ORDER BY id"


@pytest.fixture(params=["file", "no row numbers"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    return local_file(tmp_path) if request.param == "file" else AttachedDatabase(tmp_path)


@pytest.mark.parametrize("entry", [PICTURES, replace(VERSIONED, version_column=None), VERSIONED], ids=["complete", "no version", "version"])
def test_a_row_with_only_other_volatile_values_is_not_rewritten(entry: ResourceType, warehouse: Warehouse, tmp_path: Path) -> None:
    load = Loads(warehouse, tmp_path, entry)
    load([{"id": "A", "name": "a", "screenshot_url": "?at=1", "seen": after(1)}, {"id": "B", "name": "b", "screenshot_url": None, "seen": None}])
    before = query(warehouse, EVERYTHING)

    later = {"screenshot_url": "?at=2", "seen": after(2), "_synced_at": after(2)}
    assert load([{"id": "A", "name": "a", **later}, {"id": "B", "name": "b", **later}]) == (0, 0)
    assert query(warehouse, EVERYTHING) == before == [("A", "a", "?at=1", after(1), NOON), ("B", "b", None, None, NOON)]


def test_a_changed_row_gets_its_latest_volatile_values(warehouse: Warehouse, tmp_path: Path) -> None:
    load = Loads(warehouse, tmp_path, PICTURES)
    load([{"id": "A", "name": "a", "screenshot_url": "?at=1"}, {"id": "B", "name": "b", "screenshot_url": "?at=1"}])

    later = {"screenshot_url": "?at=2", "_synced_at": after(2)}
    assert load([{"id": "A", "name": "changed", **later}, {"id": "B", "name": "b", **later}]) == (0, 1)
    assert query(warehouse, EVERYTHING) == [("A", "changed", "?at=2", None, after(2)), ("B", "b", "?at=1", None, NOON)]


def test_of_two_reads_of_a_record_the_later_is_stored(warehouse: Warehouse, tmp_path: Path) -> None:
    load = Loads(warehouse, tmp_path, PICTURES)
    earlier = {"id": "A", "name": "a", "screenshot_url": "?at=1", "_synced_at": after(1)}

    assert load([{**earlier, "screenshot_url": "?at=2", "_synced_at": after(2)}], [earlier]) == (1, 0)
    assert query(warehouse, EVERYTHING) == [("A", "a", "?at=2", None, after(2))]
    assert load([{**earlier, "screenshot_url": "?at=3", "_synced_at": after(3)}], [earlier]) == (0, 0)
    assert query(warehouse, EVERYTHING) == [("A", "a", "?at=2", None, after(2))]


def test_a_full_read_counts_no_change(warehouse: Warehouse, tmp_path: Path) -> None:
    load = Loads(warehouse, tmp_path, VERSIONED)
    load([{"id": name, "name": name, "screenshot_url": "?at=1"} for name in "AB"])
    loader = Loader(warehouse, VERSIONED, "klaviyo")
    loader.create_rebuilt()

    later = {"screenshot_url": "?at=2", "_synced_at": after(2)}
    files = load.staged([{"id": "A", "name": "A", **later}, {"id": "B", "name": "changed", **later}])
    loader.load(Batch(files=files, covered=()), load.row, rebuilt=True)
    loader.swap(load.row, [], None, after(9))

    assert vars(loader.progress.counts) == {"inserted": 0, "updated": 1, "deleted": 0}
    assert query(warehouse, "SELECT id, _synced_at FROM pictures ORDER BY id") == [("A", NOON), ("B", after(2))]


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": (replace(VERSIONED.columns[0], volatile=True), *VERSIONED.columns[1:])},
        {"version_column": "seen"},
        {"columns": (*VERSIONED.columns[:-1], replace(VERSIONED.columns[-1], volatile=True)), "version_column": None},
    ],
    ids=["primary key", "version", "cursor"],
)
def test_rows_cannot_be_identified_or_ordered_by_a_volatile_value(changes: dict[str, object]) -> None:
    with pytest.raises(CatalogError, match=r"'pictures' cannot be used: the column \w+ is volatile, but rows are identified, ordered or read"):
        CATALOG.with_(replace(VERSIONED, **changes))  # type: ignore[arg-type]
