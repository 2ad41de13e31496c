"""Erasing a person reaches the marts in the same command."""

from pathlib import Path

import pytest

from klaviyo_assets.erasure.erase import DataSubject, Erasure, Found
from klaviyo_assets.errors import SyncAlreadyRunning
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets_tests.accounts import local_file
from klaviyo_assets_tests.marts.folders import own_models, write_model
from klaviyo_assets_tests.marts.stored import START, StoredAccount

pytestmark = pytest.mark.duckdb


@pytest.mark.long
def test_nothing_of_a_person_is_left_in_the_marts(tmp_path: Path) -> None:
    warehouse = local_file(tmp_path, "shop.duckdb")
    account = StoredAccount(warehouse, "profiles")
    people = [{"id": f"01JPERSON{name}", "email": f"{name}@example.com", "created": START} for name in ("ann", "bob")]
    account.sync({"profiles": people})
    account.sync({"events": [{"id": f"e{number}", "datetime": START, "profile_id": people[number % 2]["id"]} for number in range(6)]})
    folder = tmp_path / "m"
    scoped = "-- incremental: profile_id\n-- column profile_id: Profile.\n"
    write_model(folder, "by_profile", "SELECT profile_id, count(*) AS events FROM live_events GROUP BY 1", key="profile_id", header=scoped)
    # A user's own model may have an address, without a column of the profile's id.
    write_model(folder, "addresses", "SELECT 'Dear ' || email AS greeting FROM profiles", key="greeting")
    write_model(folder, "per_day", "SELECT day, count(*) AS events FROM live_events GROUP BY day", key="day")
    models = own_models(folder)
    account.build(models)
    account.sync({"events": [{"id": "e6", "datetime": START, "profile_id": people[0]["id"]}]})
    account.build(models, ["by_profile"])

    erased = Erasure(warehouse, "klaviyo").run(DataSubject.named("ann@example.com"))

    found = {one.table: one for one in erased.found}
    assert found["klaviyo_marts.by_profile"] == Found("klaviyo_marts.by_profile", 1, 0)
    assert found["klaviyo_marts.addresses"].mentions == 1
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"01JPERSONbob" in everything
    assert b"01JPERSONann" not in everything
    assert b"ann@example" not in everything

    account.build(models)
    for built, computed in account.built_and_computed(models).values():
        assert built == computed
    assert account.rows("by_profile") == [("01JPERSONbob", 3)]


def test_the_marts_keep_their_rows_if_nobody_has_the_address(tmp_path: Path) -> None:
    account = StoredAccount(local_file(tmp_path, "shop.duckdb"), "profiles")
    account.sync({"events": [{"id": "e", "datetime": START, "profile_id": "p"}]})
    scoped = "-- incremental: profile_id\n-- column profile_id: Profile.\n"
    write_model(tmp_path / "m", "by_profile", "SELECT profile_id, count(*) AS events FROM live_events GROUP BY 1", key="profile_id", header=scoped)
    account.build(own_models(tmp_path / "m"))

    assert Erasure(account.warehouse, "klaviyo").run(DataSubject.named("unknown@example.com")).found == ()

    assert account.rows("by_profile") == [("p", 1)]


def test_no_person_is_erased_while_marts_are_built(tmp_path: Path) -> None:
    warehouse = local_file(tmp_path, "shop.duckdb")
    StoredAccount(warehouse, "profiles")
    write_model(tmp_path / "m", "a", "SELECT 1 AS id")
    building = MartRunner(warehouse, "klaviyo", own_models(tmp_path / "m"), run_id="a-run").run()
    next(building)

    with pytest.raises(SyncAlreadyRunning, match=r"The marts are being built already by run a-run"):
        Erasure(warehouse, "klaviyo").run(DataSubject.named("ann@example.com"))
    building.close()


@pytest.mark.long
def test_values_that_a_new_field_rule_drops_leave_the_file(tmp_path: Path) -> None:
    warehouse = local_file(tmp_path, "shop.duckdb")
    account = StoredAccount(warehouse, "profiles")
    account.sync({"profiles": [{"id": f"p{number}", "location_city": f"Atlantis {number}", "_synced_at": START} for number in range(3)]})
    write_model(tmp_path / "m", "cities", "SELECT id, location_city FROM profiles")
    models = own_models(tmp_path / "m")
    account.build(models)
    # What a sync does with a new rule.
    account.execute("CREATE TABLE _field_rules (resource_type VARCHAR, field VARCHAR, action VARCHAR, salt_fingerprint VARCHAR)")
    account.execute("INSERT INTO _field_rules VALUES ('profiles', 'location.city', 'drop', NULL)")
    account.execute("UPDATE profiles SET location_city = NULL")
    account.build(models)

    assert account.rows("cities") == [("p0", None), ("p1", None), ("p2", None)]
    assert b"Atlantis" not in (tmp_path / "shop.duckdb").read_bytes()
