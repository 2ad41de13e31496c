"""An erasure in a schema that other programs also use: their columns, values, views and indexes stay, except the person's own names."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, small, sync
from klaviyo_assets_tests.erasure.test_erase import erase

pytestmark = [pytest.mark.duckdb, pytest.mark.long]


@pytest.fixture(scope="module")
def account() -> Iterator[SandboxProcess]:
    """A small account that does not change."""
    now = datetime.now(UTC)
    with small(events=200, profiles=80, reviews=20, base=now - timedelta(minutes=61), clock=now) as sandbox:
        yield sandbox


def test_objects_of_other_programs_in_the_schema_stay(account: SandboxProcess, warehouse: LocalFile) -> None:
    for name in ("profiles", "events"):
        sync(name, account, warehouse)
    ((id_, email),) = query(
        warehouse, "SELECT id, email FROM profiles WHERE email IS NOT NULL AND id IN (SELECT profile_id FROM events) ORDER BY id LIMIT 1"
    )
    for name in ("profiles", "events"):
        query(warehouse, f"ALTER TABLE {name} ADD COLUMN mood ENUM ('good', 'bad')")
        query(warehouse, f"ALTER TABLE {name} ADD COLUMN note VARCHAR")
        query(warehouse, f"UPDATE {name} SET mood = 'good', note = 'friend of {email}'")
        query(warehouse, f"CREATE INDEX mine_{name} ON {name} (id)")
    query(warehouse, "CREATE VIEW mine_view AS SELECT id, note, email FROM profiles")
    generated = "shout VARCHAR GENERATED ALWAYS AS (upper(name)), \"A loud\" AS (name || '!')"
    query(warehouse, f"CREATE TABLE mine (name VARCHAR UNIQUE, {generated}, twice VARCHAR NOT NULL)")
    query(warehouse, f"INSERT INTO mine (name, twice) VALUES ('{email}', '{email}'), ('another person', 'x')")
    query(warehouse, "CREATE SCHEMA other")
    query(warehouse, f"CREATE TABLE other.mine_view AS SELECT '{email}' AS note")
    ((profiles, events),) = query(
        warehouse, f"SELECT (SELECT count(*) FROM profiles), (SELECT count(*) FROM events WHERE profile_id IS DISTINCT FROM '{id_}')"
    )

    result = erase(warehouse, email)

    assert result.returncode == 0, result.stderr
    assert query(warehouse, "SELECT DISTINCT mood, note FROM profiles") == [("good", "friend of [erased]")]
    assert query(warehouse, "SELECT DISTINCT mood, note FROM events") == [("good", "friend of [erased]")]
    assert query(warehouse, "SELECT count(*) FROM mine_view") == [(profiles - 1,)]
    assert query(warehouse, "SELECT count(*) FROM events") == [(events,)]
    assert query(warehouse, "FROM mine ORDER BY name") == [
        ("[erased]", "[ERASED]", "[erased]!", "[erased]"),
        ("another person", "ANOTHER PERSON", "another person!", "x"),
    ]
    assert query(warehouse, "FROM other.mine_view") == [(email,)]  # other schemas stay unchanged
    assert {name for (name,) in query(warehouse, "SELECT index_name FROM duckdb_indexes()")} == {"mine_profiles", "mine_events"}

    assert sync("profiles", account, warehouse).row.rows_inserted == 0
    assert query(warehouse, "SELECT count(*) FROM mine_view") == [(profiles - 1,)]


def test_a_name_in_a_users_list_of_texts_is_redacted_and_its_other_texts_stay(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("profiles", account, warehouse)
    (_, email), (other, _) = query(warehouse, "SELECT id, email FROM profiles WHERE email IS NOT NULL ORDER BY id LIMIT 2")
    query(warehouse, "ALTER TABLE profiles ADD COLUMN friends VARCHAR[]")
    query(warehouse, f"UPDATE profiles SET friends = ['Bob', NULL, '{email}'] WHERE id = '{other}'")

    result = erase(warehouse, email)

    assert result.returncode == 0, result.stderr
    assert query(warehouse, "SELECT id, friends FROM profiles WHERE friends IS NOT NULL") == [(other, ["Bob", None, "[erased]"])]
