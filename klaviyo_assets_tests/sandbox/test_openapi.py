"""Responses are valid by Klaviyo's OpenAPI description; skipped without a copy of it next to the checkout."""

import json
from pathlib import Path
from typing import Any

import openapi_schema_validator as validators
import pytest

from klaviyo_assets.catalog import CATALOG, REVISION
from klaviyo_assets.sandbox import key_lacking
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.sandbox.helpers import headers, path_of

DESCRIPTION = Path(__file__).parents[3] / "shared" / "klaviyo" / f"openapi-{REVISION}.json"


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    if not DESCRIPTION.exists():
        pytest.skip(f"Klaviyo's OpenAPI description is not at {DESCRIPTION}")
    return json.loads(DESCRIPTION.read_text(), object_hook=fixed)


def fixed(schema: dict[str, Any]) -> dict[str, Any]:
    """Fix schemas that no response can satisfy: oneOf with overlapping choices; nullable next to oneOf, enum or a reference that has no null."""
    if schema.get("nullable") is True and "$ref" in schema:
        return {"anyOf": [{"$ref": schema["$ref"]}, {"enum": [None], "nullable": True}]}
    if schema.get("nullable") is True and isinstance(schema.get("enum"), list):
        return schema | {"enum": [*schema["enum"], None]}
    if not isinstance(schema.get("oneOf"), list):
        return schema
    choices = schema["oneOf"] + ([{"enum": [None], "nullable": True}] if schema.get("nullable") else [])
    return {name: value for name, value in schema.items() if name != "oneOf"} | {"anyOf": choices}


def without_whatsapp(data: Any) -> None:
    """Remove the null that Klaviyo sends for a channel that the account does not use; the description allows only an object."""
    for record in data if isinstance(data, list) else [data]:
        subscriptions = record.get("attributes", {}).get("subscriptions", {})
        if subscriptions.get("whatsapp", ...) is None:
            del subscriptions["whatsapp"]


def without_null_relationships(data: Any) -> None:
    """Remove the null that Klaviyo sends for a message without a template or an image; the description allows only an object."""
    for record in data if isinstance(data, list) else [data]:
        for relationship in record.get("relationships", {}).values():
            if relationship.get("data", ...) is None:
                del relationship["data"]


def deviations(description: dict[str, Any], schema: dict[str, Any], document: dict[str, Any]) -> list[str]:
    if "data" in document:
        without_whatsapp(document["data"])
        without_null_relationships(document["data"])
    validator = validators.OAS30Validator({**schema, "components": description["components"]})
    return [f"{'/'.join(map(str, found.absolute_path))}: {found.message[:200]}" for found in validator.iter_errors(document)]


def schema_of(description: dict[str, Any], path: str) -> dict[str, Any]:
    return description["paths"][path]["get"]["responses"]["200"]["content"]["application/vnd.api+json"]["schema"]


def without_null_links(document: dict[str, Any]) -> dict[str, Any]:
    """Remove the links that Klaviyo sends as null; the description allows only strings."""
    return document | {"links": {name: link for name, link in document["links"].items() if link is not None}}


def everything(name: str) -> dict[str, str]:
    entry = CATALOG[name]
    parameters = {}
    if entry.endpoint.page_size:
        parameters["page[size]"] = str(entry.endpoint.page_size.maximum)
    if entry.endpoint.includes:
        parameters["include"] = ",".join(entry.endpoint.includes)
    if entry.endpoint.additional_fields:
        parameters[f"additional-fields[{entry.jsonapi_type}]"] = ",".join(entry.endpoint.additional_fields)
    return parameters


CASES = [(name, {}) for name, entry in COLLECTIONS.items() if entry.endpoint.required_filter is None and entry.host is None] + [
    ("campaigns", {"filter": f"equals(messages.channel,'{channel}')"}) for channel in ("email", "sms", "mobile_push")
] + [("flows", {"filter": "equals(archived,true)"}), ("reviews", {"filter": "equals(status,'all')"})]  # fmt: skip


@pytest.mark.parametrize(("name", "given"), CASES)
def test_collections_are_valid(description, http, sandbox, name, given):
    path = CATALOG[name].endpoint.path
    for parameters in (given, given | everything(name)):
        document = http.get(path_of(sandbox, name), params=parameters).json()
        assert document["data"]
        assert deviations(description, schema_of(description, path), without_null_links(document)) == []


@pytest.mark.parametrize("name", [name for name, entry in COLLECTIONS.items() if entry.endpoint.lookup_limit])
def test_single_records_are_valid(description, http, sandbox, name):
    path = CATALOG[name].endpoint.path
    parameters = {key: value for key, value in everything(name).items() if key != "page[size]"}
    document = http.get(f"{path}/{sandbox.truth(name)[0]['id']}", params=parameters).json()
    assert deviations(description, schema_of(description, f"{path}/{{id}}"), document) == []


@pytest.mark.parametrize(
    ("path", "key"),
    [("/api/events?sort=x", None), ("/api/events/unknown", None), ("/api/lists", "pk_unknown"), ("/api/lists", key_lacking("lists:read"))],
)
def test_errors_are_valid(description, http, path, key):
    response = http.get(path, headers=headers(key) if key else {})
    schema = description["components"]["responses"]["ClientError"]["content"]["application/vnd.api+json"]["schema"]
    assert response.status_code >= 400
    assert deviations(description, schema, response.json()) == []
