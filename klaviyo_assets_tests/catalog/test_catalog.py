"""The catalog object: names, order, selection, and custom resource types."""

from dataclasses import replace
from pathlib import Path

import pytest

from klaviyo_assets.catalog import CATALOG, Catalog, CatalogError, ResourceType, UnknownResourceType, types
from klaviyo_assets.catalog.catalog_errors import MissingTrait
from klaviyo_assets.catalog.columns import parent_id, record_id
from klaviyo_assets.catalog.discovery import discover
from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.catalog.resource_type import Parent
from klaviyo_assets_tests.each import each

BRANDS = replace(CATALOG["metrics"], name="brands", jsonapi_type="brand")


def child(name: str, parent: ResourceType) -> ResourceType:
    path = f"/api/{parent.name}/{{id}}/{name}"
    return replace(
        CATALOG["list_members"],
        name=name,
        jsonapi_type=name,
        columns=(parent_id("parent_id", "Id of the parent."), record_id("Its own id.")),
        primary_key=("parent_id", "id"),
        subject_column=None,
        parent=Parent(parent, path, "parent_id"),
        endpoint=replace(CATALOG["list_members"].endpoint, path=path),
        replication=PerParent(),
        only_fields=(),
    )


def test_catalog_has_the_types_of_all_modules_once() -> None:
    assert Catalog(discover()) == CATALOG
    assert len(list(discover())) == len(CATALOG)


def test_a_module_added_to_the_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zebras.py").write_text(
        "from dataclasses import replace\n"
        "from klaviyo_assets.catalog.types.metrics import METRICS\n"
        "ZEBRAS = replace(METRICS, name='zebras', jsonapi_type='zebra')\n"
    )
    monkeypatch.setattr(types, "__path__", [*types.__path__, str(tmp_path)])

    assert [*Catalog(discover())] == [*CATALOG, "zebras"]


def test_types_are_ordered_by_name_with_parents_first() -> None:
    only = child("ab", CATALOG["metrics"])
    grandchild = child("aa", only)

    names = [*CATALOG]
    assert [name for name in names if CATALOG[name].parent is None][-1] == max(name for name in names if CATALOG[name].parent is None)
    assert all(names.index(entry.parent.type_name) < names.index(name) for name, entry in CATALOG.items() if entry.parent)
    assert [*Catalog([BRANDS, grandchild, CATALOG["metrics"], only])] == ["metrics", "ab", "aa", "brands"]


def test_added_type_does_not_change_the_default_catalog() -> None:
    more = CATALOG.with_(BRANDS)

    assert more["brands"] is BRANDS
    assert "brands" not in CATALOG
    assert set(more) == {*CATALOG, "brands"}


def test_selection_has_only_the_given_types() -> None:
    assert [*CATALOG.select(["reviews", "lists", "reviews"])] == ["lists", "reviews"]


def test_opt_in_type_is_not_a_default() -> None:
    assert "brands" not in CATALOG.with_(replace(BRANDS, opt_in=True)).default_names
    assert "brands" in CATALOG.with_(BRANDS).default_names


def test_it_is_immutable() -> None:
    with pytest.raises(TypeError):
        CATALOG["metrics"] = BRANDS  # type: ignore[index]


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UnknownResourceType, match=r"^'brand' is not a resource type\. Known types: accounts, campaign"):
        CATALOG.select(["brand"])
    with pytest.raises(KeyError):
        CATALOG["brand"]
    assert CATALOG.get("brand") is None


def test_duplicate_name_is_an_error() -> None:
    with pytest.raises(CatalogError, match="Two resource types are named brands"):
        CATALOG.with_(BRANDS, replace(BRANDS))


def test_missing_parent_is_an_error_that_names_it() -> None:
    with pytest.raises(CatalogError, match=r"aa needs its parent metrics, which is missing\. Add metrics to the resource types"):
        Catalog([child("aa", CATALOG["metrics"]), BRANDS])


@pytest.mark.parametrize(("name", "host"), [("campaign_messages", "campaigns"), ("flow_actions", "flows")])
def test_missing_host_is_an_error_that_names_it(name: str, host: str) -> None:
    with pytest.raises(CatalogError, match=rf"^{name} needs its host {host}, which is missing\. Add {host} to the resource types\.$"):
        Catalog([CATALOG[name], BRANDS])


def test_path_of_children_contains_the_parent_id() -> None:
    members = child("members", CATALOG["lists"])

    assert members.path_of("Y6/nRL") == "/api/lists/Y6%2FnRL/members"
    assert CATALOG["lists"].path_of(None) == "/api/lists"
    with pytest.raises(ValueError, match="needs the id of one of the lists"):
        members.path_of(None)


@pytest.mark.parametrize("column", ["profile", "updated"], ids=["no such column", "no text"])
def test_a_person_must_be_named_by_a_column_of_text(column: str) -> None:
    with pytest.raises(CatalogError, match=f"subject_column of brands is {column}, which is not one of its columns of type STRING"):
        CATALOG.with_(replace(BRANDS, subject_column=column))


def test_an_update_adds_types_and_replaces_those_of_the_same_name() -> None:
    lists = replace(CATALOG["lists"], description="Mine.")

    updated = CATALOG.select(["lists", "metrics"]).updated(Catalog([BRANDS, lists]))

    assert [*updated] == ["brands", "lists", "metrics"]
    assert updated["lists"] is lists


@each(CATALOG.values())
def test_types_of_the_package_declare_the_column_of_the_profile(entry: ResourceType) -> None:
    assert entry.profile_column == entry.subject_column


def test_the_type_that_identifies_the_account_is_found_by_its_role() -> None:
    assert CATALOG.account_type is CATALOG["accounts"]
    with pytest.raises(UnknownResourceType, match=r"No resource type identifies the account\. Known types: lists"):
        _ = CATALOG.select(["lists"]).account_type


def test_the_types_of_events_and_metrics_are_found_by_their_roles() -> None:
    assert (CATALOG.events_type, CATALOG.metrics_type) == (CATALOG["events"], CATALOG["metrics"])
    with pytest.raises(UnknownResourceType, match=r"No resource type has the events\. Known types: lists"):
        _ = CATALOG.select(["lists"]).events_type
    with pytest.raises(UnknownResourceType, match=r"No resource type names the metrics\. Known types: lists"):
        _ = CATALOG.select(["lists"]).metrics_type


@pytest.mark.parametrize("dropped", [{"has_metric_views": False}, {"has_metric_views": False, "partitioned": False}], ids=["views", "partitions too"])
def test_events_of_ones_own_are_found_without_views_and_partitions(dropped: dict[str, bool]) -> None:
    own = replace(CATALOG["events"], **dropped)  # type: ignore[arg-type]

    assert CATALOG.updated({"events": own}).events_type is own


@pytest.mark.parametrize(
    ("accessor", "lacks"),
    [
        ("required_parent", "parent"),
        ("required_parent_filter", "parent"),
        ("required_host", "host"),
        ("required_count_check", "count check"),
        ("required_groups", "ParentGroups"),
    ],
)
def test_a_type_that_is_used_as_what_it_is_not_is_named(accessor: str, lacks: str) -> None:
    with pytest.raises(MissingTrait, match=f"The resource type metrics has no {lacks}, but the code that uses it needs one"):
        getattr(CATALOG["metrics"], accessor)


def test_a_column_that_is_used_as_a_computed_one_is_named() -> None:
    with pytest.raises(MissingTrait, match="The column id has no computed value"):
        _ = CATALOG["metrics"].columns[0].required_computed
