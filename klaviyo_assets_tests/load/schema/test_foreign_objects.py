"""Objects of other programs in the schema: columns, values, views and indexes are kept; objects that break a sync are rejected by name."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.errors import NotOurs
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.privacy.apply import rule_sets_for
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, small, sync, table, truth

pytestmark = [pytest.mark.duckdb, pytest.mark.long]

NewAccount = Callable[..., SandboxProcess]


@pytest.fixture(scope="module")
def account() -> Iterator[SandboxProcess]:
    """A small read-only account."""
    now = datetime.now(UTC)
    with small(events=200, profiles=80, reviews=60, base=now - timedelta(minutes=61), clock=now) as sandbox:
        yield sandbox


COLUMNS = {
    "text": ("note VARCHAR", "'note of ' || id"),
    "with a default": ("Score INTEGER DEFAULT 7", "length(id)"),
    "nested": ('"my tags" STRUCT(a INTEGER, b VARCHAR[])', "{'a': 1, 'b': [id]}"),
    "enum": ("mood ENUM ('good', 'bad')", "'bad'"),
    "interval": ("age INTERVAL", "INTERVAL 3 DAY"),
}
"""Declaration of a column and its values."""

CHANGES = {"profiles": {"title": "new"}, "lists": {"name": "new"}, "reviews": {"content": "new"}}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("name", ["profiles", "lists"])
def test_a_users_column_its_values_views_and_indexes_survive(name: str, column: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(events=100, profiles=60, reviews=40)
    declaration, value = COLUMNS[column]
    column_name = declaration.partition(" STRUCT")[0] if "STRUCT" in declaration else declaration.split()[0]
    sync(name, sandbox, warehouse)
    query(warehouse, f"ALTER TABLE {name} ADD COLUMN {declaration}")
    query(warehouse, f"UPDATE {name} SET {column_name} = {value}")
    query(warehouse, f"COMMENT ON COLUMN {name}.{column_name} IS 'mine'")
    query(warehouse, f"CREATE INDEX mine ON {name} (id)")
    query(warehouse, f"CREATE VIEW mine_view AS SELECT id, {column_name} AS column_name FROM {name}")
    ours = ", ".join(f'"{one}"' for one in truth(sandbox, name).columns)
    query(warehouse, f"CREATE VIEW without_users AS SELECT {ours} FROM {name} WHERE _deleted_at IS NULL")
    before = query(warehouse, "FROM mine_view ORDER BY id")
    id_ = before[0][0]
    sandbox.advance(timedelta(days=2))
    sandbox.change("update", type=name, id=id_, attributes=CHANGES[name])
    sandbox.advance(timedelta(days=2))

    for mode in (SyncMode.incremental, SyncMode.full, SyncMode.incremental):
        sync(name, sandbox, warehouse, SyncOptions(mode))
        after = dict(query(warehouse, "FROM mine_view"))
        assert {id_: after[id_] for id_, _ in before} == dict(before)
        with warehouse.connection() as connection:
            assert_frame_equal(connection.sql("FROM klaviyo.klaviyo.without_users").pl().sort("id"), truth(sandbox, name))
    assert query(warehouse, "SELECT table_name FROM duckdb_columns() WHERE comment = 'mine'") == [(name,)]
    assert query(warehouse, "SELECT table_name FROM duckdb_indexes() WHERE index_name = 'mine'") == [(name,)]


def test_a_users_index_survives_a_full_sync_of_a_table_without_a_users_column(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(events=0, profiles=20)
    sync("profiles", sandbox, warehouse)
    query(warehouse, "CREATE INDEX mine ON profiles (id)")
    (gone, *_), (new,) = truth(sandbox, "profiles")["id"].to_list(), sandbox.change("add", type="profiles")
    sandbox.change("delete", type="profiles", id=gone)

    report = sync("profiles", sandbox, warehouse, SyncOptions(SyncMode.full))

    assert (report.row.rows_inserted, report.row.rows_deleted) == (1, 1)
    assert_frame_equal(table(warehouse, "profiles"), truth(sandbox, "profiles"))
    assert table(warehouse, "profiles", deleted=True)["id"].to_list() == [gone]
    assert query(warehouse, "SELECT table_name FROM duckdb_indexes() WHERE index_name = 'mine'") == [("profiles",)]
    assert query(warehouse, f"SELECT id FROM profiles WHERE id = '{new}'") == [(new,)]


def test_new_rows_get_the_default_of_a_users_column(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("profiles", account, warehouse)
    query(warehouse, "ALTER TABLE profiles ADD COLUMN score INTEGER DEFAULT 7")
    query(warehouse, "UPDATE profiles SET score = 1")
    query(warehouse, "DELETE FROM profiles WHERE id = (SELECT min(id) FROM profiles)")

    sync("profiles", account, warehouse, SyncOptions(SyncMode.full))

    assert query(warehouse, "SELECT score, count(*) FROM profiles GROUP BY ALL ORDER BY ALL") == [(1, 79), (7, 1)]


FOREIGN = {
    "table": ("CREATE TABLE {0} (id VARCHAR, payload JSON)", "was not made by klaviyo_assets"),
    "table without id": ("CREATE TABLE {0} (_synced_at TIMESTAMP)", "was not made by klaviyo_assets"),
    "view": ("CREATE VIEW {0} AS SELECT 1 AS id", "is a view of another program"),
    "view like ours": ("CREATE VIEW {0} AS SELECT '1' AS id, now() AS _synced_at", "is a view of another program"),
}
NAMES = ["PROFILES", "_profiles_rebuilt", "_Syncs", "_layout", "_erased"]


@pytest.mark.parametrize(("kind", "name"), [*((kind, "PROFILES") for kind in FOREIGN), *(("table", name) for name in NAMES[1:])])
def test_a_table_or_view_of_another_program_is_rejected_by_name(kind: str, name: str, account: SandboxProcess, warehouse: LocalFile) -> None:
    statement, message = FOREIGN[kind]
    with warehouse.connection() as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS klaviyo.klaviyo")
    query(warehouse, statement.format(name))
    before = query(warehouse, "SELECT sql FROM duckdb_tables() UNION ALL SELECT sql FROM duckdb_views() WHERE NOT internal")

    with pytest.raises(NotOurs) as caught:
        sync("profiles", account, warehouse)

    assert f"klaviyo.{name} " in caught.value.summary
    assert message in caught.value.summary
    assert query(warehouse, "SELECT sql FROM duckdb_tables() UNION ALL SELECT sql FROM duckdb_views() WHERE NOT internal") == before


CONSTRAINTS = {
    "not null": ("ALTER TABLE profiles ALTER COLUMN id SET NOT NULL", "NOT NULL of id"),
    "primary key": ("ALTER TABLE profiles ADD PRIMARY KEY (id)", "PRIMARY KEY(id)"),
    "unique index": ("CREATE UNIQUE INDEX one_each ON profiles (id)", "one_each"),
    "rowid": ("ALTER TABLE profiles ADD COLUMN rowid BIGINT", "column rowid"),
    "check": ("CHECK (id <> '')", "CHECK((id != ''))"),
    "unique": ("UNIQUE (id)", "UNIQUE(id)"),
    "generated column": ("twice VARCHAR AS (id || id)", "generated column"),
}


@pytest.mark.parametrize("kind", CONSTRAINTS)
def test_a_constraint_is_rejected_by_name_and_the_advice_removes_it(kind: str, account: SandboxProcess, warehouse: LocalFile) -> None:
    statement, message = CONSTRAINTS[kind]
    sync("profiles", account, warehouse)
    if "profiles" in statement:
        query(warehouse, statement)
    else:
        ((sql,),) = query(warehouse, "SELECT sql FROM duckdb_tables() WHERE table_name = 'profiles'")
        query(warehouse, "ALTER TABLE profiles RENAME TO before")
        query(warehouse, sql.removesuffix(");").replace("klaviyo.profiles", "profiles") + f", {statement});")
        query(warehouse, "INSERT INTO profiles BY NAME FROM before")

    with pytest.raises(NotOurs) as caught:
        sync("profiles", account, warehouse, SyncOptions(SyncMode.full))

    assert message in caught.value.summary
    advice = caught.value.advice
    start = min(advice.index(word) for word in ("ALTER TABLE", "CREATE OR REPLACE", "DROP INDEX") if word in advice)
    query(warehouse, advice[start:].partition(";")[0].removesuffix("."))
    sync("profiles", account, warehouse, SyncOptions(SyncMode.full))
    expected = truth(account, "profiles")
    assert_frame_equal(table(warehouse, "profiles").select(expected.columns), expected)


def test_an_index_that_prevents_a_type_change_is_named(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("profiles", account, warehouse)
    query(warehouse, "ALTER TABLE profiles ALTER created SET DATA TYPE VARCHAR")
    query(warehouse, "CREATE INDEX mine ON profiles (created)")

    with pytest.raises(NotOurs, match=r"index mine on klaviyo\.profiles"):
        sync("profiles", account, warehouse)


def test_a_field_rule_keeps_a_users_values(account: SandboxProcess, warehouse: LocalFile) -> None:
    row = sync("profiles", account, warehouse).row
    query(warehouse, "ALTER TABLE profiles ADD COLUMN age INTERVAL")
    query(warehouse, "UPDATE profiles SET age = to_days(length(email)::INTEGER)")
    before = query(warehouse, "SELECT id, age FROM profiles ORDER BY id")
    loader = Loader(warehouse, CATALOG["profiles"], "klaviyo")
    field_rules = rule_sets_for({"profiles": {"email": "drop"}})["profiles"]

    assert loader.apply_rules(field_rules, str, row)[1] > 0

    assert query(warehouse, "SELECT id, age FROM profiles ORDER BY id") == before
    assert query(warehouse, "SELECT count(email) FROM profiles") == [(0,)]
