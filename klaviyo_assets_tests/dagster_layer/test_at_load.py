"""Invalid definitions are refused at load; options apply; messages use the user's own names."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb
import httpx
import pytest
from dagster_duckdb import DuckDBResource
from pydantic import ValidationError

from klaviyo_assets import (
    CATALOG,
    EventPartitions,
    KlaviyoFrameIOManager,
    KlaviyoResource,
    KlaviyoTranslator,
    build_klaviyo_assets,
    build_klaviyo_checks,
    build_klaviyo_definitions,
    definitions,
)
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.validation import InvalidDefinition
from klaviyo_assets.warehouse.sql import KEYWORDS, pasted, unquoted_parts
from klaviyo_assets_tests import outside_types
from klaviyo_assets_tests.dagster_layer.builds import KEY, build, specs


class WithoutSpecs(KlaviyoTranslator):
    """Forgets to return the spec."""

    def get_asset_spec(self, entry: ResourceType) -> dg.AssetSpec:
        super().get_asset_spec(entry)
        return None  # type: ignore[return-value]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "start date in words": ({"fields": {"start_date": "yesterday"}}, "start_date of KlaviyoResource is not a date: 'yesterday'. Write it as"),
    "metrics in and out": (
        {"fields": {"event_metrics": ["a"], "exclude_event_metrics": ["b"]}},
        "event_metrics of KlaviyoResource and exclude_event_metrics are both set",
    ),
    "a metric twice": ({"fields": {"event_metrics": ["a", "a"]}}, "event_metrics of KlaviyoResource lists a name twice: a"),
    "empty start date": ({"fields": {"start_date": ""}}, "start_date of KlaviyoResource is not a date"),
    "start date to come": ({"fields": {"start_date": "2999-01-01"}}, "is in the future"),
    "misspelled field": ({"fields": {"field_rules": {"lists": {"nom": "drop"}}}}, "'nom' is not known"),
    "misspelled action": ({"fields": {"field_rules": {"lists": {"name": "drpo"}}}}, "is no action"),
    "misspelled type in rules": ({"fields": {"field_rules": {"list": {"name": "drop"}}}}, "'list', which is no resource type"),
    "a key for an account": ({"fields": {"account_id": KEY}}, "account_id of KlaviyoResource holds an API key"),
    "a memory limit of bytes": (
        {"fields": {"duckdb_memory_limit": "512B"}},
        "duckdb_memory_limit of KlaviyoResource must be a size of at least 128MB",
    ),
    "unknown type": (
        {"resource_types": ["profile"]},
        r"Unknown resource types: profile\. Did you mean profiles\? Known are the types accounts, .*; the groups core, .*",
    ),
    "one type as a string": ({"resource_types": "events"}, r"Give a list, such as \['events'\]"),
    "partitions of weeks": ({"partitions": "weekly"}, "partitions='weekly' is not a length of partitions. Use 'daily' or 'monthly'"),
    "a number of partitions": ({"partitions": 7}, r"partitions= takes 'daily', 'monthly' or EventPartitions\(…\), not int"),
    "partitions without events": (
        {"resource_types": ["lists"], "partitions": "daily"},
        "partitions= applies to events, which is not among the resource_types. Add it, or leave partitions out",
    ),
    "no types": ({"resource_types": []}, "resource_types is empty"),
    "a type twice": ({"resource_types": ["events", "lists", "events"]}, "named twice: events"),
    "a name with a space": ({"name": "my shop"}, "name='my shop' cannot be a prefix"),
    "a name with a digit first": ({"name": "1shop"}, "cannot be a prefix"),
    "no name": ({"name": ""}, "cannot be a prefix"),
    "MotherDuck": ({"duckdb": "md:shop"}, "duckdb=: md:.* is not a DuckDB file"),
    "DuckLake": ({"duckdb": "ducklake:shop.db"}, "duckdb=: ducklake:.* is not a DuckDB file"),
    "memory": ({"duckdb": ":memory:"}, "duckdb=: .*memory"),
    "no path": ({"duckdb": ""}, "duckdb=: "),
    "a folder": ({"duckdb": "/tmp"}, "is a folder"),
    "a resource of MotherDuck": ({"duckdb": DuckDBResource(database="md:")}, "duckdb=: md:.* is not a DuckDB file"),
    "a schema of DuckDB": ({"translator": KlaviyoTranslator(schema="information_schema")}, "'information_schema': DuckDB uses that name itself"),
    "an account with a schema of DuckDB": ({"name": "PG_catalog"}, "'PG_catalog': DuckDB uses that name itself"),
    "a database of every connection": (
        {"duckdb": dg.EnvVar("FILE"), "translator": KlaviyoTranslator(schema="temp")},
        "'temp': DuckDB uses that name itself",
    ),
    "a schema with a space": ({"translator": KlaviyoTranslator(schema="crm eu")}, "schema='crm eu' cannot be the name of a schema"),
    "a translator's class": ({"translator": KlaviyoTranslator}, r"not the class KlaviyoTranslator\. Write translator=KlaviyoTranslator\(\)"),
    "a name for a translator": ({"translator": "crm"}, "translator= takes a KlaviyoTranslator, not str"),
    "a translator without specs": ({"translator": WithoutSpecs()}, "get_asset_spec of WithoutSpecs returns NoneType for accounts"),
    "a connection": ({"duckdb": 7}, "takes a path or a DuckDBResource, not int"),
}


@pytest.mark.parametrize(("options", "words"), WRONG.values(), ids=WRONG)
def test_invalid_option_is_refused_at_load(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidDefinition, match=words) as caught:
        build(**options)
    assert "KLAVIYO_" not in str(caught.value), "the message names no variables that have no effect here"
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"grain": ["daily"]}, r"^partitions=\['daily'\] is not a length of partitions\. Use 'daily' or 'monthly'\.$"),
        ({"timezone": "Berlin"}, r"^timezone='Berlin' is not the name of a time zone\. Write its IANA name, such as Europe/Berlin\.$"),
        ({"timezone": None}, r"^timezone=None is not the name of a time zone\. "),
        (
            {"timezone": ZoneInfo("Europe/Berlin")},
            r"^timezone=zoneinfo.* is not the name of a time zone\. Write its IANA name, such as Europe/Berlin\.$",
        ),
    ],
)
def test_partitions_that_cannot_be_are_refused_when_they_are_created(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidDefinition, match=words):
        EventPartitions(**fields)


def test_a_text_in_place_of_a_list_of_metrics_is_refused_at_load() -> None:
    """A copy with other fields is not checked by Pydantic."""
    klaviyo = KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_EU")).model_copy(update={"event_metrics": "Placed Order"})

    with pytest.raises(
        InvalidDefinition, match=r"event_metrics of KlaviyoResource is a text: 'Placed Order'\. Give a list, such as \['Placed Order'\]"
    ):
        build_klaviyo_definitions(klaviyo, duckdb="shop.duckdb")


def test_code_for_earlier_versions_that_adds_the_checks_loads() -> None:
    assets = build_klaviyo_assets(resource_types=["lists"])
    resources = {"klaviyo": KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_EU")), "duckdb": DuckDBResource(database="a.db")}
    io_manager = {"klaviyo_frames": KlaviyoFrameIOManager(duckdb=resources["duckdb"])}
    checks = build_klaviyo_checks(resource_types=["lists"])

    dg.Definitions.validate_loadable(dg.Definitions(assets=assets, asset_checks=checks, resources=resources | io_manager))
    assert checks == []


@pytest.mark.parametrize(
    "fields",
    [{"rate_limit_share": 0}, {"rate_limit_share": 1.5}, {"timeout": 0}, {"max_retries": -1}, {"duckdb_patience": -1}, {"duckdb_threads": 0}],
)
def test_number_out_of_range_is_refused_when_the_resource_is_created(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(fields))):
        KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_EU"), **fields)


@pytest.mark.parametrize(("given", "words"), [(KEY, "not str"), (KlaviyoResource, "not the class KlaviyoResource")], ids=["key", "class"])
def test_other_objects_are_refused_as_account(given: Any, words: str) -> None:
    with pytest.raises(InvalidDefinition, match=words) as caught:
        build_klaviyo_definitions(given, duckdb="shop.duckdb")
    assert KEY not in str(caught.value)


class OwnTransport(KlaviyoResource):
    def transport(self) -> Any:
        return httpx.HTTPTransport()


@pytest.mark.long
@pytest.mark.oldest
def test_a_transport_of_another_kind_is_refused_in_one_sentence(tmp_path: Path) -> None:
    klaviyo = OwnTransport(api_key=KEY)
    words = failed_words(run_lists(build_klaviyo_definitions(klaviyo, duckdb=tmp_path / "shop.duckdb")))

    assert "The method transport() of OwnTransport returns HTTPTransport, not an httpx.AsyncBaseTransport. What to do: Return an instance" in words


class OwnDatabase(dg.ConfigurableResource):  # type: ignore[type-arg]
    address: str = "shop.duckdb"  # Dagster uses a deprecated attribute of Pydantic for a resource without fields

    def warehouse(self) -> Any:
        return self.address


def test_a_warehouse_of_another_kind_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_EU", KEY)

    words = failed_words(run_lists(build(duckdb=OwnDatabase())))

    assert "The method warehouse() of OwnDatabase returns str, not a Warehouse. What to do: Return an instance" in words


def test_the_parent_of_a_child_type_is_added() -> None:
    (asset,) = build_klaviyo_assets(resource_types=["segment_people"], catalog=outside_types.CATALOG)

    assert {key.path[-1] for key in asset.keys} == {"segments", "segment_people"}


def test_groups_select_assets() -> None:
    assets = build_klaviyo_assets(resource_types=["core", "list_members"])

    names = {key.path[-1] for asset in assets for key in asset.keys}
    assert names == {name for name, entry in CATALOG.items() if entry.group == "core"} | {"list_members"}


def test_the_environment_selects_types_of_the_code_location(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_RESOURCE_TYPES", "metrics, list_members")
    defs = definitions._definitions()  # what the module does when it is loaded

    assert {key.path[-1] for key in defs.resolve_asset_graph().get_all_asset_keys()} == {"lists", "list_members", "metrics"}


def test_separate_assets_and_resources_refuse_invalid_options_at_load() -> None:
    klaviyo = KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_EU"), start_date="yesterday")
    resources = {"klaviyo": klaviyo, "duckdb": DuckDBResource(database="a.db")}
    with pytest.raises(InvalidDefinition, match="'yesterday'"):
        dg.Definitions(assets=build_klaviyo_assets(resource_types=["lists"]), resources=resources).resolve_all_job_defs()


def test_environment_variables_are_not_validated_at_load() -> None:
    defs = build(
        duckdb=dg.EnvVar("SHOP_FILE"), fields={"start_date": dg.EnvVar("SHOP_START"), "account_id": dg.EnvVar("ID"), "base_url": dg.EnvVar("URL")}
    )
    dg.Definitions.validate_loadable(defs)


@pytest.mark.parametrize("given", [str, Path, lambda path: DuckDBResource(database=str(path))], ids=["text", "Path", "resource"])
def test_database_can_be_a_text_a_path_or_a_resource(given: Callable[[Path], Any], tmp_path: Path) -> None:
    defs = build(duckdb=given(tmp_path / "shop.duckdb"))

    assert specs(defs)["klaviyo/lists"].metadata["dagster/table_name"] == "shop.klaviyo.lists"


def test_literal_key_gives_one_warning_at_load(caplog: pytest.LogCaptureFixture) -> None:
    klaviyo = KlaviyoResource(api_key=KEY)
    dg.Definitions.validate_loadable(build_klaviyo_definitions(klaviyo, duckdb="shop.duckdb"))

    (record,) = caplog.records
    assert "dg.EnvVar" in record.getMessage()
    assert KEY not in record.getMessage()


@pytest.mark.parametrize(
    "klaviyo",
    [KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_EU")), KlaviyoResource(api_key="pk_of_the_sandbox", base_url="http://127.0.0.1:8080")],
    ids=["EnvVar", "sandbox"],
)
def test_other_keys_give_no_warning(klaviyo: KlaviyoResource, caplog: pytest.LogCaptureFixture) -> None:
    dg.Definitions.validate_loadable(build_klaviyo_definitions(klaviyo, duckdb="shop.duckdb"))
    assert caplog.records == []


@pytest.mark.long
def test_warning_is_written_to_standard_error(tmp_path: Path) -> None:
    """Without any logging configuration."""
    code = tmp_path / "mine.py"
    code.write_text(
        "import dagster as dg\nfrom klaviyo_assets import KlaviyoResource, build_klaviyo_definitions\n"
        f"defs = build_klaviyo_definitions(KlaviyoResource(api_key='{KEY}'), duckdb='shop.duckdb')\n"
    )
    loaded = subprocess.run([sys.executable, str(code)], capture_output=True, text=True, check=True)
    assert "has its API key as plain text in the code" in loaded.stderr


def test_pool_and_retry_policy_reach_every_step() -> None:
    policy = dg.RetryPolicy(max_retries=2)
    defs = build(pool="klaviyo", retry_policy=policy)

    for job in defs.resolve_all_job_defs():
        for node in job.all_node_defs:
            assert isinstance(node, dg.OpDefinition)
            assert (node.pool, node.retry_policy) == ("klaviyo", policy), node.name


# Names of tables ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["shop.duckdb", "my-shop.duckdb", "a.b.duckdb", "select.db", "klaviyo.duckdb", "1 x.duckdb", "main.duckdb", "noext"])
@pytest.mark.parametrize("name", ["klaviyo", "order", "Crm"])
def test_the_table_name_can_be_pasted_into_sql(file: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / file
    duckdb.connect(str(path)).close()  # for an existing file, the earlier default name is allowed, although the schema has it too
    table = specs(build(duckdb=path, name=name))[f"{name}/lists"].metadata["dagster/table_name"]

    with duckdb.connect(str(path)) as connection:
        ((database,),) = connection.execute("SELECT current_database()").fetchall()
        connection.execute(f'CREATE SCHEMA "{database}"."{name}"')
        connection.execute(f'CREATE TABLE "{database}"."{name}".lists AS SELECT 1 AS id')
        assert connection.execute(f"SELECT id FROM {table}").fetchall() == [(1,)]


def test_keywords_include_those_of_duckdb() -> None:
    rows = duckdb.execute("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'").fetchall()
    assert {word for (word,) in rows} <= KEYWORDS


@pytest.mark.parametrize("parts", [["shop", "klaviyo", "lists"], ["my-shop", "order", "events"], ['q"x', "a.b", "lists"], ["klaviyo", "lists"]])
def test_pasted_name_splits_into_its_parts(parts: list[str]) -> None:
    assert unquoted_parts(pasted(*parts)) == parts


# The names of settings ---------------------------------------------------------------------------------------------------------------------------


def failed_words(result: dg.ExecuteInProcessResult) -> str:
    (failed,) = [event.step_failure_data for event in result.all_node_events if event.is_step_failure]
    return failed.error_display_string


def run_lists(defs: dg.Definitions) -> dg.ExecuteInProcessResult:
    job = defs.resolve_implicit_global_asset_job_def()
    (key,) = [one for one in job.asset_layer.executable_asset_keys if one.path[-1] == "lists"]
    return job.execute_in_process(asset_selection=[key], raise_on_error=False)


def test_messages_name_the_resource_the_field_and_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_EU", "")
    defs = build(duckdb=tmp_path / "shop.duckdb", name="eu", executor=dg.in_process_executor)

    result = run_lists(defs)

    words = failed_words(result)
    assert "Set the field api_key of resource 'eu' (environment variable KLAVIYO_EU) to a private API key" in words
    assert "KLAVIYO_API_KEY" not in words
    checks = [one for one in result.get_asset_check_evaluations() if one.check_name == "scope_coverage"]
    assert all("field api_key of resource 'eu'" in (one.description or "") for one in checks)
    assert all("field api_key of resource 'eu'" in str(one.metadata["what_to_do"].value) for one in checks)


@pytest.mark.long
@pytest.mark.oldest
def test_messages_name_the_users_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to look like one\n" * 400)
    monkeypatch.setenv("KLAVIYO_EU", KEY)
    monkeypatch.setenv("SHOP_FILE", str(tmp_path / "notes.txt"))
    database = DuckDBResource(database=dg.EnvVar("SHOP_FILE"))

    words = failed_words(run_lists(build(duckdb=database, name="eu", fields={"base_url": "http://127.0.0.1:9", "max_retries": 0})))
    assert "field database of resource 'eu_duckdb' (environment variable SHOP_FILE)" in words
    assert "KLAVIYO_DUCKDB_PATH" not in words

    parts = dg.Definitions(
        assets=build_klaviyo_assets(resource_types=["lists"], resource_key="crm", duckdb_key="files"),
        resources={
            "crm": KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_EU"), base_url="http://127.0.0.1:9", max_retries=0),
            "files": database,
            "klaviyo_frames": KlaviyoFrameIOManager(duckdb=database),
        },
    )
    assert "field database of resource 'files'" in failed_words(run_lists(parts))


def test_the_shipped_code_location_names_its_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "")
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", str(tmp_path / "shop.duckdb"))
    monkeypatch.delitem(sys.modules, "klaviyo_assets.definitions", raising=False)
    from klaviyo_assets.definitions import defs

    assert "Set KLAVIYO_API_KEY" in failed_words(run_lists(defs))
    monkeypatch.delitem(sys.modules, "klaviyo_assets.definitions")


# The package -------------------------------------------------------------------------------------------------------------------------------------


_NEWLY_IMPORTED = """
import sys
import dagster, dagster_duckdb
before = set(sys.modules)
import klaviyo_assets.definitions
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.long
@pytest.mark.oldest
def test_the_code_location_imports_what_declares_assets_and_nothing_that_runs_them() -> None:
    """Every process that Dagster starts loads the code location, so what only a sync needs is imported by the sync."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", _NEWLY_IMPORTED], capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    libraries = {name.partition(".")[0] for name in found} - sys.stdlib_module_names
    ours = {name.split(".")[1] for name in found if name.startswith("klaviyo_assets.")}

    assert libraries - {"dagster", "pydantic"} == {"klaviyo_assets", "msgspec"}, "of dagster and pydantic, some more modules"
    # The folders and modules with the work: polars, httpx, pyarrow, tenacity and the rate limiter come with them.
    at_work = {"audit", "cli", "component", "decode", "erasure", "load", "ops", "quality", "staging", "sync"}
    assert not ours & at_work, ours & at_work
    prefixes = tuple(f"klaviyo_assets.{folder}." for folder in ("api", "extract", "marts", "state"))
    parts = {name.removeprefix("klaviyo_assets.") for name in found if name.startswith(prefixes)}
    assert parts == LOADED_IN_PART


LOADED_IN_PART = {
    *(f"api.{name}" for name in ("base_url", "client_settings", "filters")),
    *(f"extract.{name}" for name in ("metric_selection", "sync_options")),
    *(f"marts.{name}" for name in ("dependencies", "front_matter", "library", "mart_errors", "model")),
    *(f"state.{name}" for name in ("coverage", "days", "periods")),
}
"""What the options, the catalog and the assets need of four folders that mostly have the work of a sync or a build."""


def test_examples_read_the_key_from_a_variable() -> None:
    root = Path(__file__).parents[2]
    texts = [path.read_text() for path in (root / "README.md", *root.glob("docs/*.md"), *root.glob("klaviyo_assets/**/*.py"))]
    given = [found for text in texts for found in re.findall(r"KlaviyoResource\(\s*api_key=(.{10})", text)]
    assert given
    assert all(one.startswith(("dg.EnvVar(", "EnvVar(")) for one in given), given
