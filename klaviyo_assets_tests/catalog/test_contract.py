"""The catalogue says what Klaviyo's own description says, where a copy of that lies beside the checkout."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.catalog import CATALOG, REVISION
from klaviyo_assets.catalog.aggregates import METRIC_AGGREGATES
from klaviyo_assets.catalog.model import ByCoverage, ColumnType, RateLimit, ResourceType, Walked, Whole

SHARED = Path(__file__).parents[3] / "shared" / "klaviyo"
DIGEST = SHARED / "endpoints.jsonl"
DESCRIPTION = SHARED / f"openapi-{REVISION}.json"

RECORDED_ALONE = {"campaigns": {"send_options_ignore_unsubscribes"}, "profiles": {"anonymous_id", "whatsapp_bsuid"}}
"""Columns of attributes that the API sends and its description does not name."""

every_type = pytest.mark.parametrize("entry", CATALOG.values(), ids=CATALOG)


@pytest.fixture(scope="module")
def endpoints() -> dict[str, dict[str, Any]]:
    """The digest of Klaviyo's description, by path."""
    if not DIGEST.exists():
        pytest.skip("no digest of Klaviyo's OpenAPI description (shared/klaviyo/endpoints.jsonl) beside the checkout")
    return {endpoint["path"]: endpoint for endpoint in map(json.loads, DIGEST.read_text().splitlines())}


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    if not DESCRIPTION.exists():
        pytest.skip(f"no copy of Klaviyo's OpenAPI description (shared/klaviyo/{DESCRIPTION.name}) beside the checkout")
    return json.loads(DESCRIPTION.read_text())


def limit(figures: dict[str, Any]) -> RateLimit:
    burst, steady = figures["burst"], figures["steady"]
    assert burst.endswith("/s")
    assert steady.endswith("/m")
    return RateLimit(int(burst[:-2]), int(steady[:-2]))


# --- against the digest


@every_type
def test_scope_and_limits(entry: ResourceType, endpoints: dict[str, dict[str, Any]]) -> None:
    collection = endpoints[entry.endpoint.path]

    assert [entry.scope] == collection["scopes"]
    assert entry.endpoint.limit == limit(collection)
    assert entry.endpoint.lookup_limit == limit(endpoints[f"{entry.endpoint.path}/{{id}}"])
    assert endpoints[f"{entry.endpoint.path}/{{id}}"]["scopes"] == [entry.scope]


def test_scope_and_limit_of_the_counts(endpoints: dict[str, dict[str, Any]]) -> None:
    found = endpoints[METRIC_AGGREGATES.path]

    assert [METRIC_AGGREGATES.scope] == found["scopes"]
    assert METRIC_AGGREGATES.limit == limit(found)
    assert [entry.name for entry in CATALOG.values() if entry.counted_by] == ["events"]


@every_type
def test_pages(entry: ResourceType, endpoints: dict[str, dict[str, Any]]) -> None:
    collection, size = endpoints[entry.endpoint.path], entry.endpoint.page_size

    assert (size.default if size else None, size.maximum if size else None) == (collection["page_size_default"], collection["page_size_max"])
    assert entry.endpoint.unpaged is not collection["paginated"]


@every_type
def test_filters(entry: ResourceType, endpoints: dict[str, dict[str, Any]]) -> None:
    collection = endpoints[entry.endpoint.path]

    assert {field: sorted(operators) for field, operators in entry.endpoint.filters.items()} == {
        field: sorted(operators) for field, operators in collection["filters"].items()
    }
    assert (entry.endpoint.required_filter is not None) == collection["filter_required"]
    assert entry.endpoint.required_filter in (None, *collection["filters"])


@every_type
def test_sorts_includes_and_additional_fields(entry: ResourceType, endpoints: dict[str, dict[str, Any]]) -> None:
    collection = endpoints[entry.endpoint.path]

    assert sorted(entry.endpoint.sorts) == sorted(collection["sort"])
    assert sorted(entry.endpoint.includes) == sorted(collection["include"])
    expected = {f"additional-fields[{entry.jsonapi_type}]": sorted(entry.endpoint.additional_fields)} if entry.endpoint.additional_fields else {}
    assert {name: sorted(values) for name, values in collection["additional_fields"].items()} == expected
    assert set(entry.requested_fields) <= set(entry.endpoint.additional_fields)


@every_type
def test_reduced_limits(entry: ResourceType, endpoints: dict[str, dict[str, Any]]) -> None:
    """What lowers the limit of the collection is known; what lowers that of a single record may be named as well."""
    path = entry.endpoint.path
    collection, single = ({one["when"]: limit(one) for one in endpoints[each]["reduced_limits"]} for each in (path, f"{path}/{{id}}"))
    known = {f"{one.parameter}={one.value}": one.limit for one in entry.endpoint.reduced_limits}

    assert collection.items() <= known.items() <= (collection | single).items()


@every_type
def test_a_read_is_not_slowed_by_what_it_asks_for(entry: ResourceType) -> None:
    assert entry.endpoint.limit_for(entry.page_parameters) == entry.endpoint.limit


@every_type
def test_reduced_limits_hold_when_their_field_is_among_those_asked_for(entry: ResourceType) -> None:
    for reduced in entry.endpoint.reduced_limits:
        assert entry.endpoint.limit_for({reduced.parameter: f"something,{reduced.value}"}) == reduced.limit
        assert entry.endpoint.limit_for({reduced.parameter: f"{reduced.value}_more"}) == entry.endpoint.limit


# --- against the schemas


def variants(description: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the plain schemas that a schema stands for: what it refers to, all of its parts, each of its choices."""
    if "$ref" in schema:
        yield from variants(description, description["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        return
    for word in ("allOf", "anyOf", "oneOf"):
        for choice in schema.get(word, []):
            yield from variants(description, choice)
    yield schema


def members(description: dict[str, Any], schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the members that an object of a schema may have."""
    found: dict[str, list[dict[str, Any]]] = {}
    for variant in variants(description, schema):
        for name, member in variant.get("properties", {}).items():
            found.setdefault(name, []).append(member)
    return {name: {"anyOf": schemas} for name, schemas in found.items()}


def types(description: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    return {variant["type"] for variant in variants(description, schema) if "type" in variant}


def resource(description: dict[str, Any], entry: ResourceType) -> dict[str, dict[str, Any]]:
    """Return the members of a resource object of the collection's answer."""
    answer = description["paths"][entry.endpoint.path]["get"]["responses"]["200"]["content"]["application/vnd.api+json"]["schema"]
    items = [one["items"] for one in variants(description, members(description, answer)["data"]) if "items" in one]
    return members(description, {"anyOf": items})


@every_type
def test_every_attribute_has_a_column(entry: ResourceType, description: dict[str, Any]) -> None:
    columns = {column.path[1:]: column for column in entry.columns if column.path[0] == "attributes"}

    def missing(schema: dict[str, Any], path: tuple[str, ...]) -> list[str]:
        if path in columns:
            return []
        if not any(known[: len(path)] == path for known in columns):
            return [".".join(path)]
        return [name for member, inner in members(description, schema).items() for name in missing(inner, (*path, member))]

    attributes = members(description, resource(description, entry)["attributes"])
    left_out = [name for attribute, schema in attributes.items() for name in missing(schema, (attribute,))]

    assert sorted(set(left_out) - set(entry.endpoint.additional_fields)) == []
    assert set(entry.requested_fields) <= {path[0] for path in columns}


@every_type
def test_no_column_is_invented(entry: ResourceType, description: dict[str, Any]) -> None:
    described = resource(description, entry)
    for column in entry.columns:
        if column.name in RECORDED_ALONE.get(entry.name, ()):
            continue
        if column.path[0] == "division":
            assert all(column.path[1] in division.values for division in entry.divisions)
            continue
        if column.path[:1] == ("attributes",) and column.path[1] in entry.endpoint.additional_fields:
            assert column.path[1] in entry.requested_fields
            continue
        schema = {"anyOf": [{"properties": described}]}
        for part in column.path:
            found = members(description, schema)
            assert part in found, f"{entry.name}.{column.name}: {part} of {'.'.join(column.path)} is not described"
            schema = found[part]


FITTING = {
    ColumnType.STRING: {"string"},
    ColumnType.TIMESTAMP: {"string"},
    ColumnType.INTEGER: {"integer"},
    ColumnType.FLOAT: {"number", "string"},
    ColumnType.BOOLEAN: {"boolean"},
    ColumnType.STRINGS: {"array"},
    ColumnType.JSON: {"object", "array", "string"},
}


@every_type
def test_columns_have_the_types_of_their_attributes(entry: ResourceType, description: dict[str, Any]) -> None:
    for column in entry.columns:
        if column.path[0] != "attributes" or column.path[1] in entry.endpoint.additional_fields or column.name in RECORDED_ALONE.get(entry.name, ()):
            continue
        schema: dict[str, Any] = resource(description, entry)["attributes"]
        for part in column.path[1:]:
            schema = members(description, schema)[part]
        # The times of metrics have no format, but their description names it.
        is_time = any(one.get("format") == "date-time" or "ISO 8601 format" in one.get("description", "") for one in variants(description, schema))
        assert types(description, schema) <= FITTING[column.type], column.name
        assert is_time == (column.type is ColumnType.TIMESTAMP), column.name


@every_type
def test_relationships_that_name_their_records_have_a_column(entry: ResourceType, description: dict[str, Any]) -> None:
    """The others would be as long as the account is large (the profiles of a list), and Klaviyo gives links alone."""
    relationships = members(description, resource(description, entry).get("relationships", {}))
    columns = {column.path[1]: column for column in entry.columns if column.path[0] == "relationships"}

    assert set(relationships) - set(columns) <= {path[1] for path in entry.unmapped}
    for name, column in columns.items():
        data = types(description, members(description, relationships[name])["data"])
        assert ("array" in data) == (column.type is ColumnType.STRINGS), name


@every_type
def test_the_type_member(entry: ResourceType, description: dict[str, Any]) -> None:
    named = {value for variant in variants(description, resource(description, entry)["type"]) for value in variant.get("enum", [])}

    assert named == {entry.jsonapi_type}


# --- by itself


@every_type
def test_names_are_unique_and_snake_case(entry: ResourceType) -> None:
    names = [column.name for column in entry.columns]

    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in [entry.name, *names])
    assert len({column.path for column in entry.columns}) == len(names)
    assert entry.primary_key == "id"
    assert not {"_extra", "_synced_at", "_deleted_at"} & set(names)


@every_type
def test_everything_is_described(entry: ResourceType) -> None:
    texts = [entry.description, *(column.description for column in entry.columns)]

    assert all(len(text) > 4 and text[0].isupper() and text.endswith(".") and text == text.strip() for text in texts)
    assert entry.docs_url == f"https://developers.klaviyo.com/en/reference/get_{entry.name}"


@every_type
def test_what_a_type_is_read_by_exists(entry: ResourceType) -> None:
    instants = {column.name for column in entry.columns if column.type is ColumnType.TIMESTAMP}
    allows, sorts = entry.endpoint.allows, entry.endpoint.sorts

    assert entry.version is None or entry.version in instants
    match entry.reading:
        case ByCoverage(field=field, settling=settling, sweep=sweep):
            filtered = [one for one in (field, sweep) if one]
            assert list(settling) == sorted(set(settling))
            assert settling[0] > timedelta()
        case Walked(field=field, sweep=sweep, margin=margin):
            filtered = [sweep]
            assert field in instants
            assert field in sorts
            assert margin > timedelta()
        case Whole():
            filtered = []
    for one in filtered:
        assert one in instants
        assert one in sorts
        assert allows(one, "greater-than") or allows(one, "greater-or-equal")
        assert allows(one, "less-than") or allows(one, "less-or-equal")


@every_type
def test_divisions_ask_for_what_may_be_filtered_and_cannot_be_confused(entry: ResourceType) -> None:
    assert len({division.name for division in entry.divisions}) == len({division.filters for division in entry.divisions}) == len(entry.divisions)
    for division in entry.divisions:
        asked = [re.fullmatch(r"([a-z-]+)\(([\w.]+),('[a-z_]+'|true|false)\)", text) for text in division.filters]
        assert all(one is not None and entry.endpoint.allows(one[2], one[1]) for one in asked)
        assert entry.endpoint.required_filter in (None, *(one[2] for one in asked if one))


def test_types_are_named_after_their_place_in_the_catalogue() -> None:
    assert list(CATALOG) == sorted(CATALOG)
    assert all(name == entry.name and entry.endpoint.path == f"/api/{name}" for name, entry in CATALOG.items())
    assert {name: entry.scope for name, entry in CATALOG.items()} == {name: f"{name}:read" for name in CATALOG}
    assert len({entry.jsonapi_type for entry in CATALOG.values()}) == len(CATALOG)


def promise(description: dict[str, Any], schema: dict[str, Any], path: tuple[str, ...]) -> tuple[bool, set[str]]:
    """Return whether a member is promised in every object, never null, and the values that it may have."""
    name, *rest = path
    objects = [one for one in variants(description, schema) if "properties" in one]
    inner = [one["properties"][name] for one in objects if name in one["properties"]]
    plain = [one for schema in inner for one in variants(description, schema)]
    promised = len(inner) == len(objects) and all(name in one.get("required", []) for one in objects)
    promised &= not any(one.get("nullable") for one in [*plain, *inner])
    if rest:
        deeper, values = promise(description, {"anyOf": inner}, tuple(rest))
        return promised and deeper, values
    return promised, {value for one in plain for value in one.get("enum", [])}


@every_type
def test_what_is_promised_of_values_is_what_the_schema_says(entry: ResourceType, description: dict[str, Any]) -> None:
    """``send_strategy`` is one of several objects, which the schema promises and the plain walk sees as well."""
    attributes = resource(description, entry)["attributes"]
    for column in entry.columns:
        if column.path[0] == "attributes":
            promised, values = promise(description, attributes, column.path[1:])
            assert (column.required, set(column.values)) == (promised, values), column.name
