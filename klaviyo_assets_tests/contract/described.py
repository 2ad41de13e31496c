"""Facts about the catalog's endpoints and types from Klaviyo's OpenAPI description."""

from collections.abc import Iterator
from typing import Any

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.columns import INCLUDED
from klaviyo_assets.catalog.resource_type import ResourceType

JSONAPI = "application/vnd.api+json"

Schema = dict[str, Any]


def variants(description: Schema, schema: Schema) -> Iterator[Schema]:
    """Resolve a schema to plain schemas: its references, all of its parts, each of its choices."""
    if "$ref" in schema:
        yield from variants(description, description["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        return
    for word in ("allOf", "anyOf", "oneOf"):
        for choice in schema.get(word, []):
            yield from variants(description, choice)
    yield schema


def members(description: Schema, schema: Schema) -> dict[str, Schema]:
    """Return the members that an object of a schema can have; a member in several parts combines their schemas."""
    if "$ref" in schema:
        return members(description, description["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    parts = [schema.get("properties", {}), *(members(description, part) for part in schema.get("allOf", []))]
    choices = [members(description, choice) for word in ("anyOf", "oneOf") for choice in schema.get(word, [])]
    return _joined("allOf", [*parts, _joined("anyOf", choices)])


def _joined(word: str, parts: list[dict[str, Schema]]) -> dict[str, Schema]:
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: {word: [part[name] for part in parts if name in part]} for name in names}


def resource(description: Schema, entry: ResourceType) -> Schema:
    """Return the schema of a record in the collection's response; of a type with a host, in the response with one record."""
    response = description["paths"][path_of(entry)]["get"]["responses"]["200"]["content"][JSONAPI]["schema"]
    data = members(description, response)["data"]
    return data if entry.host is not None else {"anyOf": [one["items"] for one in variants(description, data) if "items" in one]}


def path_of(entry: ResourceType) -> str:
    """Return the path of the endpoint that a type's contract describes: of the collection, or of one record for a type with a host."""
    return f"{entry.endpoint.path}/{{id}}" if entry.host is not None else entry.endpoint.path


def included(description: Schema, entry: ResourceType) -> Schema:
    """Return the schema of an included resource in the collection's response."""
    response = description["paths"][entry.endpoint.path]["get"]["responses"]["200"]["content"][JSONAPI]["schema"]
    return {"anyOf": [one["items"] for one in variants(description, members(description, response)["included"]) if "items" in one]}


def _required(description: Schema, schema: Schema, name: str) -> bool:
    """Return whether the member is in every object that the schema allows."""
    if "$ref" in schema:
        return _required(description, description["components"]["schemas"][schema["$ref"].rpartition("/")[2]], name)
    choices = [choice for word in ("anyOf", "oneOf") for choice in schema.get(word, [])]
    by_part = any(_required(description, part, name) for part in schema.get("allOf", []))
    by_choices = bool(choices) and all(_required(description, choice, name) for choice in choices)
    return name in schema.get("required", []) or by_part or by_choices


def _nullable(schema: Schema) -> bool:
    """Return whether a schema or one of its parts also allows null."""
    return bool(schema.get("nullable")) or any(_nullable(part) for word in ("allOf", "anyOf", "oneOf") for part in schema.get(word, []))


def tree(description: Schema, schema: Schema, omitted: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the facts about an object's members, at every depth; facts that do not apply are omitted.

    Args:
        description: The OpenAPI description.
        schema: The object's schema.
        omitted: Members of ``attributes`` that are listed without their own members.

    Returns:
        By member: ``types`` (JSON types), ``values`` (those of an enum), ``promised`` (always there, never null), ``time``,
        ``choices`` (objects of several kinds), ``members``.
    """
    found: dict[str, Any] = {}
    for name, member in members(description, schema).items():
        plain = list(variants(description, member))
        facts = {
            "types": sorted({one["type"] for one in plain if "type" in one}),
            "values": sorted({value for one in plain for value in one.get("enum", [])}),
            "promised": _required(description, schema, name) and not _nullable(member) and not any(_nullable(one) for one in plain),
            # The times of metrics have no format, but their description mentions it.
            "time": any(one.get("format") == "date-time" or "ISO 8601 format" in one.get("description", "") for one in plain),
            "choices": sum("properties" in one for one in plain) > 1,
            "members": {} if name in omitted else tree(description, member, omitted),
        }
        found[name] = {fact: value for fact, value in facts.items() if value}
    return found


def types(description: Schema) -> dict[str, Any]:
    """Return the facts about the records of every type in the catalog, by the type's name."""
    return {
        name: tree(description, resource(description, entry), frozenset(entry.endpoint.additional_fields))
        for name, entry in CATALOG.items()
        if entry.replication.report is None
    }


def reports(description: Schema) -> dict[str, Any]:
    """Return what the requests of every report in the catalog may and must name, by the type's name."""
    return {name: _report(description, entry) for name, entry in CATALOG.items() if entry.replication.report is not None}


def _report(description: Schema, entry: ResourceType) -> dict[str, list[str]]:
    body = description["paths"][entry.endpoint.path]["post"]["requestBody"]["content"][JSONAPI]["schema"]
    (attributes,) = variants(description, members(description, members(description, body)["data"]["allOf"][0])["attributes"]["allOf"][0])
    named = attributes["properties"]
    return {
        "attributes": sorted(named),
        "required": sorted(attributes["required"]),
        "statistics": sorted(named["statistics"]["items"]["enum"]),
        "group_by": sorted(named["group_by"]["items"]["enum"]) if "group_by" in named else [],
    }


def included_types(description: Schema) -> dict[str, Any]:
    """Return the facts about the included resources of types with columns of such resources, by the type's name."""
    found = {name: entry for name, entry in CATALOG.items() if any(column.path[0] == INCLUDED for column in entry.columns)}
    return {name: tree(description, included(description, entry)) for name, entry in found.items()}
