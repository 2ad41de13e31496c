"""Facts about the catalog's endpoints from Klaviyo's OpenAPI description: scopes, limits, page sizes, filters, sorts, includes."""

import re
from collections.abc import Iterable
from typing import Any

Schema = dict[str, Any]

_PAGE_SIZE, _CURSOR, _FILTER, _SORT, _INCLUDE = "page[size]", "page[cursor]", "filter", "sort", "include"

_REDUCED = re.compile(r"when using the `([^`]+)` parameter in your API request:<br>Burst: `([^`]+)`<br>Steady: `([^`]+)`")
"""Where the text of an operation names lower limits that a parameter causes."""


def endpoints(description: Schema, paths: Iterable[str]) -> dict[str, Any]:
    """Return the facts about endpoints by their path; paths without a read operation are omitted.

    Args:
        description: The OpenAPI description.
        paths: The paths.
    """
    return {path: facts for path in sorted(paths) if (facts := _endpoint(description, path)) is not None}


def _endpoint(description: Schema, path: str) -> dict[str, Any] | None:
    """Return the facts about reading an endpoint: by ``GET``, or by ``POST`` for a query."""
    operations = description["paths"].get(path, {})
    method = next((one for one in ("get", "post") if one in operations), None)
    if method is None:
        return None
    operation = operations[method]
    named = {one["name"]: one for one in operation.get("parameters", [])}
    size, limit = named.get(_PAGE_SIZE, {}).get("schema", {}), operation["x-klaviyo-ratelimit"]
    return {
        "method": method.upper(),
        "path": path,
        "operation": operation["operationId"],
        "scopes": operation["x-klaviyo-scopes"],
        "burst": limit["burst"],
        "steady": limit["steady"],
        "daily": limit.get("daily"),
        "page_size_default": size.get("default"),
        "page_size_max": size.get("maximum"),
        "paginated": _CURSOR in named,
        "filter_required": named.get(_FILTER, {}).get("required", False),
        "filters": {field: _operators(one) for field, one in operation.get("x-klaviyo-filters", {}).items()},
        "sort": sorted({one.removeprefix("-") for one in _choices(named, _SORT)}),
        "include": _choices(named, _INCLUDE),
        "additional_fields": {name: _choices(named, name) for name in named if name.startswith("additional-fields[")},
        "reduced_limits": [{"when": when, "burst": burst, "steady": steady} for when, burst, steady in _REDUCED.findall(operation["description"])],
    }


def _operators(field: Schema) -> list[str]:
    """Return the operators by which a field can be filtered."""
    return sorted({operator for of_kind in field["operators"].values() for operator in of_kind})


def _choices(named: dict[str, Schema], name: str) -> list[str]:
    """Return the values that a query parameter can have."""
    schema = named.get(name, {}).get("schema", {})
    return list(schema.get("items", schema).get("enum", []))
