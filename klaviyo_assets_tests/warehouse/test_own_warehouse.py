"""A user's own warehouse without the capabilities of a DuckDB file: no row numbers, no changes of a column's type, no compaction."""

import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import dagster as dg
import pytest

import klaviyo_assets
from klaviyo_assets import CATALOG, KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.erasure.erase import DataSubject, Erasure
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.privacy.apply import rule_sets_for
from klaviyo_assets.quality.inspector import inspecting
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse.factory import warehouse_from
from klaviyo_assets.warehouse.interface import Capabilities, Warehouse
from klaviyo_assets_tests.accounts import query, sync, table, truth
from klaviyo_assets_tests.load.loads import Loads
from klaviyo_assets_tests.load.rewrites.test_reapply_rules import sync_with_rules
from klaviyo_assets_tests.warehouse.attached import AttachedDatabase

pytestmark = pytest.mark.long

NewAccount = Callable[..., SandboxProcess]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return AttachedDatabase(tmp_path)


def assert_matches(sandbox: SandboxProcess, warehouse: Warehouse, name: str) -> None:
    expected = truth(sandbox, name)
    assert table(warehouse, name).select(expected.columns).equals(expected)


@pytest.mark.parametrize("name", ["lists", "profiles", "reviews"])
def test_each_kind_of_sync_works(name: str, new_account: NewAccount, warehouse: Warehouse) -> None:
    sandbox = new_account(profiles=300, reviews=120)
    sync(name, sandbox, warehouse)
    assert_matches(sandbox, warehouse, name)

    gone = truth(sandbox, name)["id"][0]
    sandbox.change("add", type=name, attributes={})
    sandbox.change("delete", type=name, id=gone)
    assert sync(name, sandbox, warehouse).row.rows_inserted == 1
    assert sync(name, sandbox, warehouse, SyncOptions(mode=SyncMode.full)).row.outcome == "succeeded"

    assert_matches(sandbox, warehouse, name)
    assert query(warehouse, f"SELECT id FROM {name} WHERE _deleted_at IS NOT NULL") == [(gone,)]
    with inspecting(warehouse, CATALOG[name], "klaviyo") as inspector:
        assert inspector.primary_key().duplicates == []
        assert inspector.drifts() == []


@pytest.mark.parametrize(
    ("type_", "column", "extra"),
    [(ColumnType.JSON, '{"en":"Sale"}', None), (ColumnType.INTEGER, None, {"name": {"en": "Sale"}})],
    ids=["fits", "does not fit"],
)
def test_a_column_gets_another_type(type_: ColumnType, column: str | None, extra: object, new_account: NewAccount, warehouse: Warehouse) -> None:
    sandbox = new_account(segments=4)
    (id_,) = sandbox.change("add", type="segments", attributes={"name": {"en": "Sale"}})
    sync("segments", sandbox, warehouse)
    query(warehouse, "ALTER TABLE segments ADD COLUMN note VARCHAR")
    query(warehouse, "UPDATE segments SET note = id")
    entry = CATALOG["segments"]
    entry = replace(entry, columns=tuple(replace(one, type=type_) if one.name == "name" else one for one in entry.columns))
    names = query(warehouse, "SELECT id, name FROM segments WHERE name IS NOT NULL")

    for _ in range(2):  # the second time there is nothing to do
        with warehouse.transaction() as connection:
            Tables(warehouse, "klaviyo", entry).prepare(connection)

    ((kept, rest),) = query(warehouse, f"SELECT name::VARCHAR, _extra FROM segments WHERE id = '{id_}'")
    assert (kept, rest and json.loads(rest)) == (column, extra)
    if type_ is ColumnType.INTEGER:
        assert len(query(warehouse, "SELECT 1 FROM segments WHERE name IS NULL AND _extra IS NOT NULL")) == len(names) + 1
    assert query(warehouse, "SELECT count(*) FROM segments WHERE note IS DISTINCT FROM id") == [(0,)]
    described = query(warehouse, "SELECT comment FROM duckdb_columns() WHERE table_name = 'segments' AND column_name IN ('id', 'name')")
    assert all(comment for (comment,) in described)


def test_a_new_column_is_filled_from_extra(new_account: NewAccount, warehouse: Warehouse) -> None:
    sandbox = new_account(profiles=60)
    entry = CATALOG["profiles"]
    sync(replace(entry, columns=tuple(one for one in entry.columns if one.name != "first_name")), sandbox, warehouse)

    sync("profiles", sandbox, warehouse, SyncOptions(accept_changed_options=True))

    assert_matches(sandbox, warehouse, "profiles")


def test_a_field_rule_is_applied_to_stored_rows(new_account: NewAccount, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_FIELD_SALT", "a secret of the tests, long enough")
    sandbox = new_account(profiles=60)
    sync("profiles", sandbox, warehouse)
    query(warehouse, "ALTER TABLE profiles ADD COLUMN note VARCHAR")
    query(warehouse, "UPDATE profiles SET note = id")
    count = query(warehouse, "SELECT count(*) FROM profiles")

    report = sync_with_rules("profiles", sandbox, warehouse, {"profiles": {"email": "hash", "first_name": "drop"}})

    assert sum("older snapshots" in note for note in report.notes) == 1, report.notes
    assert query(warehouse, "SELECT count(*) FROM profiles WHERE note = id") == count
    assert query(warehouse, "SELECT count(*) FROM profiles WHERE first_name IS NOT NULL OR email LIKE '%@%'") == [(0,)]
    assert query(warehouse, "SELECT count(*) > 10 FROM profiles WHERE email IS NOT NULL") == [(True,)]


def test_erasing_a_person_reports_what_the_warehouse_keeps(new_account: NewAccount, warehouse: Warehouse) -> None:
    sandbox = new_account(profiles=60)
    sync("profiles", sandbox, warehouse)
    ((id_, email),) = query(warehouse, "SELECT id, email FROM profiles WHERE email IS NOT NULL ORDER BY id LIMIT 1")

    erased = Erasure(warehouse, "klaviyo").run(DataSubject.named(email))

    assert any("older snapshots" in note for note in erased.notes)
    assert query(warehouse, f"SELECT count(*) FROM profiles WHERE id = '{id_}' OR contains(properties::VARCHAR, '{email}')") == [(0,)]


class OwnDatabase(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A user's resource."""

    folder: str

    def warehouse(self) -> Warehouse:
        return AttachedDatabase(Path(self.folder))


def test_a_resource_with_its_own_warehouse_works_in_dagster(new_account: NewAccount, tmp_path: Path) -> None:
    sandbox = new_account(lists=5)
    klaviyo = KlaviyoResource(api_key=ALL_SCOPES_KEY, base_url=sandbox.base_url, rate_limit_share=1.0, max_retries=1)
    own = OwnDatabase(folder=str(tmp_path))
    lists = dg.AssetKey(["klaviyo", "lists"])

    @dg.asset(ins={"lists": dg.AssetIn(lists)})
    def number_of_lists(lists) -> int:  # type: ignore[no-untyped-def]
        return len(lists)

    defs = dg.Definitions.merge(
        dg.Definitions(assets=[number_of_lists], jobs=[dg.define_asset_job("all", [lists, dg.AssetKey("number_of_lists")])]),
        build_klaviyo_definitions(klaviyo, duckdb=own, executor=dg.in_process_executor),
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("all").execute_in_process(instance=instance)

    assert result.success
    assert result.output_for_node("number_of_lists") == 5
    assert query(warehouse_from(own), "SELECT count(*) FROM lists") == [(5,)]


def test_a_warehouse_is_returned_unchanged(warehouse: Warehouse) -> None:
    assert warehouse_from(warehouse) is warehouse


@pytest.mark.parametrize("name", [one.name for one in fields(Capabilities)])
def test_every_capability_is_used(name: str) -> None:
    """A capability that no code reads would have no effect."""
    use = re.compile(rf"capabilities\.{name}\b")
    assert [path.name for path in Path(klaviyo_assets.__file__).parent.rglob("*.py") if use.search(path.read_text())]


def test_compaction_is_not_requested_from_a_warehouse_without_it(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("request_compaction", "compact_if_requested"):
        monkeypatch.setattr(type(warehouse), name, None, raising=False)
    lists = Loads(warehouse, tmp_path, "lists")
    lists([{"id": "A", "name": "ann@example.com"}])
    loader = Loader(warehouse, lists.entry, "klaviyo")

    assert loader.apply_rules(rule_sets_for({"lists": {"name": "drop"}})["lists"], str, lists.row) == (True, 1)
    Erasure(warehouse, "klaviyo").run(DataSubject.named("ann@example.com"))


@pytest.mark.parametrize("source", [7, None])
def test_other_objects_are_refused_as_warehouse(source: object) -> None:
    with pytest.raises(TypeError, match="A warehouse is a path"):
        warehouse_from(source)
