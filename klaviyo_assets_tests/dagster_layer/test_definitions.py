"""The definitions of a code location: assets, checks, jobs, schedules, resources; one account or several."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml
from dagster_duckdb import DuckDBResource

import klaviyo_assets
from klaviyo_assets import CATALOG, KlaviyoResource, KlaviyoTranslator, build_klaviyo_assets, build_klaviyo_definitions
from klaviyo_assets.settings.options import InvalidSetting, from_environment
from klaviyo_assets.warehouse.default_name import AmbiguousName, name_in_sql
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets_tests import outside_types

ROOT = Path(__file__).parents[2]


def definitions(name: str = "klaviyo", **options: object) -> dg.Definitions:
    return build_klaviyo_definitions(KlaviyoResource(api_key=dg.EnvVar("A_KEY")), duckdb="a.duckdb", name=name, **options)  # type: ignore[arg-type]


def specs(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_the_code_location_loads_without_a_key() -> None:
    from klaviyo_assets.definitions import defs

    dg.Definitions.validate_loadable(defs)
    assert set(specs(defs)) == {f"klaviyo/{name}" for name in CATALOG.default_names}


def test_an_asset_says_what_it_is() -> None:
    spec = specs(definitions(owners=["team:data"]))["klaviyo/profiles"]

    assert spec.group_name == "klaviyo"
    assert spec.kinds == {"klaviyo", "duckdb"}
    assert list(spec.owners) == ["team:data"]
    assert "profiles:read" in (spec.description or "")
    assert spec.metadata["dagster/table_name"] == "a.klaviyo.profiles"
    columns = {column.name: column for column in spec.metadata["dagster/column_schema"].columns}
    assert list(columns) == [column.name for column in CATALOG["profiles"].columns] + ["_extra", "_synced_at", "_deleted_at"]
    assert columns["properties"].type == "JSON"
    assert all(column.description for column in columns.values())


def test_required_column_is_not_nullable_in_the_ui() -> None:
    columns = specs(definitions())["klaviyo/accounts"].metadata["dagster/column_schema"].columns

    promised = {column.name for column in CATALOG["accounts"].columns if column.required}
    assert "timezone" in promised
    assert {column.name for column in columns if not column.constraints.nullable} == {"id", "_synced_at"} | promised


def test_schedules_exist_and_are_stopped() -> None:
    schedules = {schedule.name: schedule for schedule in definitions().schedules or []}

    assert {name: schedule.cron_schedule for name, schedule in schedules.items()} == {  # type: ignore[union-attr]
        "klaviyo_sync_schedule": "0 5 * * *",
        "klaviyo_checks_schedule": "45 4 * * *",
        "klaviyo_sync_frequent_schedule": "15 * * * *",
        **{f"klaviyo_full_{entry.name}_schedule": "30 2 * * 6" for entry in CATALOG.values() if entry.full_refresh and not entry.opt_in},
        "klaviyo_audit_schedule": "30 3 * * 0",
    }
    assert "klaviyo_full_profiles_schedule" in schedules
    assert all(schedule.default_status is dg.DefaultScheduleStatus.STOPPED for schedule in schedules.values())  # type: ignore[union-attr]


def test_descriptions_of_jobs_and_schedules_name_the_types_as_they_are() -> None:
    def described(**options: object) -> tuple[str | None, str | None, str | None]:
        defs = definitions(**options)
        schedules = {one.name: one.description for one in defs.schedules or []}  # type: ignore[union-attr]
        job = defs.resolve_job_def("klaviyo_sync")
        return job.description, schedules["klaviyo_sync_schedule"], schedules.get("klaviyo_sync_frequent_schedule")

    own = replace(outside_types.VOUCHERS, name="SMS_Sends", refresh="hourly")

    assert described() == ("Sync every resource type, with its checks.", "Every day: everything.", "Every hour: events and profiles.")
    assert described(resource_types=["lists", "SMS_Sends"], catalog=CATALOG.with_(own)) == (
        "Sync lists and SMS_Sends, with all checks.",
        "Every day: lists and SMS_Sends.",
        "Every hour: SMS_Sends.",
    )


class OwnDatabase(dg.ConfigurableResource):  # type: ignore[type-arg]
    folder: str

    def warehouse(self) -> Warehouse:
        raise AssertionError("not needed when code is loaded")


def test_the_kind_of_an_own_warehouse_is_not_duckdb() -> None:
    def kinds(translator: KlaviyoTranslator | None) -> tuple[set[str], object]:
        defs = build_klaviyo_definitions(KlaviyoResource(api_key="x"), duckdb=OwnDatabase(folder="data"), translator=translator)
        spec = specs(defs)["klaviyo/lists"]
        return spec.kinds, spec.metadata.get("dagster/storage_kind")

    assert kinds(None) == ({"klaviyo"}, None)
    assert kinds(KlaviyoTranslator(storage_kind="ducklake")) == ({"klaviyo", "ducklake"}, "ducklake")
    assert specs(definitions())["klaviyo/lists"].metadata["dagster/storage_kind"] == "duckdb"


def test_the_hourly_job_is_for_events_and_profiles() -> None:
    job = definitions().resolve_job_def("klaviyo_sync_frequent")

    assert {key.path[-1] for key in job.asset_layer.executable_asset_keys} == {"events", "profiles"}


def test_two_accounts_share_one_code_location() -> None:
    both = dg.Definitions.merge(definitions("eu"), definitions("us", resource_types=["profiles", "events"]))

    dg.Definitions.validate_loadable(both)
    assert {"eu/profiles", "us/profiles"} <= set(specs(both))
    assert specs(both)["us/events"].metadata["dagster/table_name"] == "a.us.events"


def test_error_names_an_unknown_resource_type() -> None:
    with pytest.raises(ValueError, match=r"Unknown resource types: profile\. Did you mean profiles\? Known are the types accounts, campaign"):
        build_klaviyo_assets(resource_types=["profile"])


def test_a_custom_translator_changes_the_specs() -> None:
    class Shouting(KlaviyoTranslator):
        def get_asset_spec(self, entry: klaviyo_assets.catalog.ResourceType) -> dg.AssetSpec:
            return super().get_asset_spec(entry).replace_attributes(group_name="LOUD")

    (asset,) = build_klaviyo_assets(resource_types=["lists"], translator=Shouting())
    assert next(iter(asset.specs)).group_name == "LOUD"


def test_the_workspace_names_the_module_and_the_location() -> None:
    (loaded,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    assert loaded["python_module"] == {"module_name": "klaviyo_assets.definitions", "location_name": "klaviyo_assets"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("KLAVIYO_RATE_LIMIT_SHARE", "0", "must be a number above 0 up to 1"),
        ("KLAVIYO_RATE_LIMIT_SHARE", "90%", "it is '90%'"),
        ("KLAVIYO_START_DATE", "last year", "KLAVIYO_START_DATE is not a date: 'last year'"),
        ("KLAVIYO_BASE_URL", "a.klaviyo.com", "KLAVIYO_BASE_URL is not a URL"),
    ],
    ids=["nothing", "per cent", "no date", "no scheme"],
)
def test_error_names_an_invalid_setting(name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting, match=words):
        from_environment()


def test_resource_does_not_show_the_key() -> None:
    key = "pk_" + "s3cret" * 6
    resource = KlaviyoResource(api_key=key)

    assert key not in repr(resource)
    assert key not in repr(resource.client())
    fields = resource.get_resource_definition().config_schema.config_type.fields  # type: ignore[union-attr]
    assert not fields["api_key"].is_secret, "the launchpad would submit asterisks in its place"


@pytest.mark.parametrize(
    ("database", "name"),
    [("eu.duckdb", "eu"), ("/srv/EU.db", "eu"), ("data/eu", "EU"), ("eu.2026.duckdb", "eu"), ("klaviyo.duckdb", "klaviyo"), ("a.duckdb", "temp")],
)
@pytest.mark.parametrize("as_resource", [False, True])
def test_an_account_with_the_name_of_the_file_is_refused_at_load(database: str, name: str, as_resource: bool) -> None:
    given = DuckDBResource(database=database) if as_resource else database

    with pytest.raises(AmbiguousName, match=r"ambiguous.* What to do: give the"):
        build_klaviyo_definitions(KlaviyoResource(api_key=dg.EnvVar("A_KEY")), duckdb=given, name=name)


@pytest.mark.parametrize("database", ["eu.duckdb", "main.duckdb", "data/euro.duckdb", "klaviyo_eu.duckdb", "klaviyo/b.duckdb"])
def test_other_names_are_accepted(database: str) -> None:
    dg.Definitions.validate_loadable(build_klaviyo_definitions(KlaviyoResource(api_key="x"), duckdb=database, name="klaviyo"))


def test_existing_file_with_the_earlier_default_name_still_works(tmp_path: Path) -> None:
    path = tmp_path / "klaviyo.duckdb"
    duckdb.connect(str(path)).close()

    dg.Definitions.validate_loadable(build_klaviyo_definitions(KlaviyoResource(api_key="x"), duckdb=str(path)))
    with pytest.raises(AmbiguousName, match="ambiguous"):
        build_klaviyo_definitions(KlaviyoResource(api_key="x"), duckdb=str(path.rename(tmp_path / "eu.duckdb")), name="eu")


@pytest.mark.parametrize(
    ("url", "words"),
    [("https://a.klaviyo.com/v1", "must be scheme, host and port only"), ("https://[::1", "is not a URL"), ("http://a.klaviyo.com", "is plain http")],
)
def test_invalid_base_url_is_refused_at_load(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"^The field base_url of KlaviyoResource {words}"):
        build_klaviyo_definitions(KlaviyoResource(api_key=dg.EnvVar("A_KEY"), base_url=url), duckdb="a.duckdb")


@pytest.mark.parametrize("file", ["shop", "Shop.duckdb", ".shop.x.y", "temp.duckdb", "main.db", "a b.duckdb", "shop?x.duckdb"])
def test_database_name_matches_duckdb(file: str, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / file)) as connection:
        ((name,),) = connection.execute("SELECT current_database()").fetchall()

    assert name_in_sql(str(tmp_path / file)) == name


@pytest.mark.long
def test_environment_variables_reach_the_resource_of_the_code_location(tmp_path: Path) -> None:
    given = {"KLAVIYO_ACCEPT_CHANGED_OPTIONS": "true", "KLAVIYO_CONCURRENCY": "7", "KLAVIYO_TIMEOUT": "8", "KLAVIYO_MAX_RETRIES": "9"}
    code = (
        "import dagster as dg\n"
        "from klaviyo_assets.definitions import defs\n"
        "with dg.build_resources({'klaviyo': defs.resources['klaviyo']}) as found:\n"
        "    r = found.klaviyo\n"
        "    print(r.accept_changed_options, r.concurrency, r.timeout, r.max_retries, r.allow_http, r.revision)\n"
    )
    environment = {
        **os.environ,
        **given,
        "KLAVIYO_API_KEY": "pk_x",
        "KLAVIYO_ALLOW_HTTP": "true",
        "KLAVIYO_REVISION": "2026-10-15",
        "PYTHONPATH": str(ROOT),
    }

    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)

    assert found.stdout.split() == ["True", "7", "8.0", "9", "True", "2026-10-15"]


def test_resource_pages_show_sentences_without_markup() -> None:
    defs = build_klaviyo_definitions(KlaviyoResource(api_key=dg.EnvVar("A_KEY")), duckdb="shop.duckdb")
    descriptions = {name: resource.description or "" for name, resource in (defs.resources or {}).items()}

    assert descriptions["klaviyo"] == "Access to a Klaviyo account with a private API key."
    assert all(text.endswith(".") and not any(mark in text for mark in (">>>", ":func:", ":mod:", "``", "\n")) for text in descriptions.values())
