"""The sandbox's records follow Klaviyo's description: names, types, enums and nullability, by the digest (see contract/make_digest.py)."""

from collections.abc import Iterator
from typing import Any

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets_tests.contract.differences import JSON_TYPES
from klaviyo_assets_tests.contract.digest import DIGEST, Facts
from klaviyo_assets_tests.contract.recorded import structure
from klaviyo_assets_tests.sandbox.helpers import path_of
from klaviyo_assets_tests.sandbox.test_openapi import CASES, everything

RECORDED_ALONE = {
    "campaign.attributes.send_options.ignore_unsubscribes",
    "metric.attributes.integration.key",
    "profile.attributes.anonymous_id",
    "profile.attributes.subscriptions.whatsapp",
    "profile.attributes.whatsapp_bsuid",
    "profile.relationships.conversation",
    # The description has the values of dynamic parameters; those of static ones are any text.
    "tracking-setting.attributes.utm_source.campaign.value",
    "tracking-setting.attributes.utm_source.flow.value",
}
"""Members that the API sends, or sends as null, contrary to the description."""


def deviations(value: Any, facts: Facts, path: str) -> Iterator[str]:
    """Yield how a value differs from its description."""
    if path in RECORDED_ALONE:
        return
    found = structure(value)
    kind = {dict: "object", list: "array"}.get(type(value)) or (found if found in {*JSON_TYPES, "null"} else "string")
    if kind == "null":
        if facts.get("promised"):
            yield f"{path} is null"
        return
    types = facts.get("types", [])
    if types and kind not in types and not (kind == "integer" and "number" in types):
        yield f"{path} is {kind}"
    if kind == "string" and facts.get("values") and value not in facts["values"]:
        yield f"{path} is {value}"
    if isinstance(value, dict) and "members" in facts:
        yield from of_members(value, facts, path)


def of_members(value: Facts, facts: Facts, path: str) -> Iterator[str]:
    inner = facts["members"]
    yield from (f"{path}.{name} is missing" for name, one in inner.items() if one.get("promised") and name not in value)
    for name, member in value.items():
        if name in inner:
            yield from deviations(member, inner[name], f"{path}.{name}")
        elif f"{path}.{name}" not in RECORDED_ALONE:
            yield f"{path}.{name} is not described"


@pytest.mark.parametrize(("name", "given"), CASES)
def test_records_are_as_described(http, sandbox, name, given):
    facts = {"members": DIGEST["types"][name], "types": ["object"]}
    for parameters in (given, given | everything(name)):
        records = http.get(path_of(sandbox, name), params=parameters).json()["data"]
        assert records
        assert sorted({deviation for record in records for deviation in deviations(record, facts, CATALOG[name].jsonapi_type)}) == []


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("list.attributes.opt_in_process", "never", "list.attributes.opt_in_process is never"),
        ("list.attributes.name", 7, "list.attributes.name is integer"),
        ("list.id", None, "list.id is null"),
        ("list.colour", 1, "list.colour is not described"),
    ],
)
def test_a_deviation_is_found(http, path, value, expected):
    record = http.get("/api/lists").json()["data"][0]
    *parents, last = path.split(".")[1:]
    place = record
    for name in parents:
        place = place[name]
    place[last] = value

    assert list(deviations(record, {"members": DIGEST["types"]["lists"]}, "list")) == [expected]
