"""Facts about our endpoints and types, read from Klaviyo's OpenAPI description."""

from collections.abc import Iterator
from typing import Any

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType

JSONAPI = "application/vnd.api+json"

Schema = dict[str, Any]


def variants(description: Schema, schema: Schema) -> Iterator[Schema]:
    """Yield the plain schemas that a schema stands for: what it refers to, all of its parts, each of its choices."""
    if "$ref" in schema:
        yield from variants(description, description["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        return
    for word in ("allOf", "anyOf", "oneOf"):
        for choice in schema.get(word, []):
            yield from variants(description, choice)
    yield schema


def members(description: Schema, schema: Schema) -> dict[str, Schema]:
    """Return the members that an object of a schema may have."""
    found: dict[str, list[Schema]] = {}
    for variant in variants(description, schema):
        for name, member in variant.get("properties", {}).items():
            found.setdefault(name, []).append(member)
    return {name: {"anyOf": schemas} for name, schemas in found.items()}


def resource(description: Schema, entry: ResourceType) -> Schema:
    """Return the schema of a record in the collection's response."""
    response = description["paths"][entry.endpoint.path]["get"]["responses"]["200"]["content"][JSONAPI]["schema"]
    return {"anyOf": [one["items"] for one in variants(description, members(description, response)["data"]) if "items" in one]}


def _promised(description: Schema, parent: Schema, name: str, plain: list[Schema]) -> bool:
    """Return whether every object that ``parent`` allows has the member, never null."""
    objects = [one for one in variants(description, parent) if "properties" in one]
    everywhere = all(name in one["properties"] and name in one.get("required", []) for one in objects)
    return everywhere and not any(one.get("nullable") for one in plain)


def tree(description: Schema, schema: Schema, left_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the facts about an object's members, at every depth; a fact that does not hold is left out.

    Args:
        description: The OpenAPI description.
        schema: The object's schema.
        left_out: Members of ``attributes`` that are named without their own members.

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
            "promised": _promised(description, schema, name, [*plain, *member["anyOf"]]),
            # The times of metrics have no format, but the text about them names it.
            "time": any(one.get("format") == "date-time" or "ISO 8601 format" in one.get("description", "") for one in plain),
            "choices": sum("properties" in one for one in plain) > 1,
            "members": {} if name in left_out else tree(description, member, left_out),
        }
        found[name] = {fact: value for fact, value in facts.items() if value}
    return found


def types(description: Schema) -> dict[str, Any]:
    """Return the facts about the records of every type of the catalog, by the catalog's name."""
    return {name: tree(description, resource(description, entry), frozenset(entry.endpoint.additional_fields)) for name, entry in CATALOG.items()}
