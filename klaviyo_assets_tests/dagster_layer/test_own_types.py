"""Resource types from outside the package: names that Dagster cannot use, and how their assets look."""

from collections.abc import Callable
from dataclasses import replace

import dagster as dg
import pytest

from klaviyo_assets import CATALOG, KlaviyoResource, KlaviyoTranslator, build_klaviyo_assets, build_klaviyo_definitions
from klaviyo_assets.catalog import RANGE, ColumnType, FullTable, Incremental, attribute
from klaviyo_assets.checks.asset_checks import schema_drift, unknown_attributes
from klaviyo_assets.quality.drift import Drift, DriftKind
from klaviyo_assets.validation import InvalidDefinition
from klaviyo_assets_tests.outside_types import VOUCHERS


@pytest.mark.parametrize("name", ["sync", "checks", "audit", "repair", "full_profiles", "sync_frequent"])
def test_a_type_cannot_have_the_name_of_a_job(name: str) -> None:
    catalog = CATALOG.with_(replace(VOUCHERS, name=name))

    with pytest.raises(
        InvalidDefinition, match=f"^The resource type {name} cannot have this name: its op would be shop_{name}, and that name is taken"
    ):
        build_klaviyo_definitions(KlaviyoResource(api_key="pk_x"), duckdb="x.duckdb", catalog=catalog, name="shop")


def test_a_type_cannot_have_the_name_of_the_shared_op() -> None:
    with pytest.raises(InvalidDefinition, match=r"^The resource type small_types cannot have this name: "):
        build_klaviyo_assets(catalog=CATALOG.with_(replace(VOUCHERS, name="small_types")))


@pytest.mark.parametrize("url", ["", "https://developers.klaviyo.com/en/reference/get_vouchers"], ids=["none", "some"])
def test_only_known_documentation_is_linked(url: str) -> None:
    description = KlaviyoTranslator().get_asset_spec(replace(VOUCHERS, docs_url=url)).description

    link = f" [Klaviyo's documentation]({url})" if url else ""
    assert description == f"One row per voucher.\n\nScope: `vouchers:read`.{link}"


@pytest.mark.parametrize("check", [unknown_attributes, schema_drift])
def test_checks_advise_to_correct_the_own_type(check: Callable[..., dg.AssetCheckResult]) -> None:
    drifts = [Drift(DriftKind.NEW, "color", "no such attribute", 3, "1", "red")]

    ours, own = (check(drifts, dg.AssetKey("vouchers"), own_type).description or "" for own_type in (None, "vouchers"))

    assert "upgrade klaviyo_assets" in ours
    assert "upgrade" not in own
    assert "the resource type vouchers" in own


@pytest.mark.parametrize("name", ["sync", "small_types"])
def test_a_type_in_the_shared_op_may_have_such_a_name(name: str) -> None:
    catalog = CATALOG.with_(replace(VOUCHERS, name=name, read_in_seconds=True))

    definitions = build_klaviyo_definitions(KlaviyoResource(api_key="pk_x"), duckdb="x.duckdb", catalog=catalog)

    assert definitions.resolve_all_job_defs()


@pytest.mark.parametrize(("role", "name"), [("partitioned", "events"), ("identifies_account", "accounts")])
def test_a_type_cannot_have_the_role_of_another(role: str, name: str) -> None:
    catalog = CATALOG.with_(replace(VOUCHERS, **{role: True}))  # type: ignore[arg-type]

    with pytest.raises(InvalidDefinition, match=rf"^The resource type vouchers cannot have {role}=True: only {name} can\. Leave it out\.$"):
        build_klaviyo_assets(catalog=catalog)


def test_a_type_that_replaces_another_keeps_its_role() -> None:
    catalog = CATALOG.updated({"events": replace(CATALOG["events"], refresh="daily")})

    keys = [spec.key.path[-1] for asset in build_klaviyo_assets(catalog=catalog, partitions="daily") for spec in asset.specs]
    assert "events_by_day" in keys


def test_partitions_are_by_the_time_field_of_the_own_type() -> None:
    events = CATALOG["events"]
    endpoint = replace(events.endpoint, filters={**events.endpoint.filters, "happened_at": RANGE}, sorts=(*events.endpoint.sorts, "happened_at"))
    happened_at = attribute("happened_at", ColumnType.TIMESTAMP, "When it happened.")
    own = replace(events, endpoint=endpoint, columns=(*events.columns, happened_at), replication=Incremental("happened_at", lookback_ages=()))

    specs = [spec for asset in build_klaviyo_assets(catalog=CATALOG.updated({"events": own}), partitions="daily") for spec in asset.specs]

    (by_day,) = [spec for spec in specs if spec.key.path[-1] == "events_by_day"]
    assert by_day.metadata["partition_expr"] == "happened_at"


def test_partitions_need_times_of_rows() -> None:
    catalog = CATALOG.updated({"events": replace(CATALOG["events"], replication=FullTable())})

    assert build_klaviyo_assets(catalog=catalog, resource_types=["events"])
    with pytest.raises(InvalidDefinition, match=r"^partitions= need times .* the replication of events has no range_field\. Leave partitions out\.$"):
        build_klaviyo_assets(catalog=catalog, resource_types=["events"], partitions="daily")
