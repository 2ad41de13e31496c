"""Resource types from outside the package: names that Dagster cannot use, and how their assets look."""

from dataclasses import replace

import pytest

from klaviyo_assets import CATALOG, KlaviyoResource, build_klaviyo_assets, build_klaviyo_definitions
from klaviyo_assets.validation import InvalidDefinition
from klaviyo_assets_tests.outside_types import COUPONS


@pytest.mark.parametrize("name", ["sync", "checks", "audit", "repair", "full_profiles", "sync_frequent"])
def test_a_type_cannot_have_the_name_of_a_job(name: str) -> None:
    catalog = CATALOG.with_(replace(COUPONS, name=name))

    with pytest.raises(
        InvalidDefinition, match=f"^The resource type {name} cannot have this name: its op would be shop_{name}, and that name is taken"
    ):
        build_klaviyo_definitions(KlaviyoResource(api_key="pk_x"), duckdb="x.duckdb", catalog=catalog, name="shop")


def test_a_type_cannot_have_the_name_of_the_shared_op() -> None:
    with pytest.raises(InvalidDefinition, match=r"^The resource type small_types cannot have this name: "):
        build_klaviyo_assets(catalog=CATALOG.with_(replace(COUPONS, name="small_types")))


@pytest.mark.parametrize("name", ["sync", "small_types"])
def test_a_type_in_the_shared_op_may_have_such_a_name(name: str) -> None:
    catalog = CATALOG.with_(replace(COUPONS, name=name, read_in_seconds=True))

    definitions = build_klaviyo_definitions(KlaviyoResource(api_key="pk_x"), duckdb="x.duckdb", catalog=catalog)

    assert definitions.resolve_all_job_defs()
