"""Every recorded response with records of the catalog decodes into rows without loss: collections, look-ups of one record, and included resources.

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

Response = tuple[str, Facts, Facts]
"""Name of a response, its request, and its document."""

Case = tuple[str, ResourceType, Facts]
"""Name of a response, the type that its records are decoded for, and a document with them."""


def owners() -> dict[str, ResourceType]:
    """Return the type that keeps the whole record of each JSON:API type; predictive analytics and members of a list keep a part of a profile."""
    found: dict[str, ResourceType] = {}
    for entry in sorted(CATALOG.values(), key=lambda entry: (entry.parent is not None, bool(entry.only_fields))):
        if entry.replication.report is None:
            found.setdefault(entry.jsonapi_type, entry)
    return found


OWNERS = owners()


def types_at(facts: Facts) -> Iterator[ResourceType]:
    """Yield the types that read the collection of a request."""
    if facts["method"] == "GET":
        yield from (entry for entry in CATALOG.values() if entry.endpoint.path == facts["path"])


def made_up() -> Iterator[Response]:
    for name, response in DIGEST["recorded"].items():
        if name.endswith(".200"):
            yield name, response["request"], {member: [*examples(response["body"].get(member))] for member in RECORDS}


def examples(member: Any) -> Iterator[Facts]:
    """Yield a record for each structure of ``data`` or ``included`` whose type is in the catalog."""
    for type_name, structures in by_type(member).items():
        if type_name in OWNERS:
            yield from (example(type_name, structure, DIGEST["types"][OWNERS[type_name].name]) for structure in structures)


def recorded() -> Iterator[Response]:
    for file in sorted((SOURCE / "recorded").glob("*.200.json")):
        response = json.loads(file.read_text())
        yield file.name.removesuffix(".json"), request(response["request"]), response["body"]


def collections(responses: Iterable[Response]) -> Iterator[Case]:
    """Yield the responses for collections, once for each type that reads them."""
    for name, facts, document in responses:
        yield from ((name, entry, document) for entry in types_at(facts))


def resources(responses: Iterable[Response]) -> Iterator[Case]:
    """Yield the resources of all responses, each kind as a collection: answers to look-ups, children of a record, what is included."""
    for name, _, document in responses:
        data = document["data"] or []
        found = [*(data if isinstance(data, list) else [data]), *document.get("included", [])]
        by_name = {type_name: [one for one in found if one["type"] == type_name and one.get("attributes")] for type_name in OWNERS}
        yield from ((name, OWNERS[type_name], {"data": records}) for type_name, records in by_name.items() if records)


def unrequested() -> set[str]:
    """Return the types whose endpoint no recorded request names: a contributor who adds one has no recorded responses."""
    paths = {one["request"]["path"].removesuffix("/{id}") for one in DIGEST["recorded"].values()}
    return {entry.name for entry in CATALOG.values() if entry.endpoint.path.removesuffix("/{id}") not in paths}


RESPONSES = pytest.mark.parametrize(
    "responses", [made_up, pytest.param(recorded, marks=pytest.mark.skipif(not SOURCE.is_dir(), reason="no recorded responses"))]
)


def rows_of(entry: ResourceType, document: Facts) -> list[Facts]:
    page = PageDecoder(entry).page(json.dumps(document).encode())
    return (page.of_parent("a parent") if entry.parent is not None else page).frame.to_dicts()


def lost(cases: Iterable[Case]) -> Iterator[str]:
    for name, entry, document in cases:
        rows = rows_of(entry, {"links": {"next": None}, **document})
        assert len(rows) == len(document["data"]), name
        yield from (f"{name}: {path}" for record, row in zip(document["data"], rows, strict=True) for path in losses(entry, record, row))


@RESPONSES
def test_every_recorded_collection_decodes_without_loss(responses: Any) -> None:
    cases = [*collections(responses())]

    assert [*lost(cases)] == []
    assert {entry.name for _, entry, document in cases if document["data"]} >= {
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


@RESPONSES
def test_every_recorded_resource_decodes_without_loss(responses: Any) -> None:
    cases = [*resources(responses())]

    assert [*lost(cases)] == []
    assert {(name.split(".200")[0], entry.name) for name, entry, _ in cases} >= {
        ("get_coupon_code", "coupon_codes"),
        ("get_form_version", "form_versions"),
        ("get_metric_property", "metric_properties"),
        ("get_profile", "profiles"),
        ("get_variants_for_catalog_item", "catalog_variants"),
    }
    without_record = {entry.name for entry in OWNERS.values()} - {entry.name for _, entry, _ in cases}
    assert without_record - unrequested() == {"object_records", "object_types", "push_tokens", "reviews"}, "the recorded account had none"


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
