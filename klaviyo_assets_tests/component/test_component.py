"""The component: fields, what is refused, hooks, the key, several accounts."""

import re
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
import jsonschema
import pytest
import yaml
from dagster.components.core.snapshot import get_package_entry_snap
from dagster.components.testing import create_defs_folder_sandbox
from dagster_shared.serdes.objects.package_entry import EnvRegistryKey

from klaviyo_assets import CATALOG, EventPartitions, KlaviyoComponent, KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.settings.options import OPTIONS, RESOURCE_OPTIONS
from klaviyo_assets.validation import InvalidDefinition
from klaviyo_assets_tests import outside_types
from klaviyo_assets_tests.dagster_layer.projects import KEY, document, loaded, specs, text

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")
"""Raised by Dagster's own code for what it adds to every component."""


@pytest.mark.oldest
def test_scaffolded_component_has_everything_once_its_variable_is_set() -> None:
    with create_defs_folder_sandbox() as project:
        folder = project.scaffold_component(component_cls=KlaviyoComponent, defs_path="main", scaffold_params={"account": "eu", "variable": KEY})
        written = yaml.safe_load((folder / "defs.yaml").read_text())
        with project.load_component_and_build_defs(defs_path=folder) as (component, defs):
            dg.Definitions.validate_loadable(defs)

    assert written["attributes"] == {"api_key": f"{{{{ env.{KEY} }}}}", "account": "eu", "database": "data/warehouse.duckdb"}
    assert written["requirements"] == {"env": [KEY]}
    assert isinstance(component, KlaviyoComponent)
    assert component.api_key == dg.EnvVar(KEY)
    assert set(specs(defs)) == {f"eu/{name}" for name in CATALOG.default_names}
    assert {"eu_sync", "eu_checks", "eu_audit"} <= {job.name for job in defs.jobs or []}
    assert len(list(defs.schedules or [])) > 4


def test_the_page_of_the_component_in_the_ui_has_no_markup_that_it_does_not_show() -> None:
    description = get_package_entry_snap(EnvRegistryKey("klaviyo_assets", "KlaviyoComponent"), KlaviyoComponent).description

    assert description is not None
    assert len(description.splitlines()) > 3
    assert not [mark for mark in (":meth:", ":class:", "Args:", "Example:", ".. ", ">>>") if mark in description]


def test_a_component_may_be_scaffolded_as_python_or_appended() -> None:
    with create_defs_folder_sandbox() as project:
        project.scaffold_component(component_cls=KlaviyoComponent, defs_path="python", scaffold_format="python", scaffold_params={"variable": KEY})
        with project.build_all_defs() as defs:
            assert "klaviyo/lists" in specs(defs)
    with pytest.raises(Exception, match="cannot be a prefix"), create_defs_folder_sandbox() as project:
        project.scaffold_component(component_cls=KlaviyoComponent, defs_path="eu", scaffold_params={"account": "my shop"})


def test_the_component_has_every_option_of_the_resource() -> None:
    types = {name: field.annotation for name, field in KlaviyoResource.model_fields.items()}
    component = KlaviyoComponent(api_key=dg.EnvVar(KEY))
    own = {field.name: field.type for field in fields(KlaviyoComponent)}

    for option in RESOURCE_OPTIONS:
        assert option.name in own
        if option.name != "api_key":
            assert getattr(component, option.name) == option.default
            assert own[option.name].__origin__ in (types[option.name], Sequence[str] if types[option.name] == list[str] else None), option.name


def test_the_component_does_what_the_function_does() -> None:
    attributes = {
        "resource_types": ["profiles", "lists", "events"],
        "partitions": {"grain": "monthly", "timezone": "Europe/Berlin", "start": "2025-01-01"},
        "rate_limit_share": 0.5,
        "start_date": "2024-01-01",
        "field_rules": {"profiles": {"email": "drop"}},
        "marts": True,
        "publish": {"file": "copy.duckdb", "parquet": "copy"},
        "schedules": {"sync": "0 6 * * *", "audit": None, "timezone": "Europe/Berlin", "running": True},
        "pool": "klaviyo",
        "retry_policy": {"max_retries": 3, "delay": 20, "backoff": "exponential", "jitter": "plus_minus"},
    }
    with loaded(text(document("eu", **attributes))) as defs:
        schedules = {one.name: one for one in defs.schedules or []}  # type: ignore[union-attr]
        found = specs(defs)
        assert {"eu/profiles", "eu/lists", "eu/published", "eu/account_daily"} <= set(found)
        assert found["eu/events_by_month"].partitions_def == EventPartitions("monthly", "Europe/Berlin", date(2025, 1, 1)).definition
        assert schedules["eu_sync_schedule"].cron_schedule == "0 6 * * *"
        assert "eu_audit_schedule" not in schedules
        assert {(one.execution_timezone, one.default_status) for one in schedules.values()} == {  # type: ignore[union-attr]
            ("Europe/Berlin", dg.DefaultScheduleStatus.RUNNING)
        }
        policy = dg.RetryPolicy(max_retries=3, delay=20, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
        for job in defs.resolve_all_job_defs():
            for node in job.all_node_defs:
                assert (node.pool, node.retry_policy) == ("klaviyo", policy), node.name  # type: ignore[attr-defined]
        same = build_klaviyo_definitions(
            KlaviyoResource(api_key=dg.EnvVar(KEY)), duckdb="shop.duckdb", name="eu", resource_types=["profiles", "lists", "events"], marts=True
        )
        for key, spec in specs(same).items():
            # Dagster adds the place in the file.
            assert {name: value for name, value in found[key].metadata.items() if name in spec.metadata} == spec.metadata


WRONG_AT_LOAD: dict[str, tuple[dict[str, Any], str]] = {
    "a key": ({"api_key": "pk_0123"}, r'defs\.yaml:3 - attributes\.api_key(.|\n)*api_key must be "\{\{ env\.NAME \}\}"'),
    "a key's template with more": ({"api_key": "x{{ env.A }}"}, "api_key must be"),
    "start date": ({"start_date": "yesterday"}, r"defs\.yaml:6 - attributes\.start_date(.|\n)*start_date is not a date: 'yesterday'"),
    "share": ({"rate_limit_share": 1.5}, r"rate_limit_share must be a number above 0 up to 1, such as 0\.5; it is '1\.5'"),
    "time zone": ({"schedules": {"timezone": "Mars"}}, r"defs\.yaml:6 - attributes\.schedules(.|\n)*time zone of the schedules is unknown"),
    "first day": ({"partitions": {"start": "soon"}}, r"start='soon' is not a day. Write a date, such as 2024-01-01"),
    "cron": ({"schedules": {"sync": "61 * * * *"}}, r"defs\.yaml:6 - attributes\.schedules(.|\n)*The schedule sync has an invalid cron expression"),
    "unknown type": ({"resource_types": ["profile"]}, "Unknown resource types: profile. Did you mean profiles"),
    "no type": ({"resource_types": []}, "resource_types is empty. Leave it out for the default ones"),
    "field of a rule": ({"field_rules": {"profiles": {"emial": "hash"}}}, "'emial' is not known"),
    "unknown attribute": ({"databse": "x"}, "databse"),
    "two kinds of metrics": ({"event_metrics": ["a"], "exclude_event_metrics": ["b"]}, "are both set"),
    "no database": ({"database": "md:x"}, "is not a DuckDB file"),
}


@pytest.mark.parametrize(("attributes", "words"), WRONG_AT_LOAD.values(), ids=WRONG_AT_LOAD)
def test_invalid_attribute_is_refused_at_load(attributes: dict[str, Any], words: str) -> None:
    with pytest.raises(Exception, match=r"defs\.yaml") as caught, loaded(text(document(**attributes))):
        pass
    assert re.search(words, "\n".join(map(str, (caught.value, caught.value.__cause__)))), caught.value


WRONG_IN_SCHEMA: dict[str, tuple[dict[str, Any], list[str | int], str]] = {
    "unknown type": ({"resource_types": ["lists", "profile"]}, ["resource_types", 1], "'profile' is not one of ['accounts', 'campaigns', "),
    "no list": ({"resource_types": "lists"}, ["resource_types"], "'lists' is not of type 'array'"),
    "share": ({"rate_limit_share": 1.5}, ["rate_limit_share"], "1.5 is greater than the maximum of 1"),
    "words for a number": ({"timeout": "soon"}, ["timeout"], "'soon' is not of type 'number'"),
    "action": ({"field_rules": {"lists": {"name": "hsh"}}}, ["field_rules", "lists", "name"], "'hsh' is not one of ['drop', 'hash']"),
    "type of a rule": ({"field_rules": {"list": {}}}, ["field_rules"], "'list' is not one of ['accounts', "),
    "cron": ({"schedules": {"sync": "at five"}}, ["schedules", "sync"], "'at five' does not match"),
    "schedule": ({"schedules": {"hourly": "0 * * * *"}}, ["schedules"], "'hourly' is not one of ['sync', 'checks', 'frequent', 'full', "),
    "date": ({"start_date": "yesterday"}, ["start_date"], "'yesterday' does not match"),
    "attribute": ({"acount": "eu"}, [], "'acount' is not one of ['api_key', 'account', 'database', 'resource_types', "),
    "a key": ({"api_key": "pk_0123"}, ["api_key"], "does not match"),
    "a template of the key": ({"api_key": "{{ secrets.key }}"}, ["api_key"], "does not match"),
    "account": ({"account": "my shop"}, ["account"], "'my shop' does not match"),
    "backoff": ({"retry_policy": {"backoff": "cubic"}}, ["retry_policy", "backoff"], "'cubic' is not one of ['linear', 'exponential']"),
    "partitions": ({"partitions": "weekly"}, ["partitions"], "'weekly' does not match '^(daily|monthly)$'"),
    "grain": ({"partitions": {"grain": "weekly"}}, ["partitions", "grain"], "'weekly' is not one of ['daily', 'monthly']"),
    "first day": ({"partitions": {"start": "2024-01-01T00:00:00Z"}}, ["partitions", "start"], "'2024-01-01T00:00:00Z' does not match"),
    "publish": ({"publish": {"parquet": "x"}}, ["publish"], "'file' is a required property"),
}


def problems(attributes: dict[str, Any]) -> list[tuple[list[str | int], str]]:
    """Return what ``dg check yaml`` prints: it uses this validator."""
    validator = jsonschema.Draft202012Validator(KlaviyoComponent.get_model_cls().model_json_schema())  # type: ignore[union-attr]
    return [(list(error.absolute_path), error.message) for error in validator.iter_errors(attributes)]


@pytest.mark.parametrize(("attributes", "path", "words"), WRONG_IN_SCHEMA.values(), ids=WRONG_IN_SCHEMA)
def test_schema_refuses_with_the_place_and_the_allowed_values(attributes: dict[str, Any], path: list[str | int], words: str) -> None:
    assert any(found == path and words in message for found, message in problems(document(**attributes)["attributes"]))


def test_schema_accepts_every_default_example_and_template() -> None:
    properties = KlaviyoComponent.get_model_cls().model_json_schema()["properties"]  # type: ignore[union-attr]
    key = {"api_key": "{{ env.A_KEY }}"}

    for name, schema in properties.items():
        assert schema.get("description") or name == "translation", name
        for example in schema.get("examples", ()):
            assert problems(key | {name: example}) == [], name
        if name != "api_key":
            assert problems(key | {name: "{{ something }}"}) == [], name
            if schema["default"] is not None:
                assert problems(key | {name: schema["default"]}) == [], name
    assert (
        problems(key | {"schedules": {"sync": None, "full": "@weekly", "running": True}, "marts": ["mine", "fivetran"], "publish": "a.duckdb"}) == []
    )


def test_an_option_from_the_environment_is_parsed_as_its_own_variable_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHARE", "0.25")
    monkeypatch.setenv("METRICS", "Placed Order, Refunded Order")
    with create_defs_folder_sandbox() as project:
        folder = project.scaffold_component(
            component_cls=KlaviyoComponent,
            defs_path="main",
            defs_yaml_contents=document(
                rate_limit_share="{{ env.SHARE }}", event_metrics="{{ env.METRICS }}", start_date="{{ env.UNSET }}", database="{{ env.FILE }}"
            ),
        )
        with project.load_component_and_build_defs(defs_path=folder) as (component, _):
            assert isinstance(component, KlaviyoComponent)
            assert (component.rate_limit_share, component.event_metrics) == (0.25, ["Placed Order", "Refunded Order"])
            assert component.start_date == OPTIONS["start_date"].default
            assert component.database == dg.EnvVar("FILE")


def test_the_text_of_a_key_is_refused_in_python_too() -> None:
    with pytest.raises(InvalidDefinition, match="api_key= takes dg") as caught:
        KlaviyoComponent(api_key=ALL_SCOPES_KEY)  # type: ignore[arg-type]
    assert ALL_SCOPES_KEY not in str(caught.value)


def test_translation_and_post_processing_change_the_assets() -> None:
    one = document("eu", resource_types=["lists", "profiles"], translation={"tags": {"tier": "raw"}, "group_name": "crm_{{ entry.name }}"})
    one["post_processing"] = {"assets": [{"target": "key:eu/lists", "attributes": {"owners": ["team:crm"]}}]}

    with loaded(text(one)) as defs:
        found = specs(defs)
        assert {key: (spec.group_name, spec.tags["tier"]) for key, spec in found.items()} == {
            "eu/lists": ("crm_lists", "raw"),
            "eu/profiles": ("crm_profiles", "raw"),
        }
        assert (list(found["eu/lists"].owners), list(found["eu/profiles"].owners)) == (["team:crm"], [])
        assert found["eu/lists"].metadata["dagster/table_name"] == "shop.eu.lists"


SUBCLASS = textwrap.dedent(
    """
    from klaviyo_assets import CATALOG, EventPartitions, KlaviyoComponent
    from klaviyo_assets_tests import outside_types

    SEEN = []


    class Mine(KlaviyoComponent):
        catalog = CATALOG.with_(outside_types.VOUCHERS)

        def get_asset_spec(self, entry):
            return super().get_asset_spec(entry).replace_attributes(group_name=f"mine_{entry.name}")

        def execute(self, context, sync):
            SEEN.append(context.op_def.name)
            yield from super().execute(context, sync)
            SEEN.append(self.account)
    """
)


@dataclass(kw_only=True)
class WithFields(KlaviyoComponent):
    """Has fields of its own."""

    anything: Any = None
    team: Annotated[str, dg.Resolver.default(description="Who owns it.")] = "crm"
    limits: dict[str, int] | list[int] | None = None

    def get_asset_spec(self, entry: ResourceType) -> dg.AssetSpec:
        return super().get_asset_spec(entry).replace_attributes(owners=[f"team:{self.team}"])


def test_subclass_may_have_fields_of_its_own() -> None:
    schema = WithFields.get_model_cls().model_json_schema()["properties"]  # type: ignore[union-attr]
    assert {"anything", "limits", "timeout"} <= set(schema)
    assert schema["team"]["description"] == "Who owns it."

    defs = dg.build_defs_for_component(WithFields(api_key=dg.EnvVar(KEY), database="shop.duckdb", team="data", resource_types=["lists"]))
    assert list(specs(defs)["klaviyo/lists"].owners) == ["team:data"]


@pytest.mark.oldest
def test_subclass_changes_specs_and_runs_code_around_a_sync(account: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, ALL_SCOPES_KEY)
    attributes = {"resource_types": ["lists"], "base_url": account.base_url, "database": str(tmp_path / "shop.duckdb")}
    one = document("eu", **attributes) | {"type": ".parts.Mine"}

    with loaded(text(one), SUBCLASS) as defs:
        assert specs(defs)["eu/lists"].group_name == "mine_lists"
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process()
        (parts,) = [module for name, module in sys.modules.items() if name.endswith(".main.parts")]
    assert result.success
    assert parts.SEEN == ["eu_small_types", "eu"]
    allowed = parts.Mine.get_model_cls().model_json_schema()["properties"]["resource_types"]["else"]["items"]["enum"]
    assert {outside_types.VOUCHERS.name, "lists", "default"} <= set(allowed)
    own = KlaviyoComponent.get_model_cls().model_json_schema()["properties"]["resource_types"]["else"]["items"]["enum"]  # type: ignore[union-attr]
    assert outside_types.VOUCHERS.name not in own
