"""Every recorded response of a collection decodes into rows without loss, for all resource types of the catalog.

Every clone tests documents made from the digest: they have the structure of the recorded ones and made-up values. If the recorded responses are next
to the checkout, they are tested too.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import EXTRA, PageDecoder
from klaviyo_assets_tests.contract.digest import DIGEST, RECORDS, SOURCE, Facts, by_type
from klaviyo_assets_tests.contract.example import example
from klaviyo_assets_tests.contract.losses import losses
from klaviyo_assets_tests.contract.recorded import request

Case = tuple[str, ResourceType, Facts]
"""Name of a response, the type that reads its endpoint, and its document."""


def types_at(facts: Facts) -> Iterator[ResourceType]:
    """Yield the types that read the collection of a request."""
    if facts["method"] == "GET":
        yield from (entry for entry in CATALOG.values() if entry.endpoint.path == facts["path"])


def made_up() -> Iterator[Case]:
    for name, response in DIGEST["recorded"].items():
        for entry in types_at(response["request"]) if name.endswith(".200") else ():
            documents = {member: [*examples(response["body"].get(member))] for member in RECORDS}
            yield f"{name}, made up", entry, {**documents, "links": {"next": None}}


def examples(member: Any) -> Iterator[Facts]:
    """Yield a record for each structure of ``data`` or ``included`` whose type is in the catalog."""
    names = {entry.jsonapi_type: name for name, entry in CATALOG.items()}
    for type_name, structures in by_type(member).items():
        if type_name in names:
            yield from (example(type_name, structure, DIGEST["types"][names[type_name]]) for structure in structures)


def recorded() -> Iterator[Case]:
    for file in sorted((SOURCE / "recorded").glob("*.200.json")):
        response = json.loads(file.read_text())
        for entry in types_at(request(response["request"])):
            yield file.name.removesuffix(".json"), entry, response["body"]


def with_included(cases: Iterable[Case]) -> Iterator[Case]:
    """Yield the cases and, as collections of their own, the resources that their documents include: some types are read from these."""
    entries = {entry.jsonapi_type: entry for entry in CATALOG.values() if entry.parent is None}
    for name, entry, document in cases:
        yield name, entry, document
        included = [one for one in document.get("included", []) if one.get("attributes")]
        for type_name in {one["type"] for one in included} & entries.keys():
            yield f"{name}, included", entries[type_name], {"data": [one for one in included if one["type"] == type_name], "links": {"next": None}}


def rows_of(entry: ResourceType, document: Facts) -> list[Facts]:
    page = PageDecoder(entry).page(json.dumps(document).encode())
    return (page.of_parent("a parent") if entry.parent is not None else page).frame.to_dicts()


@pytest.mark.parametrize("cases", [made_up, pytest.param(recorded, marks=pytest.mark.skipif(not SOURCE.is_dir(), reason="no recorded responses"))])
def test_every_recorded_collection_decodes_without_loss(cases: Any) -> None:
    seen: set[str] = set()
    lost: list[str] = []
    for name, entry, document in with_included(cases()):
        rows = rows_of(entry, document)
        assert len(rows) == len(document["data"]), name
        seen |= {entry.name} if rows else set()
        lost += [f"{name}: {path}" for record, row in zip(document["data"], rows, strict=True) for path in losses(entry, record, row)]

    assert lost == []
    assert seen >= {
        "campaigns",
        "catalog_category_items",
        "catalog_items",
        "coupons",
        "events",
        "forms",
        "list_members",
        "mapped_metrics",
        "metrics",
        "profiles",
        "tag_groups",
        "tags",
        "web_feeds",
        "webhooks",
    }


FORM = {
    "type": "form",
    "id": "AbC123",
    "attributes": {"name": "Popup", "status": "live", "created_at": "2026-09-04T13:40:14+00:00", "colour": "red"},
    "relationships": {"form-versions": {"data": [{"type": "form-version", "id": "1"}], "links": {}}, "owner": {"data": {"type": "user", "id": "2"}}},
    "links": {"self": "https://a.klaviyo.com/api/forms/AbC123/"},
}


@pytest.mark.parametrize(
    ("forgotten", "path"),
    [
        ({"id": "other"}, ["id"]),
        ({"name": None}, ["attributes.name"]),
        ({"created_at": None}, ["attributes.created_at"]),
        ({"form_version_ids": None}, ["relationships.form-versions"]),
        ({EXTRA: None}, ["attributes.colour", "relationships.owner"]),
        ({}, []),
    ],
)
def test_a_lost_member_is_listed(forgotten: Facts, path: list[str]) -> None:
    (row,) = rows_of(CATALOG["forms"], {"data": [FORM], "links": {}})

    assert losses(CATALOG["forms"], FORM, row | forgotten) == path
