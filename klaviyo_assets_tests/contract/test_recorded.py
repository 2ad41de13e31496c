"""The fast decoder turns responses recorded from the real API into rows without loss, and no check warns about them.

Every clone tests records made from the digest: they have the structure of the recorded ones and made-up values. If the recorded responses are next
to the checkout, they are tested too.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from klaviyo_assets.catalog import CATALOG, REVISION
from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import EXTRA, PageDecoder
from klaviyo_assets.decode.timestamps import timestamp_or_none
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.quality.drift import DriftFinder, DriftKind
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.contract.digest import DIGEST, RECORDS, SOURCE, by_type
from klaviyo_assets_tests.contract.example import example
from klaviyo_assets_tests.each import each

RECORDED = SOURCE / "recorded"

TYPES = {entry.jsonapi_type: entry for entry in COLLECTIONS.values() if entry.parent is None}


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(RECORDED.glob("*.200.json")):
        response = json.loads(file.read_text())
        assert response["revision"] == REVISION
        yield file.name.removesuffix(".json"), response


def recorded_records() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the response and the content of every recorded resource object of the catalog's types with attributes, included ones too."""
    for name, response in documents():
        data = response["body"]["data"]
        for record in [*(data if isinstance(data, list) else [data]), *response["body"].get("included", [])]:
            if record is not None and record["type"] in TYPES and "attributes" in record:
                yield name, record


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a record for each structure in the digest of the catalog's types."""
    for name, response in DIGEST["recorded"].items():
        for member in RECORDS:
            for type_name, structures in by_type(response["body"].get(member)).items():
                for structure in structures:
                    if type_name in TYPES and "attributes" in structure:
                        yield name, example(type_name, structure, DIGEST["types"][TYPES[type_name].name])


@cache
def records() -> dict[str, dict[str, str]]:
    """Return the records of each resource type as JSON, with the response that each comes from; equal ones once."""
    found: dict[str, dict[str, str]] = {}
    for response, record in (*examples(), *recorded_records()):
        found.setdefault(TYPES[record["type"]].name, {}).setdefault(json.dumps(record), response)
    return found


def leaves(value: Any, path: tuple[str, ...], entry: ResourceType) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the values that one column stores, and those that no column stores."""
    columns = {column.path for column in entry.columns}
    if path not in columns and isinstance(value, dict) and any(known[: len(path)] == path for known in columns):
        for name, member in value.items():
            yield from leaves(member, (*path, name), entry)
    else:
        yield path, value


@each(records())
def test_every_member_is_in_its_column_or_in_extra(name: str) -> None:
    for text, response in records()[name].items():
        try:
            assert_every_member_is_kept(CATALOG[name], json.loads(text))
        except Exception as error:
            error.add_note(f"A record of {response}")
            raise


def assert_every_member_is_kept(entry: ResourceType, record: dict[str, Any]) -> None:
    decoder, body = PageDecoder(entry), json.dumps({"data": [record], "links": {"next": None}}, separators=(",", ":")).encode()
    decoder.page(body)  # the decoder learns a member without a column from the first record that has it
    page = decoder.page(body)
    row = page.frame.row(0, named=True)
    extra = json.loads(row[EXTRA]) if row[EXTRA] else {}
    columns = {column.path: column for column in entry.columns}

    assert page.tolerant == 0
    assert row["id"] == record["id"]
    for path, value in leaves(record["attributes"], ("attributes",), entry):
        column = columns.get(path)
        if column is None:
            place: Any = extra
            for name in path[1:]:
                place = place[name]
            assert place == value, path
        elif column.type is ColumnType.TIMESTAMP:
            assert row[column.name] == (None if value is None else timestamp_or_none(value)), path
        elif column.type is ColumnType.JSON:
            assert json.loads(row[column.name]) == value, path
        else:
            assert row[column.name] == value, path
    for name, relationship in record.get("relationships", {}).items():
        column = columns.get(("relationships", name))
        data = relationship.get("data")
        if column is None:
            assert not data or extra[f"relationships.{name}"] == relationship
        elif column.type is ColumnType.STRINGS:
            assert row[column.name] == (None if data is None else [one["id"] for one in data]), name
        else:
            assert row[column.name] == (None if data is None else data["id"]), name


@pytest.mark.long
@each(records())
def test_drift_checks_do_not_warn_about_them(name: str, warehouse: LocalFile) -> None:
    """Records that were requested with ``fields`` lack the other attributes: these are null, which is not drift."""
    entry, sent = CATALOG[name], [json.loads(text) for text in records()[name]]
    page = PageDecoder(entry).page(json.dumps({"data": sent, "links": {}}).encode())
    with warehouse.connection() as connection:
        tables = Tables(warehouse, "klaviyo", entry)
        tables.prepare(connection)
        connection.register("sent", page.frame)
        connection.execute(f"INSERT INTO {tables.rows} BY NAME SELECT * FROM sent")
        finder = DriftFinder(connection, tables.rows, entry)

        assert finder.unknown() == []
        assert [one for one in finder.drifts() if one.kind is not DriftKind.NULL] == []
