"""Attributes that Klaviyo no longer sends are reported until they are back, for each way of reading."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.quality.drift import Drift, DriftKind
from klaviyo_assets.quality.inspector import inspecting
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table

pytestmark = pytest.mark.long

NewAccount = Callable[..., SandboxProcess]


def missing(warehouse: LocalFile, name: str) -> dict[str, Drift]:
    with inspecting(warehouse, CATALOG[name], "klaviyo") as inspector:
        found = inspector.drifts()
    return {one.attribute: one for one in found if one.kind is DriftKind.GONE}


def remove(sandbox: SandboxProcess, name: str, attribute: str, ids: list[str]) -> None:
    for id_ in ids:
        sandbox.change("update", type=name, id=id_, attributes={attribute: None})


def ids(warehouse: LocalFile, name: str, where: str = "true") -> list[str]:
    return [id_ for (id_,) in query(warehouse, f"SELECT id FROM {name} WHERE {where} ORDER BY id")]


@pytest.mark.parametrize("lists", [2, 40])
def test_a_type_that_is_read_in_full(lists: int, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(lists=lists)
    sync("lists", sandbox, warehouse)
    remove(sandbox, "lists", "opt_in_process", ids(warehouse, "lists"))

    for _ in range(3):
        sync("lists", sandbox, warehouse)
        found = missing(warehouse, "lists")["opt_in_process"]
        assert found.rows == lists
        assert found.expected.startswith(f"a value, as in {lists} of {lists} rows before 2")
        assert found.example_id in ids(warehouse, "lists")
        sandbox.advance(timedelta(hours=1))

    sandbox.change("update", type="lists", id=ids(warehouse, "lists")[0], attributes={"opt_in_process": "single_opt_in"})
    sync("lists", sandbox, warehouse)
    assert missing(warehouse, "lists") == {}
    assert query(warehouse, "FROM _null_rates") == []


def test_a_value_that_only_one_row_loses_is_not_reported(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(lists=5)
    sync("lists", sandbox, warehouse)
    remove(sandbox, "lists", "opt_in_process", ids(warehouse, "lists")[:1])

    sync("lists", sandbox, warehouse)

    assert missing(warehouse, "lists") == {}


def test_a_rare_value_that_all_rows_lose_at_once(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(segments=30)
    sync("segments", sandbox, warehouse)
    chosen = ids(warehouse, "segments")
    query(warehouse, "UPDATE segments SET definition = NULL")
    query(warehouse, f"UPDATE segments SET definition = '{{}}' WHERE id IN {tuple(chosen[:4])}")
    remove(sandbox, "segments", "definition", chosen)

    sync("segments", sandbox, warehouse)

    assert missing(warehouse, "segments")["definition"].rows == 4


def test_json_that_is_null_everywhere(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(campaigns=6)
    sync("campaigns", sandbox, warehouse)
    remove(sandbox, "campaigns", "send_strategy", ids(warehouse, "campaigns"))

    sync("campaigns", sandbox, warehouse)

    assert missing(warehouse, "campaigns").keys() == {"send_strategy"}


def test_a_value_of_another_type_is_not_missing(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(lists=5)
    sync("lists", sandbox, warehouse)
    for id_ in ids(warehouse, "lists"):
        sandbox.change("update", type="lists", id=id_, attributes={"opt_in_process": {"mode": "single"}})

    sync("lists", sandbox, warehouse)

    assert missing(warehouse, "lists") == {}


class TestIncrementalReads:
    """Types read by coverage: rows that have not changed keep their values."""

    def test_enough_consecutive_rows(self, new_account: NewAccount, warehouse: LocalFile) -> None:
        sandbox = new_account(profiles=150)
        sync("profiles", sandbox, warehouse)
        chosen = ids(warehouse, "profiles", "last_name IS NOT NULL")
        found = []
        for part in (chosen[:20], chosen[20:40], chosen[40:41]):
            sandbox.advance(timedelta(hours=2))
            remove(sandbox, "profiles", "last_name", part)
            sync("profiles", sandbox, warehouse)
            found.append({name: one.rows for name, one in missing(warehouse, "profiles").items()})

        assert found == [{}, {"last_name": 40}, {"last_name": 41}]
        sandbox.advance(timedelta(hours=2))
        sandbox.change("update", type="profiles", id=chosen[0], attributes={"last_name": "Back"})
        sync("profiles", sandbox, warehouse)
        assert missing(warehouse, "profiles") == {}

    def test_rows_that_never_had_a_value_do_not_count(self, new_account: NewAccount, warehouse: LocalFile) -> None:
        sandbox = new_account(profiles=150)
        sync("profiles", sandbox, warehouse)
        chosen = ids(warehouse, "profiles", "last_name IS NULL")
        for _ in range(3):
            sandbox.advance(timedelta(hours=2))
            for id_ in chosen[:15]:
                sandbox.change("update", type="profiles", id=id_, attributes={"locale": "xx"})
            sync("profiles", sandbox, warehouse)

        assert query(warehouse, "SELECT column_name FROM _null_rates WHERE column_name = 'last_name'") == []

    @pytest.mark.parametrize("name", ["profiles", "reviews"])
    def test_a_full_read(self, name: str, new_account: NewAccount, warehouse: LocalFile) -> None:
        attribute = {"profiles": "locale", "reviews": "author"}[name]
        sandbox = new_account(profiles=20, reviews=20)
        sync(name, sandbox, warehouse)
        for id_ in ids(warehouse, name):
            sandbox.change("update", type=name, id=id_, attributes={attribute: None})
        sandbox.advance(timedelta(hours=3))

        sync(name, sandbox, warehouse, SyncOptions(mode=SyncMode.full))

        assert missing(warehouse, name).keys() == {attribute}
        assert table(warehouse, name)[attribute].null_count() == table(warehouse, name).height


def test_a_sync_that_writes_no_row_leaves_the_file_unchanged(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(lists=12, profiles=40)
    for name in ("lists", "profiles"):
        sync(name, sandbox, warehouse)
        remove(sandbox, name, {"lists": "opt_in_process", "profiles": "last_name"}[name], ids(warehouse, name))
        sync(name, sandbox, warehouse)
    lines = query(warehouse, "SELECT COLUMNS(* EXCLUDE null_since) FROM _null_rates ORDER BY ALL")
    sizes = []
    for _ in range(6):
        for name in ("lists", "profiles"):
            sync(name, sandbox, warehouse)
        sizes.append(warehouse.path.stat().st_size)

    assert len(lines) >= 2
    assert query(warehouse, "SELECT COLUMNS(* EXCLUDE null_since) FROM _null_rates ORDER BY ALL") == lines
    assert len(set(sizes[2:])) == 1
