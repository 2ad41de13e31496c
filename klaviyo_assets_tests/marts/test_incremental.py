"""Incremental models equal their complete build, whatever happens to the events."""

import random
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.marts.library import Models
from klaviyo_assets.marts.results import ModelResult, Outcome
from klaviyo_assets.marts.stores import BuiltModels
from klaviyo_assets_tests.marts.folders import own_models, write_model
from klaviyo_assets_tests.marts.stored import START, KeptOpen, StoredAccount

pytestmark = pytest.mark.duckdb

PROFILES = 40
"""Enough for an update: a change of most groups is a complete build."""


def write_models(folder: Path, factor: int = 1) -> Models:
    """Write models of each scope, one on top of another, and one that reads a small table."""
    by_profile = "-- incremental: profile_id\n-- column profile_id: Profile.\n"
    write_model(folder, "names", "SELECT id, name FROM metrics", key="id")
    write_model(
        folder,
        "per_profile",
        f"SELECT profile_id, count(*) * {factor} AS events, max(datetime) AS latest, string_agg(uuid, ',' ORDER BY id) AS texts\n"
        "FROM live_events GROUP BY profile_id",
        key="profile_id",
        header=by_profile,
    )
    write_model(
        folder,
        "numbered",
        "SELECT e.id, e.profile_id, n.name, row_number() OVER (PARTITION BY e.profile_id ORDER BY e.datetime, e.id) AS number\n"
        "FROM live_events AS e LEFT JOIN names AS n ON n.id = e.metric_id",
        key="id",
        header=by_profile,
    )
    write_model(
        folder,
        "firsts",
        "SELECT n.profile_id, n.id, p.events FROM numbered AS n JOIN per_profile AS p ON p.profile_id IS NOT DISTINCT FROM n.profile_id\n"
        "WHERE n.number = 1",
        key="profile_id",
        header=by_profile,
    )
    write_model(
        folder,
        "per_day",
        "SELECT day, metric_id, count(*) AS events, count(DISTINCT profile_id) AS profiles FROM live_events GROUP BY ALL",
        key="day, metric_id",
        header="-- incremental: day\n-- column day: Day.\n",
    )
    return own_models(folder)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    warehouse = KeptOpen(folder / "shop.duckdb")
    account = StoredAccount(warehouse, "accounts", "metrics")
    account.sync({"metrics": [{"id": "m0", "name": "Zero"}, {"id": "m1", "name": "One"}]})
    account.sync({"events": [event(f"{number:03}", number % PROFILES, days=number % 30) for number in range(3 * PROFILES)]})
    account.build(write_models(folder / "m"))
    warehouse.close()
    return folder


@pytest.fixture
def account(prepared: Path, tmp_path: Path) -> StoredAccount:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    found = StoredAccount(KeptOpen(tmp_path / "shop.duckdb"))
    found.now = START + timedelta(hours=1)
    return found


@pytest.fixture
def models(account: StoredAccount, tmp_path: Path) -> Models:
    return own_models(tmp_path / "m")


def event(id_: str, profile: int | None, *, days: float = 0, **changes: Any) -> dict[str, Any]:
    """An event some days ago, or in the future if the number is negative."""
    at = START - timedelta(days=days)
    owner = None if profile is None else f"p{profile}"
    return {"id": id_, "profile_id": owner, "metric_id": f"m{int(id_[-1], 16) % 2}", "datetime": at, "uuid": f"text of {id_}", **changes}


def equal(account: StoredAccount, models: Models) -> dict[str, ModelResult]:
    """Build the models; every table equals what its statement returns over all rows."""
    results = account.build(models)
    for name, (built, computed) in account.built_and_computed(models).items():
        assert built == computed, f"{name} was {results[name].outcome}"
    return results


def outcomes(results: dict[str, ModelResult]) -> set[Outcome]:
    return {result.outcome for name, result in results.items() if name != "names"}


@pytest.mark.long
def test_nothing_new_changes_nothing(account: StoredAccount, models: Models) -> None:
    assert outcomes(equal(account, models)) == {Outcome.UNCHANGED}


@pytest.mark.long
def test_new_events_update_their_profiles_and_days(account: StoredAccount, models: Models) -> None:
    account.sync({"events": [event("new1", 3), event("new2", PROFILES + 1, days=2), event("new3", None)]})
    results = equal(account, models)

    assert outcomes(results) == {Outcome.UPDATED}
    assert (results["per_profile"].groups, results["per_day"].groups) == (3, 2)


def test_a_merge_changes_both_profiles(account: StoredAccount, models: Models) -> None:
    """The event is read again with its new profile; nothing says which one it had."""
    account.sync({"events": [event("003", 4, days=3)]})
    results = equal(account, models)

    assert results["per_profile"].groups == 2
    assert results["per_day"].outcome is Outcome.UPDATED


def test_rows_that_are_marked_or_gone_leave(account: StoredAccount, models: Models) -> None:
    account.execute("UPDATE events SET _deleted_at = _synced_at WHERE id = '005'")
    account.execute("DELETE FROM events WHERE profile_id = 'p7'")
    assert outcomes(equal(account, models)) == {Outcome.UPDATED}

    account.execute("UPDATE events SET _deleted_at = NULL WHERE id = '005'")
    assert outcomes(equal(account, models)) == {Outcome.UPDATED}


def test_a_future_event_counts_from_its_time_on(account: StoredAccount, models: Models) -> None:
    account.sync({"events": [event("later0", 5, days=-2)]})
    # The sync has read an event of p5, which changes none of its rows yet.
    before = equal(account, models)
    account.now += timedelta(days=3)
    after = equal(account, models)

    assert before["per_profile"].groups <= 1
    assert (after["per_profile"].outcome, after["per_profile"].groups) == (Outcome.UPDATED, 1)
    assert (after["per_day"].outcome, after["per_day"].groups) == (Outcome.UPDATED, 1)


def test_rows_that_an_interrupted_sync_had_read_are_found(account: StoredAccount, models: Models) -> None:
    """A failed sync has staged rows; the next one loads them with the time at which they were read."""
    account.sync({"events": []}, outcome="failed")
    read = account.now
    equal(account, models)
    account.now += timedelta(hours=1)
    account.sync({"events": [event("008", 8, days=8, uuid="changed")]}, read=read)

    assert equal(account, models)["per_profile"].groups == 1


@pytest.mark.long
def test_rows_of_a_running_sync_are_found_before_and_after_its_end(account: StoredAccount, models: Models) -> None:
    account.sync({"events": [event("009", 9, days=9, uuid="changed")]}, outcome="running")
    assert equal(account, models)["per_profile"].groups == 1

    account.execute("UPDATE events SET uuid = 'changed again' WHERE id = '009'")
    account.execute("UPDATE _syncs SET outcome = 'succeeded', finished_at = started_at WHERE outcome = 'running'")
    assert equal(account, models)["per_profile"].groups == 1
    assert outcomes(equal(account, models)) == {Outcome.UNCHANGED}


def test_a_full_sync_rebuilds(account: StoredAccount, models: Models) -> None:
    account.sync({"events": [event("010", 11, days=10)]}, mode="full")

    assert outcomes(equal(account, models)) == {Outcome.REBUILT}
    assert outcomes(equal(account, models)) == {Outcome.UNCHANGED}


def test_changed_sql_rebuilds_the_model_and_those_on_top_of_it(account: StoredAccount, tmp_path: Path) -> None:
    results = equal(account, write_models(tmp_path / "m", factor=2))

    assert {name for name, result in results.items() if result.outcome is Outcome.REBUILT} == {"names", "per_profile", "firsts"}


def test_a_changed_small_source_rebuilds(account: StoredAccount, models: Models) -> None:
    account.sync({"metrics": [{"id": "m1", "name": "Another name"}]})
    results = equal(account, models)

    assert {name for name, result in results.items() if result.outcome is Outcome.REBUILT} == {"names", "numbered", "firsts"}


def test_another_time_zone_rebuilds(account: StoredAccount, models: Models) -> None:
    account.sync({"accounts": [{"id": "A", "timezone": "Pacific/Auckland", "preferred_currency": "NZD"}]})

    assert outcomes(equal(account, models)) == {Outcome.REBUILT}


def test_changed_field_rules_rebuild(account: StoredAccount, models: Models) -> None:
    """Rules rewrite stored rows without a new time of reading."""
    account.execute("CREATE TABLE IF NOT EXISTS _field_rules (resource_type VARCHAR, field VARCHAR, action VARCHAR, salt_fingerprint VARCHAR)")
    account.execute("INSERT INTO _field_rules VALUES ('events', 'uuid', 'drop', NULL)")
    account.execute("UPDATE events SET uuid = NULL")

    assert outcomes(equal(account, models)) == {Outcome.REBUILT}


def test_a_lost_table_or_bookkeeping_is_rebuilt(account: StoredAccount, models: Models) -> None:
    account.execute("DROP TABLE klaviyo_marts.per_day")
    assert equal(account, models)["per_day"].outcome is Outcome.REBUILT

    account.execute("DROP TABLE klaviyo_marts._captures")
    assert outcomes(equal(account, models)) == {Outcome.REBUILT}


def test_a_model_whose_record_another_program_has_damaged_is_rebuilt(account: StoredAccount, models: Models) -> None:
    account.execute(f"UPDATE klaviyo_marts.{BuiltModels.NAME} SET change = NULL WHERE model = 'per_profile'")
    results = equal(account, models)

    assert (results["per_profile"].outcome, results["per_profile"].reason) == (Outcome.REBUILT, "its watermark is missing")
    assert results["per_day"].outcome is Outcome.UNCHANGED


def test_a_model_that_failed_catches_up(account: StoredAccount, models: Models, tmp_path: Path) -> None:
    """Changes are kept until every model contains them."""
    account.sync({"events": [event("new1", 3)]})
    account.build(models, ["per_profile"])
    account.sync({"events": [event("new2", 4)]})
    account.build(models, ["per_profile"])

    assert equal(account, models)["numbered"].groups == 2
    assert account.execute("SELECT count(*) FROM klaviyo_marts._changed_groups WHERE scope = 'profile_id'") == [(0,)]


def test_a_model_that_was_away_is_rebuilt(account: StoredAccount, models: Models, tmp_path: Path) -> None:
    """Meanwhile, changes are not kept for it."""
    text = (tmp_path / "m" / "per_profile.sql").read_text()
    for name in ("per_profile", "firsts"):
        (tmp_path / "m" / f"{name}.sql").unlink()
    account.sync({"events": [event("new1", 3)]})
    account.build(own_models(tmp_path / "m"))
    (tmp_path / "m" / "per_profile.sql").write_text(text)

    assert equal(account, own_models(tmp_path / "m"))["per_profile"].outcome is Outcome.REBUILT


def test_a_rebuild_can_be_requested(account: StoredAccount, models: Models) -> None:
    assert outcomes(account.build(models, rebuild=True)) == {Outcome.REBUILT}


def change(rng: random.Random, account: StoredAccount, folder: Path) -> None:
    """Let something happen to the account."""
    known = [id_ for (id_,) in account.execute("SELECT id FROM events ORDER BY id")]

    def some(count: int, *, new: bool) -> list[dict[str, Any]]:
        ids = [f"{rng.getrandbits(32):08x}" for _ in range(count)] if new else rng.sample(known, count)
        owners = [rng.choice([None, *range(PROFILES + 5)]) for _ in ids]
        return [event(id_, owner, days=rng.uniform(-1, 30), uuid=rng.choice("abc")) for id_, owner in zip(ids, owners, strict=True)]

    match rng.randrange(9):
        case 0 | 1:
            account.sync({"events": some(3, new=True)})
        case 2:
            account.sync({"events": some(2, new=False)})
        case 3:
            account.execute(f"UPDATE events SET _deleted_at = if(_deleted_at IS NULL, _synced_at, NULL) WHERE id = '{rng.choice(known)}'")
        case 4:
            account.execute(f"DELETE FROM events WHERE profile_id = 'p{rng.randrange(PROFILES)}'")
        case 5:
            account.now += timedelta(hours=rng.randrange(30))
        case 6:
            account.sync({"events": some(1, new=True)}, outcome=rng.choice(["failed", "killed"]))
        case 7:
            account.sync({"events": some(2, new=False), "metrics": [{"id": "m0", "name": rng.choice(["Zero", "Null"])}]})
        case 8:
            write_models(folder, rng.choice([1, 2]))


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_generated_histories(account: StoredAccount, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    seen: set[Outcome] = set()
    for _ in range(4):
        for _ in range(rng.randrange(1, 4)):
            change(rng, account, tmp_path / "m")
        seen |= outcomes(equal(account, own_models(tmp_path / "m")))

    assert Outcome.UPDATED in seen


def days_of(account: StoredAccount, result: ModelResult) -> dict[str, tuple[str, list[Any]]]:
    """Return the data version and the rows of each day."""
    rows: dict[str, list[Any]] = {}
    for day, *row in account.rows("per_day", "day::VARCHAR, metric_id, events, profiles"):
        rows.setdefault(day, []).append(row)
    assert {day: one.rows for day, one in result.days.items()} == {day: len(found) for day, found in rows.items()}
    return {day: (one.version, rows[day]) for day, one in result.days.items()}


@pytest.mark.parametrize("seed", [3, pytest.param(5, marks=pytest.mark.long)])
def test_the_version_of_a_day_changes_if_its_rows_do_and_only_then(account: StoredAccount, tmp_path: Path, seed: int) -> None:
    rng, path = random.Random(seed), tmp_path / "m"
    result = account.build(own_models(path), ["per_day"])["per_day"]
    before, version, seen = days_of(account, result), result.version, set()
    for _ in range(12):
        if rng.random() < 0.6:
            change(rng, account, path)
        days = {f"{START.date() - timedelta(days=rng.randrange(40))}" for _ in range(rng.randrange(3))}
        result = account.build(own_models(path), ["per_day"], rebuild=rng.random() < 0.3, days=days)["per_day"]
        after = days_of(account, result)

        differing = {day for day in before.keys() | after.keys() if before.get(day) != after.get(day)}
        new = {day for day in before.keys() & after.keys() if before[day][0] != after[day][0]}
        assert new == {day for day in before.keys() & after.keys() if before[day][1] != after[day][1]}, result.outcome
        assert (result.version != version) is bool(differing)
        before, version, seen = after, result.version, seen | {(result.outcome, bool(differing))}
    assert seen >= {(Outcome.UPDATED, True), (Outcome.UPDATED, False), (Outcome.REBUILT, False)}


def test_days_of_a_table_that_an_earlier_release_has_built_get_versions(account: StoredAccount, models: Models) -> None:
    first = account.build(models)["per_day"]
    with account.warehouse.transaction() as connection:
        connection.execute("DROP TABLE klaviyo_marts._day_versions")

    second = account.build(models)["per_day"]

    assert second.outcome is Outcome.UNCHANGED
    assert {day: one.rows for day, one in second.days.items()} == {day: one.rows for day, one in first.days.items()} != {}
    assert account.build(models)["per_day"].days == second.days
