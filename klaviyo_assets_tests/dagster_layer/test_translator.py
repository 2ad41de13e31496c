"""Translators: keys, groups, schemas, owners and tags of an account's assets."""

import dagster as dg
import pytest

from klaviyo_assets import (
    CATALOG,
    KlaviyoTranslator,
    build_klaviyo_assets,
)
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.validation import InvalidDefinition
from klaviyo_assets_tests.dagster_layer.builds import build, specs

# Custom translators ------------------------------------------------------------------------------------------------------------------------------


class ByTeam(KlaviyoTranslator):
    """The example from the documentation."""

    def get_asset_spec(self, entry: ResourceType) -> dg.AssetSpec:
        spec = super().get_asset_spec(entry)
        return spec.replace_attributes(group_name="crm", owners=["team:crm"], tags={**spec.tags, "tier": "raw"})


class OwnSchema(KlaviyoTranslator):
    """Sets fields in the class body."""

    schema = "crm"
    tags = {"tier": "raw"}  # noqa: RUF012


def test_a_translator_follows_the_name_and_gets_owners_and_tags() -> None:
    spec = specs(build(name="us", owners=["team:data"], tags={"tier": "none", "who": "us"}, translator=ByTeam()))["us/lists"]

    assert spec.metadata["dagster/table_name"] == "shop.us.lists"
    assert spec.metadata["dagster/io_manager_key"] == "us_frames"
    assert list(spec.owners) == ["team:crm", "team:data"]
    assert {name: spec.tags[name] for name in ("tier", "who")} == {"tier": "raw", "who": "us"}
    assert spec.group_name == "crm"


def test_two_accounts_with_a_translator_have_their_own_schemas_and_resources() -> None:
    translator = ByTeam()
    both = dg.Definitions.merge(build(name="eu", translator=translator), build(name="us", translator=translator))

    dg.Definitions.validate_loadable(both)
    assert {spec.metadata["dagster/table_name"] for spec in specs(both).values()} >= {"shop.eu.lists", "shop.us.lists"}
    assert {"eu_frames", "us_frames"} <= set(both.resources or {})


def test_two_accounts_may_have_two_translators() -> None:
    both = dg.Definitions.merge(build(name="eu", translator=ByTeam()), build(name="us", translator=PrefixInTheClass()))

    dg.Definitions.validate_loadable(both)
    tables = {key: spec.metadata["dagster/table_name"] for key, spec in specs(both).items() if key.endswith("/lists")}
    assert tables == {"eu/lists": "shop.eu.lists", "crm/lists": "shop.us.lists"}
    assert (specs(both)["eu/lists"].group_name, specs(both)["crm/lists"].group_name) == ("crm", "us")


@pytest.mark.parametrize(
    ("translator", "table"),
    [
        (KlaviyoTranslator(schema="klaviyo"), "shop.klaviyo.lists"),
        (KlaviyoTranslator(key_prefix=["us"], schema="mine"), "shop.mine.lists"),
        (OwnSchema(), "shop.crm.lists"),
    ],
    ids=["equal to the default", "others", "in the class"],
)
def test_fields_of_a_translator_are_kept(translator: KlaviyoTranslator, table: str) -> None:
    assert specs(build(name="us", translator=translator))["us/lists"].metadata["dagster/table_name"] == table


class PrefixInTheClass(KlaviyoTranslator):
    """Sets a prefix in the class body."""

    key_prefix = "crm"


class OwnKeys(KlaviyoTranslator):
    """Builds its keys from the prefix, and has a constructor of its own."""

    def __init__(self) -> None:
        super().__init__(key_prefix="crm")

    def get_asset_spec(self, entry: ResourceType) -> dg.AssetSpec:
        return super().get_asset_spec(entry).replace_attributes(key=dg.AssetKey([*self.key_prefix, entry.name]))


@pytest.mark.parametrize("translator", [KlaviyoTranslator(key_prefix="crm"), PrefixInTheClass(), OwnKeys()], ids=["field", "class", "own keys"])
def test_a_key_prefix_may_be_a_string(translator: KlaviyoTranslator) -> None:
    assert "crm/lists" in specs(build(name="us", translator=translator))
    (asset,) = build_klaviyo_assets(resource_types=["lists"], translator=translator)
    assert [key.path for key in asset.keys] == [["crm", "lists"]]


def test_fields_in_the_class_apply_to_separate_assets_too() -> None:
    (asset,) = build_klaviyo_assets(resource_types=["lists"], translator=OwnSchema())
    (spec,) = asset.specs

    assert spec.metadata["dagster/table_name"] == "crm.lists"
    assert spec.tags["tier"] == "raw"


def test_defaults_of_a_translator() -> None:
    translator = KlaviyoTranslator()
    assert (translator.schema, translator.group_name, tuple(translator.key_prefix)) == ("klaviyo", "klaviyo", ("klaviyo",))
    assert translator.get_asset_spec(CATALOG["lists"]).metadata["dagster/table_name"] == "klaviyo.lists"


def test_translator_that_changes_keys_keeps_all_jobs() -> None:
    class Turned(KlaviyoTranslator):
        def get_asset_spec(self, entry: ResourceType) -> dg.AssetSpec:
            return super().get_asset_spec(entry).replace_attributes(key=dg.AssetKey(["crm", f"{entry.name}_raw"]))

    jobs = {job.name for job in build(translator=Turned()).resolve_all_job_defs()}
    assert {"klaviyo_sync_frequent", "klaviyo_full_profiles", "klaviyo_audit", "klaviyo_repair"} <= jobs


def test_a_translator_that_gives_two_types_one_key_is_refused() -> None:
    class One(KlaviyoTranslator):
        def get_asset_spec(self, entry: ResourceType) -> dg.AssetSpec:
            return super().get_asset_spec(entry).replace_attributes(key=dg.AssetKey("one"))

    with pytest.raises(InvalidDefinition, match="accounts and campaigns the same asset key: one"):
        build(translator=One())
