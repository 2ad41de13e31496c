"""Field rules of resource types from outside the package: checked against the catalog in use, and applied before anything is stored."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets import CATALOG, KlaviyoFrameIOManager, KlaviyoResource, build_klaviyo_assets, build_klaviyo_definitions
from klaviyo_assets.catalog.columns import ColumnType, attribute
from klaviyo_assets.catalog.endpoint import EQUALS
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.privacy.apply import FieldRuleSet, rule_sets_for
from klaviyo_assets.privacy.hashing import Salt, ValueKind
from klaviyo_assets.privacy.rules import FieldRules, InvalidFieldRules, parse_rules
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.settings.options import InvalidSetting, from_environment
from klaviyo_assets.validation import InvalidDefinition
from klaviyo_assets.warehouse import Warehouse
from klaviyo_assets_tests.accounts import local_file, query
from klaviyo_assets_tests.erasure.test_erase_outside_types import VOTES, vote
from klaviyo_assets_tests.load.loads import Loads
from klaviyo_assets_tests.load.rewrites.test_reapply_rules import SALT
from klaviyo_assets_tests.outside_types import CATALOG as WIDER
from klaviyo_assets_tests.outside_types import NAME
from klaviyo_assets_tests.warehouse.attached import AttachedDatabase

NewAccount = Callable[..., SandboxProcess]

RULES: FieldRules = {"vouchers": {"description": "drop", "monitor_configuration.low_balance": "drop"}, "voucher_codes": {"unique_code": "hash"}}


@pytest.fixture(autouse=True)
def salt(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_FIELD_SALT", SALT)


def klaviyo(rules: FieldRules) -> KlaviyoResource:
    return KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_EU"), field_rules=rules)


def parts(resource: KlaviyoResource) -> dg.Definitions:
    database = DuckDBResource(database="a.duckdb")
    resources = {"klaviyo": resource, "duckdb": database, "klaviyo_frames": KlaviyoFrameIOManager(duckdb=database)}
    return dg.Definitions(assets=build_klaviyo_assets(resource_types=["vouchers"], catalog=WIDER), resources=resources)


def test_rules_are_checked_against_the_catalog_when_code_is_loaded() -> None:
    dg.Definitions.validate_loadable(build_klaviyo_definitions(klaviyo(RULES), duckdb="a.duckdb", catalog=WIDER))

    with pytest.raises(InvalidDefinition, match=r"'unique_cod' is not known, or needed as it is\. Fields that rules may name: unique_code"):
        build_klaviyo_definitions(klaviyo({"voucher_codes": {"unique_cod": "hash"}}), duckdb="a.duckdb", catalog=WIDER)
    with pytest.raises(InvalidDefinition, match=r"'vouchers', which is no resource type\..* must be in the catalog"):
        build_klaviyo_definitions(klaviyo(RULES), duckdb="a.duckdb")


def test_a_catalog_with_fewer_types_accepts_rules_of_the_others() -> None:
    narrower = CATALOG.select(["lists"])
    dg.Definitions.validate_loadable(build_klaviyo_definitions(klaviyo({"profiles": {"email": "drop"}}), duckdb="a.duckdb", catalog=narrower))


def test_rules_of_separate_parts_are_checked_with_their_catalog() -> None:
    with pytest.raises(InvalidDefinition, match="'vouchers', which is no resource type"):
        parts(klaviyo(RULES)).resolve_all_job_defs()
    parts(klaviyo(RULES).with_catalog(WIDER)).resolve_all_job_defs()
    with pytest.raises(InvalidDefinition, match="'voucher', which is no resource type"):
        parts(klaviyo({"voucher": {"description": "drop"}}).with_catalog(WIDER)).resolve_all_job_defs()


def test_the_environment_is_read_with_a_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_FIELD_RULES", json.dumps(RULES))

    assert from_environment(catalog=WIDER).field_rules == RULES
    with pytest.raises(InvalidSetting, match="'voucher"):
        from_environment()


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        ({"votes": {"voter": "hash"}}, {"subject_column": "voter"}),
        ({"votes": {"comment": "drop"}}, {"primary_key": ("poll_id", "comment")}),
        ({"votes": {"poll_id": "drop"}}, {}),
        ({"votes": {"_extra.voter": "drop"}}, {"subject_column": "voter"}),
        ({"votes": {"comment": "hash"}}, {"metric_filter": "comment", "endpoint": replace(VOTES.endpoint, filters={"comment": EQUALS})}),
        ({"events": {"metric_id": "hash"}}, {}),
    ],
    ids=["the id of a profile", "an attribute of the key", "the parent's id", "the id of a profile, as extra", "a metric", "events"],
)
def test_fields_that_syncs_and_erasures_need_cannot_have_a_rule(rules: FieldRules, changes: dict[str, object]) -> None:
    parse_rules({"votes": {"email": "hash", "comment": "drop", "voter": "drop"}}, CATALOG.with_(VOTES))

    with pytest.raises(InvalidFieldRules, match="needed as it is"):
        parse_rules(rules, CATALOG.with_(replace(VOTES, **changes)))


@pytest.mark.duckdb
@pytest.mark.parametrize("kind", ["file", "no row numbers"])
def test_rules_are_applied_to_stored_rows_with_a_composite_key(kind: str, tmp_path: Path) -> None:
    warehouse: Warehouse = local_file(tmp_path) if kind == "file" else AttachedDatabase(tmp_path)
    entry = replace(VOTES, columns=(*VOTES.columns, attribute("answers", ColumnType.JSON, "What they chose.")))
    rows = [vote(poll, id_, email=f"{poll}-{id_}@example.com", comment="Yes", answers='{"age": 30,  "n": 1.0}') for poll in "AB" for id_ in "12"]
    load = Loads(warehouse, tmp_path, entry)
    load(rows)
    query(warehouse, "ALTER TABLE votes ADD COLUMN note VARCHAR")
    query(warehouse, "UPDATE votes SET note = poll_id || vote_id")
    rules = rule_sets_for({"votes": {"email": "hash", "comment": "drop", "answers.age": "drop"}}, CATALOG.with_(entry))["votes"]

    changed, rewritten = Loader(warehouse, entry, "klaviyo").apply_rules(rules, str, load.row)

    assert (changed, rewritten) == (True, 4)
    hashes = [Salt(SALT).hash(f"{poll}-{id_}@example.com", ValueKind.EMAIL) for poll in "AB" for id_ in "12"]
    assert query(warehouse, "SELECT email FROM votes ORDER BY poll_id, vote_id") == [(value,) for value in hashes]
    assert query(warehouse, "SELECT DISTINCT comment, answers::VARCHAR FROM votes") == [(None, '{"n": 1.0}')]
    assert query(warehouse, "SELECT count(*) FROM votes WHERE note = poll_id || vote_id") == [(4,)]


@pytest.mark.long
def test_a_code_location_applies_rules_to_its_own_types(new_account: NewAccount, tmp_path: Path) -> None:
    shop = new_account(catalog=NAME, others=12)
    resource = KlaviyoResource(api_key=ALL_SCOPES_KEY, base_url=shop.base_url, rate_limit_share=1.0, max_retries=1, field_rules=RULES)
    types = ["vouchers", "voucher_codes"]
    path = tmp_path / "warehouse.duckdb"
    defs = build_klaviyo_definitions(resource, duckdb=path, catalog=WIDER, resource_types=types, executor=dg.in_process_executor)

    with dg.DagsterInstance.ephemeral() as instance:
        assert defs.resolve_job_def("klaviyo_sync").execute_in_process(instance=instance).success

    codes = {one["attributes"]["unique_code"] for one in shop.truth("voucher_codes")} - {None}
    assert codes
    with duckdb.connect(str(path), read_only=True) as connection:
        stored = {code for (code,) in connection.execute("SELECT unique_code FROM klaviyo.voucher_codes WHERE unique_code IS NOT NULL").fetchall()}
        assert stored == {Salt(SALT).hash(code) for code in codes}
        assert connection.execute("SELECT count(*) > 0, count(description) FROM klaviyo.vouchers").fetchall() == [(True, 0)]
        assert connection.execute("SELECT DISTINCT resource_type FROM klaviyo._field_rules ORDER BY 1").fetchall() == [
            ("voucher_codes",),
            ("vouchers",),
        ]


def test_rules_that_hash_without_a_salt_change_nothing_and_are_refused() -> None:
    rules = FieldRuleSet(parse_rules(RULES, WIDER)["voucher_codes"])

    with pytest.raises(InvalidFieldRules, match=r"there is no salt\. Set KLAVIYO_FIELD_SALT\."):
        rules.apply(pl.DataFrame({"unique_code": ["SPRING"]}))
