"""Records and documents for the tests of the decoder."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import duckdb

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.columns import INCLUDED, Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import EXTRA, SYNCED_AT, Page, PageDecoder, frame_schema
from klaviyo_assets_tests.accounts import COLLECTIONS

TYPES = [name for name, entry in COLLECTIONS.items() if entry.parent is None]
"""Resource types without a parent; records of child types also have the id of their parent (see api/test_children.py)."""

DECODERS = {name: PageDecoder(entry) for name, entry in CATALOG.items()}
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

SAMPLES: dict[ColumnType, tuple[str, Any]] = {
    ColumnType.STRING: ('"some text"', "some text"),
    ColumnType.INTEGER: ("1767323045", 1767323045),
    ColumnType.FLOAT: ("12.5", 12.5),
    ColumnType.BOOLEAN: ("true", True),
    ColumnType.TIMESTAMP: ('"2026-01-02T03:04:05.678901+00:00"', AT),
    ColumnType.JSON: ('{"A": [1, null]}', '{"A": [1, null]}'),
    ColumnType.STRINGS: ('["a","b"]', ["a", "b"]),
}


def document(*records: str, following: str | None = None) -> bytes:
    return f'{{"data":[{",".join(records)}],"links":{{"self":"s","next":{json.dumps(following)}}}}}'.encode()


def record(attributes: str = "{}", relationships: str | None = None, name: str = "1") -> str:
    related = "" if relationships is None else f',"relationships":{relationships}'
    return f'{{"type":"any","id":"{name}","attributes":{attributes}{related},"links":{{"self":"s"}}}}'


def decoded(name: str, attributes: str = "{}", relationships: str | None = None) -> dict[str, Any]:
    """Decode a page of one record; return its values without nulls."""
    page = DECODERS[name].page(document(record(attributes, relationships)))
    return {column: value for column, value in page.frame.row(0, named=True).items() if value is not None and column != CATALOG[name].id_column}


def dumped(tree: Mapping[str, Any]) -> str:
    """Encode nested dictionaries; their leaves are JSON text already."""
    return "{" + ",".join(f'"{name}":{dumped(value) if isinstance(value, dict) else value}' for name, value in tree.items()) + "}"


def filled(entry: ResourceType) -> str:
    """Return a record with every attribute and relationship of the catalog."""
    tree: dict[str, Any] = {"attributes": {}, "relationships": {}}
    for column in entry.columns:
        if column.path[0] == "attributes":
            branch = tree
            for part in column.path[:-1]:
                branch = branch.setdefault(part, {})
            branch[column.path[-1]] = SAMPLES[column.type][0]
        elif column.path[0] == "relationships":
            one, many = '{"data":{"type":"x","id":"r1"}}', '{"data":[{"type":"x","id":"r1"},{"type":"x","id":"r2"}],"links":{"self":"s"}}'
            tree["relationships"][column.path[1]] = many if column.type is ColumnType.STRINGS else one
    derived = {column.path[1]: SAMPLES[column.type][0] for column in entry.columns if column.path[0] == "derived"}
    found = record(dumped(tree["attributes"]), dumped(tree["relationships"]))
    return found[:-1] + f',"derived":{dumped(derived)}}}' if derived else found


def with_included(entry: ResourceType, body: bytes) -> bytes:
    """Add the included resources that :func:`filled` records name."""
    if not entry.requested_includes:
        return body
    targets = {column.path[3] for column in entry.columns if column.path[0] == INCLUDED and len(column.path) > 3}
    first = {name: {"data": {"type": "x", "id": f"of {name}"}} for name in targets}
    included = [{"type": "x", "id": "r1", "relationships": first}, {"type": "x", "id": "r2", "relationships": {}}]
    return body[:-1] + b',"included":' + json.dumps(included, separators=(",", ":")).encode() + b"}"


def sample(column: Column) -> Any:
    match column.path[0]:
        case "id":
            return "1"
        case "relationships":
            return ["r1", "r2"] if column.type is ColumnType.STRINGS else "r1"
        case "subset":
            return None
        case "within":
            return None  # the sample of a JSON column has no such member
        case "included":
            return f"of {column.path[3]}"
    return SAMPLES[column.type][1]


def assert_schema(entry: ResourceType, page: Page) -> None:
    expected = frame_schema(entry)
    del expected[SYNCED_AT]
    assert page.frame.schema == expected


CONNECTION = duckdb.connect()
JSON_COLUMNS = {EXTRA} | {column.name for entry in CATALOG.values() for column in entry.columns if column.type is ColumnType.JSON}


def accepted(row: Mapping[str, Any]) -> bool:
    """Return whether DuckDB accepts the JSON texts of a row."""
    texts = [value for name, value in row.items() if name in JSON_COLUMNS and value is not None]
    valid = CONNECTION.execute("SELECT count(*) FROM (SELECT unnest(?::VARCHAR[])::JSON AS one) WHERE json_valid(one)", [texts])
    return valid.fetchone() == (len(texts),)
