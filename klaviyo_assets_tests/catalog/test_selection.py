"""Selecting resource types by names and groups."""

from dataclasses import replace

import pytest

from klaviyo_assets.catalog import CATALOG, Catalog, CatalogError, UnknownResourceType
from klaviyo_assets.catalog.groups import GROUPS
from klaviyo_assets.catalog.selection import select

LOYALTY = replace(CATALOG["metrics"], name="points", group="loyalty")


def test_every_type_of_the_package_is_in_a_group_of_the_package() -> None:
    assert {entry.group for entry in CATALOG.values()} <= set(GROUPS)


def test_names_and_groups_can_be_mixed() -> None:
    templates = {name for name, entry in CATALOG.items() if entry.group == "messages"}

    assert {*select(CATALOG, ["messages", "reviews", "templates"])} >= {*templates, "reviews"}


def test_all_and_default_are_sets_of_their_own() -> None:
    assert select(CATALOG, ["all"]) == CATALOG
    assert {*select(CATALOG, ["default"])} == {*CATALOG.default_names}
    assert {*select(CATALOG, ["default", "list_members"])} == {*CATALOG.default_names, "list_members"}


def test_what_a_type_needs_is_added() -> None:
    assert [*select(CATALOG, ["list_members"])] == ["lists", "list_members"]


def test_a_group_of_your_own_selects_its_types() -> None:
    assert [*select(CATALOG.with_(LOYALTY), ["loyalty"])] == ["points"]


def test_an_unknown_name_is_an_error_that_lists_types_and_groups_and_near_names() -> None:
    with pytest.raises(UnknownResourceType) as caught:
        select(CATALOG, ["list_member", "Messages", "nonsense"])

    words = caught.value.summary
    assert words.startswith("Unknown resource types: list_member, Messages, nonsense. Did you mean list_members or ")
    assert " messages" in words.partition("?")[0]
    assert all(f" {name}" in words for name in (*CATALOG, *CATALOG.groups, "default", "all"))


@pytest.mark.parametrize("name", [*GROUPS, "all", "default", "Reports"])
def test_no_type_has_the_name_of_a_group(name: str) -> None:
    with pytest.raises(CatalogError, match=f"The resource type {name} has the name of a group"):
        Catalog([replace(LOYALTY, name=name)])


def test_no_type_has_the_name_of_the_group_of_another() -> None:
    with pytest.raises(CatalogError, match="The resource type loyalty has the name of a group"):
        Catalog([LOYALTY, replace(LOYALTY, name="loyalty", group="core")])
