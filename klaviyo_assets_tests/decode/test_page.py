"""Page decoding: every value of a record is in its column or in ``_extra``, and customer-defined JSON is copied byte for byte."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from klaviyo_assets.catalog import CAMPAIGNS, CATALOG
from klaviyo_assets.catalog.columns import INCLUDED, Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import EXTRA, ODD_TEXT, SYNCED_AT, Page, PageDecoder, frame_schema
from klaviyo_assets.decode.malformed import UnreadablePage
from klaviyo_assets.decode.page import Extent
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.each import each
from klaviyo_assets_tests.shapes import representatives

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


# --- records as documented


@each(TYPES)
def test_every_attribute_of_the_catalog_reaches_its_column(name: str) -> None:
    entry = CATALOG[name]

    page = DECODERS[name].page(with_included(entry, document(filled(entry), following="https://a.klaviyo.com/next")))

    of_included = {column.name for column in entry.columns if column.path[0] == INCLUDED and column.type is ColumnType.JSON}
    row = page.frame.row(0, named=True)
    assert all(json.loads(row.pop(column))[1] == {} for column in of_included)
    assert row == {column.name: sample(column) for column in entry.received_columns if column.name not in of_included} | {EXTRA: None}
    assert page.next_url == "https://a.klaviyo.com/next"
    assert page.count == 1


@each(TYPES)
def test_mismatched_record_does_not_change_the_others(name: str) -> None:
    entry = CATALOG[name]
    strict = DECODERS[name].page(document(filled(entry))).frame

    frame = DECODERS[name].page(document(filled(entry), record('{"brand_new":1}', name="2"), filled(entry))).frame

    assert frame[str(entry.id_column)].to_list() == ["1", "2", "1"]
    assert frame[EXTRA].to_list() == [None, '{"brand_new":1}', None]
    assert frame[[0]].equals(strict)
    assert frame[[2]].equals(strict)


@each(TYPES)
def test_an_empty_page_has_the_same_schema(name: str) -> None:
    page = DECODERS[name].page(b'{"data":[]}')

    assert page.frame.height == page.count == 0
    assert page.next_url is None
    assert_schema(CATALOG[name], page)


@each(TYPES)
def test_a_record_without_attributes_is_a_row_of_nulls(name: str) -> None:
    for attributes in ("{}", "null"):
        assert decoded(name, attributes) == {}


@each(TYPES)
def test_members_of_a_record_may_be_missing(name: str) -> None:
    page = DECODERS[name].page(b'{"data":[{"id":"1"},{"id":"2","relationships":null,"meta":{}},{"attributes":{},"id":"3"}]}')

    key = str(CATALOG[name].id_column)
    assert page.frame[key].to_list() == ["1", "2", "3"]
    assert page.frame.drop(key).null_count().row(0) == (3,) * (len(CATALOG[name].received_columns))
    assert_schema(CATALOG[name], page)


@each(TYPES)
def test_a_single_record_is_a_page_of_one(name: str) -> None:
    page = DECODERS[name].single(f'{{"data":{filled(CATALOG[name])},"links":{{"self":"s"}}}}'.encode())

    assert page.next_url is None
    assert page.frame.equals(DECODERS[name].page(document(filled(CATALOG[name]))).frame)


def test_a_subset_provides_its_values() -> None:
    subset = next(one for one in CAMPAIGNS.subsets if one.name == "sms/archived")

    frame = PageDecoder(CAMPAIGNS, subset).page(document(record(), record('{"new":1}'))).frame

    assert frame["channel"].to_list() == ["sms", "sms"]


def test_a_page_is_stamped_with_the_whole_schema() -> None:
    page = DECODERS["events"].page(document(record())).stamped(AT)

    assert page.frame.schema == frame_schema(CATALOG["events"])
    assert page.frame[SYNCED_AT].to_list() == [AT]


# --- mismatches


@pytest.mark.parametrize(
    ("name", "attributes", "expected"),
    [
        ("profiles", '{"email":"a@b.c","new":{"a":[1, 2]}}', {"email": "a@b.c", EXTRA: '{"new":{"a":[1, 2]}}'}),
        ("profiles", '{"new":null}', {EXTRA: '{"new":null}'}),
        ("profiles", '{"location":{"city":"Bonn","planet":"Earth"}}', {"location_city": "Bonn", EXTRA: '{"location":{"planet":"Earth"}}'}),
        ("profiles", '{"location":"Bonn"}', {EXTRA: '{"location":"Bonn"}'}),
        ("profiles", '{"location":["Bonn"]}', {EXTRA: '{"location":["Bonn"]}'}),
        ("profiles", '{"location":null,"new":1}', {EXTRA: '{"new":1}'}),
        ("profiles", '{"email":5,"first_name":"A"}', {"first_name": "A", EXTRA: '{"email":5}'}),
        ("profiles", '{"Email":"a@b.c"}', {EXTRA: '{"Email":"a@b.c"}'}),
        ("accounts", '{"test_account":"yes"}', {EXTRA: '{"test_account":"yes"}'}),
        ("accounts", '{"test_account":1}', {EXTRA: '{"test_account":1}'}),
        (
            "accounts",
            '{"contact_information":{"street_address":{"city":"Bonn","floor":3}}}',
            {"contact_information_street_address_city": "Bonn", EXTRA: '{"contact_information":{"street_address":{"floor":3}}}'},
        ),
        ("reviews", '{"images":["a",1]}', {EXTRA: '{"images":["a",1]}'}),
        ("reviews", '{"images":"a"}', {EXTRA: '{"images":"a"}'}),
        ("reviews", '{"rating":4.5}', {EXTRA: '{"rating":4.5}'}),
        (
            "reviews",
            '{"public_reply":{"updated":"soon","new":1,"content":"Thanks"},"z":2}',
            {"public_reply_content": "Thanks", EXTRA: '{"public_reply":{"new":1,"updated":"soon"},"z":2}'},
        ),
        ("reviews", '{"public_reply":{"updated":"soon"}}', {EXTRA: '{"public_reply":{"updated":"soon"}}'}),
        ("events", '{"timestamp":9223372036854775807}', {"timestamp": 2**63 - 1}),
        ("events", '{"timestamp":-9223372036854775808}', {"timestamp": -(2**63)}),
        ("events", '{"timestamp":9223372036854775808}', {EXTRA: '{"timestamp":9223372036854775808}'}),
        ("events", '{"timestamp":-9223372036854775809}', {EXTRA: '{"timestamp":-9223372036854775809}'}),
        ("events", '{"timestamp":123456789012345678901234567890}', {EXTRA: '{"timestamp":123456789012345678901234567890}'}),
        ("events", '{"timestamp":"5"}', {EXTRA: '{"timestamp":"5"}'}),
        ("profiles", '{"location":{"latitude":"50.7374","longitude":7}}', {"location_latitude": 50.7374, "location_longitude": 7.0}),
        ("profiles", '{"location":{"latitude":"north"}}', {EXTRA: '{"location":{"latitude":"north"}}'}),
        ("profiles", '{"location":{"latitude":"nan"}}', {EXTRA: '{"location":{"latitude":"nan"}}'}),
        ("profiles", '{"location":{"latitude":"1e400"}}', {EXTRA: '{"location":{"latitude":"1e400"}}'}),
        ("profiles", '{"location":{"latitude":1e400}}', {EXTRA: '{"location":{"latitude":1e400}}'}),
        ("profiles", '{"location":{"latitude":[]}}', {EXTRA: '{"location":{"latitude":[]}}'}),
    ],
)
def test_mismatched_values_are_kept_unchanged(name: str, attributes: str, expected: dict[str, Any]) -> None:
    assert decoded(name, attributes) == expected


@pytest.mark.parametrize(
    ("relationships", "expected"),
    [
        ('{"profile":{"data":{"type":"profile","id":"p"},"links":{"self":"s"}}}', {"profile_id": "p"}),
        ('{"profile":{"data":null},"metric":null}', {}),
        ('{"profile":{"links":{"self":"s"}},"attributions":{"links":{"self":"s"}}}', {}),
        ('{"attributions":{"data":[]}}', {"attribution_ids": []}),
        ('{"attributions":{"data":[{"type":"attribution","id":"a"}]}}', {"attribution_ids": ["a"]}),
        ('{"brand-new":{"links":{"self":"s"}}}', {}),
        ('{"brand-new":{"data":{"id":"n"}}}', {EXTRA: '{"relationships.brand-new":{"data":{"id":"n"}}}'}),
        ('{"brand-new":7}', {EXTRA: '{"relationships.brand-new":7}'}),
        ('{"profile":{"data":[]},"metric":{"data":{"id":"m"}}}', {"metric_id": "m", EXTRA: '{"relationships.profile":{"data":[]}}'}),
        ('{"attributions":{"data":{"id":"a"}}}', {EXTRA: '{"relationships.attributions":{"data":{"id":"a"}}}'}),
        ("null", {}),
    ],
)
def test_relationships(relationships: str, expected: dict[str, Any]) -> None:
    assert decoded("events", "{}", relationships) == expected


# --- verbatim JSON


VERBATIM = [
    '{"big":18446744073709551617,"bigger":-123456789012345678901234567890}',
    '{"a":1,"a":2}',
    '{"a":1,"A":2}',
    "[1e400,-1E-400,-0.0,-0,1.10,1e2]",
    '{"a":"\\u00e9\\ud83d\\ude00\\/\\u0041","b":"é😀/"}',
    '{ "a" :\t[ 1 ,\n2 ] , "b":{ } }',
    '{"null":null}',
    "{}",
    '"text"',
    "1.50",
    '""',
    '{"$value":9.99,"":0,"with \\"quotes\\"":1}',
    '{"control":"\\u0000\\u001f"}',
]


@pytest.mark.parametrize("more", ["", ',"new":1'], ids=["strict", "tolerant"])
@pytest.mark.parametrize("text", VERBATIM)
@pytest.mark.parametrize(("name", "attribute"), [("events", "event_properties"), ("profiles", "properties"), ("profiles", "subscriptions")])
def test_custom_json_is_copied_byte_for_byte(name: str, attribute: str, text: str, more: str) -> None:
    found = decoded(name, f'{{"{attribute}":{text}{more}}}')

    assert found[attribute].encode() == text.encode()
    assert found.get(EXTRA) == ('{"new":1}' if more else None)


@pytest.mark.parametrize("text", VERBATIM)
def test_unknown_attributes_are_copied_byte_for_byte(text: str) -> None:
    assert decoded("profiles", f'{{"new":{text}}}') == {EXTRA: f'{{"new":{text}}}'}
    assert decoded("profiles", f'{{"location":{{"new":{text}}}}}') == {EXTRA: f'{{"location":{{"new":{text}}}}}'}
    assert decoded("profiles", f'{{"last_event_date":"soon","new":{text}}}') == {EXTRA: f'{{"new":{text},"last_event_date":"soon"}}'}


def test_null_and_missing_differ() -> None:
    assert decoded("events", '{"event_properties":null}') == {"event_properties": "null"}
    assert decoded("events", "{}") == {}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('{"a":"cut \\ud83d"}', '{"a":"cut \\\\ud83d"}'),
        ('{"a":"\\ude00 low"}', '{"a":"\\\\ude00 low"}'),
        ('{"\\ud83d":"\\ud83d\\ud83d\\ude00"}', '{"\\\\ud83d":"\\\\ud83d\\ud83d\\ude00"}'),
        ('{"a":"\\\\ud83d \\ud83d"}', '{"a":"\\\\ud83d \\\\ud83d"}'),
    ],
)
@pytest.mark.parametrize("attribute", ["properties", "new"])
def test_lone_surrogate_does_not_stop_a_page(attribute: str, sent: str, kept: str) -> None:
    found = decoded("profiles", f'{{"{attribute}":{sent},"first_name":"\\ud83d"}}')

    assert found["first_name"] == "\\ud83d"
    extra = json.loads(found[EXTRA])
    assert (found["properties"] if attribute == "properties" else found[EXTRA].split(',"_odd_text"')[0]) == (
        kept if attribute == "properties" else f'{{"new":{kept}'
    )
    assert f'"{attribute}":{sent}' in extra[ODD_TEXT], "the original record is kept"
    assert accepted(found)


@pytest.mark.parametrize("place", ['{"data":[{"id":"%s","attributes":{}}]}', '{"data":[{"id":"1","attributes":{"properties":{"a":"%s"}}}]}'])
@pytest.mark.parametrize("wrong", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80"])
def test_invalid_utf8_is_refused(place: str, wrong: bytes) -> None:
    with pytest.raises(ValueError, match="utf-8"):
        DECODERS["profiles"].page(place.encode().replace(b"%s", wrong))
    with pytest.raises(ValueError, match="utf-8"):
        DECODERS["profiles"].single(place.replace("[", "").replace("]", "").encode().replace(b"%s", wrong))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"data":[',
        b"[]",
        b"{}",
        b'{"data":{}}',
        b'{"data":[{"attributes":{}}]}',
        b'{"data":[{"id":"1","attributes":{"properties":{"a":01}}}]}',
        b'{"data":[{"id":"1","attributes":{"properties":{"a":undefined}}}]}',
        b'{"data":[{"id":"1","attributes":{NaN:1}}]}',
        b'{"data":[]} {}',
    ],
)
def test_document_that_is_not_a_collection_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        DECODERS["profiles"].page(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"data":[{"id":"1"},{"id":"2","attributes":{}},{"attributes":{}}],"links":{}}', "Record 3 of the page has no id"),
        (b'{"data":[{"id":"1"},{"id":null}],"links":{}}', "Record 2 of the page has no id"),
        (b'{"data":[{"id":"1"},{"id":{}}],"links":{}}', "Record 2 of the page has no id"),
        (b'{"data":[{"id":"1"},null],"links":{}}', "Record 2 of the page is not an object"),
        (b'{"data":[{"id":"1"},5],"links":{}}', "Record 2 of the page is not an object"),
        (b'{"data":[{"id":"1"},{"id":"2","attributes":{"x":undefined}}],"links":{}}', "broken JSON: byte 48, in record 2 of the page"),
        (b'{"data":[{"id":"1"},{"id":"2","attributes":{"x":"\xff"}}],"links":{}}', "not utf-8: byte 49, in record 2 of the page"),
        (b'{"data":[{"id":"1"},{"id":', "ends too early"),
        (b'{"data":{}}', "not a collection"),
        (b'{"data":[]}', "no links"),
    ],
)
def test_error_has_the_position(body: bytes, words: str) -> None:
    with pytest.raises(UnreadablePage, match=words):
        DECODERS["profiles"].linked_page(body)


# --- unexpected structures


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ('{"id":5,"attributes":{"name":"a"}}', {"id": "5", "name": "a", EXTRA: '{"record.id":5}'}),
        ('{"id":5.0}', {"id": "5.0", EXTRA: '{"record.id":5.0}'}),
        ('{"id":"1","attributes":[]}', {"id": "1", EXTRA: '{"record.attributes":[]}'}),
        ('{"id":"1","attributes":"x","relationships":[ ]}', {"id": "1", EXTRA: '{"record.attributes":"x","record.relationships":[ ]}'}),
        ('{"id":"1","meta":{"a":1.0},"brand_new":[2]}', {"id": "1", EXTRA: '{"record.meta":{"a":1.0},"record.brand_new":[2]}'}),
        ('{"id":"1","meta":{},"links":[],"type":7}', {"id": "1"}),
        ('{"id":"1","_extra":{"x":1}}', {"id": "1", EXTRA: '{"record._extra":{"x":1}}'}),
        ('{"id":"1","_extra":"x","attributes":{"new":1}}', {"id": "1", EXTRA: '{"new":1,"record._extra":"x"}'}),
        ('{"id":"1","attributes":{"_odd_text":"mine"}}', {"id": "1", EXTRA: '{"attributes._odd_text":"mine"}'}),
        ('{"id":"1","attributes":{"_extra":"mine"}}', {"id": "1", EXTRA: '{"_extra":"mine"}'}),
        ('{"id":"1","attributes":{"relationships.tags":1}}', {"id": "1", EXTRA: '{"attributes.relationships.tags":1}'}),
        (
            '{"id":"1","relationships":{"tags":{"data":[{"type":"tag","id":"t","meta":{"x":1}}]}}}',
            {"id": "1", "tag_ids": ["t"], EXTRA: '{"relationships.tags":{"data":[{"type":"tag","id":"t","meta":{"x":1}}]}}'},
        ),
        (
            '{"id":"1","relationships":{"tags":{"data":[{"id":"t"}],"meta":{"x":1}}}}',
            {"id": "1", "tag_ids": ["t"], EXTRA: '{"relationships.tags":{"data":[{"id":"t"}],"meta":{"x":1}}}'},
        ),
        ('{"id":"1","relationships":{"new":{"meta":{"x":1}}}}', {"id": "1", EXTRA: '{"relationships.new":{"meta":{"x":1}}}'}),
    ],
)
def test_record_with_an_unexpected_structure_is_kept(sent: str, expected: dict[str, Any]) -> None:
    frame = DECODERS["lists"].page(document('{"id":"0","attributes":{"name":"first"}}', sent, '{"id":"2","attributes":{"name":"last"}}')).frame

    assert frame["name"].to_list()[::2] == ["first", "last"]
    assert {name: value for name, value in frame.row(1, named=True).items() if value is not None} == expected


DEEP = "[" * 5_000 + "]" * 5_000


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('{"a":NaN,"b":[-Infinity,"NaN",Infinity]}', '{"a":null,"b":[null,"NaN",null]}'),
        (f'{{"a":{DEEP},"b":1}}', f'{{"a":{"[" * 195}null{"]" * 195},"b":1}}'),
        (f'{{"a":{DEEP},"b":"\\ud83d","c":NaN}}', f'{{"a":{"[" * 195}null{"]" * 195},"b":"\\\\ud83d","c":null}}'),
        (DEEP, f"{'[' * 196}null{']' * 196}"),
    ],
    ids=["no numbers", "deep", "all", "as a whole"],
)
def test_value_that_no_parser_accepts_does_not_stop_a_page(sent: str, kept: str) -> None:
    body = document(
        record('{"first_name":"A"}'), record(f'{{"properties":{sent},"created":"2026-01-02T03:04:05+00:00"}}', name="2"), record(name="3")
    )

    page = DECODERS["profiles"].linked_page(body)

    assert page.frame["id"].to_list() == ["1", "2", "3"]
    row = page.frame.row(1, named=True)
    assert row["properties"] == kept
    assert row["created"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert sent in json.loads(row[EXTRA])[ODD_TEXT]
    assert page.frame[EXTRA].to_list()[::2] == [None, None]
    assert accepted(row)


def test_single_record_that_no_parser_accepts_is_kept() -> None:
    row = DECODERS["profiles"].single(b'{"data":{"id":"1","attributes":{"properties":{"a":NaN}}}}').frame.row(0, named=True)

    assert row["properties"] == '{"a":null}'
    assert json.loads(row[EXTRA])[ODD_TEXT] == '{"id":"1","attributes":{"properties":{"a":NaN}}}'


# --- numbers


@pytest.mark.parametrize("text", ["1_3", "+13", " 13", "13 ", "013", ".5", "13.", "1e", "１３", "0x1", "inf", "13\\u0000"])
def test_invalid_number_goes_to_extra(text: str) -> None:
    assert decoded("profiles", f'{{"location":{{"longitude":"{text}"}}}}') == {EXTRA: f'{{"location":{{"longitude":"{text}"}}}}'}


# --- timestamps


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05+00:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.678901+00:00", AT),
        ("2026-01-02T03:04:05.6+00:00", datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)),
        ("2026-01-02T05:34:05+02:30", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-01T20:04:05-07:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.678901Z", AT),
        ("2026-01-02 03:04:05+00:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.678901", AT),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("1969-12-31T23:59:59.999999+00:00", datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_instants(text: str, expected: datetime) -> None:
    assert decoded("events", f'{{"datetime":"{text}"}}') == {"datetime": expected}


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "",
        "2026-02-30T00:00:00+00:00",
        "2026-01-02T03:04:05+25:00",
        "1767323045",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        "12026-01-01T00:00:00+00:00",
        "26-01-02T03:04:05+00:00",
        "2026-W01",
        "20260102",
        "2026-002",
        "2026-01-02T03:04:05\\u0000",
        "2026-01-02T03:04:60+00:00",
        "2026-01-02T24:00:00+00:00",
        "2026-1-2T03:04:05+00:00",
        " 2026-01-02T03:04:05+00:00",
        "2026-01-02T03:04:05 +00:00",
        "2026-01-02T03:04:05+0000",
        "2026-01-02T03:04:05+00:00:30",
        "2026-01-02T03:04:05,5+00:00",
        "2026-01-02T03:04:05.+00:00",
        "2026-01-02T03:04+00:00",
        "2026-01-02Z",
        "２026-01-02T03:04:05+00:00",
        "-0001-01-01T00:00:00+00:00",
        "0000-01-01T00:00:00+00:00",
    ],
)
def test_invalid_timestamp_goes_to_extra(text: str) -> None:
    assert decoded("events", f'{{"datetime":"{text}"}}') == {EXTRA: f'{{"datetime":"{text}"}}'}
    assert decoded("events", f'{{"datetime":"{text}","new":1.0}}') == {EXTRA: f'{{"new":1.0,"datetime":"{text}"}}'}


@pytest.mark.parametrize(
    ("text", "finer"), [("05.678901234+00:00", True), ("05.678901234Z", True), ("05.678901000+00:00", False), ("05.6789010Z", False)]
)
def test_timestamp_with_more_digits_goes_to_extra_too(text: str, finer: bool) -> None:
    text = f"2026-01-02T03:04:{text}"

    assert decoded("events", f'{{"datetime":"{text}"}}') == {"datetime": AT} | ({EXTRA: f'{{"datetime":"{text}"}}'} if finer else {})


@settings(max_examples=300)
@given(
    text=st.from_regex(r"[0-9]{3,5}-[0-9]{1,2}-[0-9]{1,2}[T t]?[0-9:]{0,8}[.,]?[0-9]{0,9}[Zz+ -]?[0-9:]{0,6}", fullmatch=True) | st.text(max_size=30)
)
@example(text="2026-01-02T03:04:60+00:00")
@example(text="0001-01-01T00:00:00+00:01")
def test_page_and_frame_agree_about_timestamps(text: str) -> None:
    page = DECODERS["events"].page(document(record(json.dumps({"datetime": text}))))

    assert page.times("datetime") == page.frame["datetime"].to_list()
    assert (page.frame["datetime"][0] is None) <= (page.frame[EXTRA][0] is not None)


def test_invalid_timestamp_does_not_affect_others() -> None:
    texts = ["2026-01-02T03:04:05.678901+00:00", "soon", "2026-01-02T03:04:05.678901Z", None]
    frame = DECODERS["events"].page(document(*(record(f'{{"datetime":{json.dumps(text)}}}') for text in texts))).frame

    assert frame["datetime"].to_list() == [AT, None, AT, None]
    assert frame[EXTRA].to_list() == [None, '{"datetime":"soon"}', None, None]


# --- extent and filter


def times(*texts: str | None) -> Page:
    return DECODERS["events"].page(
        document(*(record(f'{{"datetime":{json.dumps(text)}}}', name=str(number)) for number, text in enumerate(texts, 1)))
    )


def test_extent_has_the_earliest_and_the_latest_time() -> None:
    page = times("2026-01-03T00:00:00+00:00", None, "2026-01-01T00:00:00.000001+00:00", "2026-01-02T00:00:00+00:00")

    assert page.extent("datetime") == Extent(datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC), ascending=False)


@pytest.mark.parametrize(
    ("texts", "ascending"),
    [
        (["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00", "2026-01-02T00:00:00+00:00"], True),
        (["2026-01-02T00:00:00+00:00", "2026-01-01T00:00:00+00:00"], False),
        (["2026-01-01T00:00:00.000002+00:00", "2026-01-01T00:00:00.000010+00:00"], True),
        (["2026-01-01T23:00:00+00:00", "2026-01-02T00:30:00+02:00"], False),
        (["2026-01-02T00:30:00+02:00", "2026-01-01T23:00:00+00:00"], True),
        (["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5+00:00", None, "2026-01-02 00:00:00"], True),
    ],
)
def test_extent_has_the_order(texts: list[str | None], ascending: bool) -> None:
    extent = times(*texts).extent("datetime")

    assert extent is not None
    assert extent.ascending is ascending


@pytest.mark.parametrize("page", [times(), times(None, None), times("soon")], ids=["no records", "nulls", "no instant"])
def test_page_without_times_has_no_extent(page: Page) -> None:
    assert page.extent("datetime") is None


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, "12345"),
        (2, None, "2345"),
        (None, 3, "125"),
        (2, 3, "25"),
        (4, 9, "5"),
    ],
)
def test_filter_includes_its_start_and_records_without_a_time(start: int | None, end: int | None, expected: str) -> None:
    page = times("2026-01-01T23:59:59.999999+00:00", "2026-01-02T00:00:00+00:00", "2026-01-03T00:00:00+00:00", "2026-01-03T00:00:00.000001Z", None)
    bounds = [datetime(2026, 1, day, tzinfo=UTC) if day else None for day in (start, end)]

    assert "".join(page.within("datetime", *bounds).frame["id"].to_list()) == expected


# --- arbitrary input


_SPACE = st.sampled_from(["", "", "", " ", "\n\t"])
_LETTERS = st.sampled_from(
    ["a", "A", "é", "😀", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "\\ude00", "\\n", "\\/", "\\\\", '\\"', "\\u0000", "\u2028", "'"]
)
_STRINGS = st.lists(_LETTERS, max_size=5).map(lambda letters: '"' + "".join(letters) + '"')
_NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["0", "-0", "-0.0", "1e400", "-1e400", "1E-400", "1.10", "18446744073709551616", "9" * 60]),
)
_INSTANTS = st.datetimes(timezones=st.sampled_from([None, UTC])).map(lambda value: f'"{value.isoformat()}"') | st.sampled_from(
    ['"2026-01-02T03:04:05Z"', '"2026-01-02 03:04:05"', '"2026-02-30T00:00:00+00:00"', '"9999-12-31T23:59:59-01:00"', '"12.5"', '"nan"']
)
_SCALARS = st.one_of(st.sampled_from(["null", "true", "false"]), _NUMBERS, _STRINGS, _INSTANTS)


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.tuples(_SPACE, st.lists(inner, max_size=3)).map(lambda parts: f"[{parts[0]}{','.join(parts[1])}{parts[0]}]")
    members = st.tuples(_STRINGS, _SPACE, inner).map(lambda parts: f"{parts[0]}{parts[1]}:{parts[1]}{parts[2]}")
    objects = st.tuples(_SPACE, st.lists(members, max_size=3)).map(lambda parts: f"{{{parts[0]}{','.join(parts[1])}{parts[0]}}}")
    return lists | objects


JSON_TEXTS = st.recursive(_SCALARS, _nested, max_leaves=6)
"""JSON as text, since the tests check that the text is kept."""

UNKNOWN = ["new", "Email", "$odd", 'with \\"quotes\\"', "é", ""]


@st.composite
def attribute_objects(draw: st.DrawFn, entry: ResourceType) -> dict[str, Any]:
    """Draw attributes, known and unknown, as a tree whose leaves are JSON text."""
    tree: dict[str, Any] = {}
    columns = [column for column in entry.columns if column.path[0] == "attributes"]
    for column in draw(st.lists(st.sampled_from(columns), max_size=6)):
        *parents, name = column.path[1:]
        branch = tree
        for part in parents:
            inner = branch.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            branch = inner
        else:
            branch[name] = draw(st.just(SAMPLES[column.type][0]) | JSON_TEXTS)
    groups = sorted({column.path[1] for column in columns if len(column.path) > 2})
    if groups:
        for group in draw(st.lists(st.sampled_from(groups), max_size=2)):
            if draw(st.booleans()):
                tree[group] = draw(JSON_TEXTS)
            elif isinstance(tree.get(group, {}), dict):
                tree.setdefault(group, {})[draw(st.sampled_from(UNKNOWN))] = draw(JSON_TEXTS)
    for name in draw(st.lists(st.sampled_from(UNKNOWN), max_size=2)):
        tree[name] = draw(JSON_TEXTS)
    return tree


RELATED = st.one_of(
    st.sampled_from(['{"links":{}}', '{"data":null}', '{"data":{"type":"x","id":"r"}}', '{"data":[{"type":"x","id":"r"}]}', '{"data":[]}']),
    JSON_TEXTS,
)


def assert_schema(entry: ResourceType, page: Page) -> None:
    expected = frame_schema(entry)
    del expected[SYNCED_AT]
    assert page.frame.schema == expected


@pytest.mark.parametrize("entry", representatives(CATALOG[name] for name in TYPES), ids=lambda entry: entry.name)
@settings(max_examples=40)
@given(data=st.data())
def test_every_value_is_in_its_column_or_in_extra(entry: ResourceType, data: st.DataObject) -> None:
    assert_every_value_is_kept(entry.name, data)


@settings(max_examples=150)
@given(name=st.sampled_from(TYPES), data=st.data())
def test_every_value_of_any_type_is_in_its_column_or_in_extra(name: str, data: st.DataObject) -> None:
    assert_every_value_is_kept(name, data)


def assert_every_value_is_kept(name: str, data: st.DataObject) -> None:
    entry = CATALOG[name]
    trees = data.draw(st.lists(attribute_objects(entry), max_size=3))
    names = [column.path[1] for column in entry.columns if column.path[0] == "relationships"] + ["new"]
    related = data.draw(st.none() | st.dictionaries(st.sampled_from(names), RELATED, max_size=2))
    body = document(*(record(dumped(tree), None if related is None else dumped(related), str(number)) for number, tree in enumerate(trees)))

    page = DECODERS[name].page(body)

    assert_schema(entry, page)
    assert page.frame[str(entry.id_column)].to_list() == [str(number) for number in range(len(trees))]
    kept_as_sent = not has_lone_surrogate(body)
    for tree, row in zip(trees, page.frame.iter_rows(named=True), strict=True):
        assert accepted({column.name: row[column.name] for column in entry.columns if column.type is ColumnType.JSON} | {EXTRA: row[EXTRA]})
        if kept_as_sent:
            extra = members(row[EXTRA]) if row[EXTRA] is not None else {}
            assert_kept(entry, ("attributes",), members(dumped(tree)), row, extra)


def assert_kept(entry: ResourceType, path: tuple[str, ...], sent: Mapping[str, str], row: Mapping[str, Any], extra: Mapping[str, str]) -> None:
    columns = {column.path: column for column in entry.columns}
    for name, text in sent.items():
        here = (*path, name)
        column = columns.get(here)
        if extra.get(name) == text:
            assert column is None or row[column.name] is None
        elif column is not None and column.type is ColumnType.TIMESTAMP and name in extra:
            # An invalid timestamp: the same text, possibly with other escapes.
            assert row[column.name] is None
            assert json.loads(extra[name]) == json.loads(text)
        elif column is not None:
            assert name not in extra
            assert means(column, text, row[column.name]), (column.name, text, row[column.name])
        elif text != "null":
            assert any(known[: len(here)] == here for known in columns)
            assert_kept(entry, here, members(text), row, members(extra[name]) if name in extra else {})


def means(column: Column, text: str, value: Any) -> bool:
    """Return whether a column's value is equal to the JSON text's."""
    if column.type is ColumnType.JSON:
        return bool(value == text)
    said = json.loads(text)
    if said is None or value is None:
        return said is value
    if column.type is ColumnType.TIMESTAMP:
        instant = datetime.fromisoformat(said)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - value == timedelta(0)
    if column.type is ColumnType.FLOAT:
        return math.isfinite(value) and float(said) == value
    return type(said) is type(value) and said == value


def members(text: str) -> dict[str, str]:
    """Split the text of an object into the texts of its members; of duplicate names, the last one."""
    result = {}
    decoder = json.JSONDecoder()
    position = skip(text, text.index("{") + 1)
    while text[position] != "}":
        name, position = decoder.raw_decode(text, position)
        start = skip(text, skip(text, position) + 1)
        _, position = decoder.raw_decode(text, start)
        result[name] = text[start:position]
        position = skip(text, position)
        position = skip(text, position + 1) if text[position] == "," else position
    return result


def skip(text: str, position: int) -> int:
    while text[position] in " \n\t\r":
        position += 1
    return position


def has_lone_surrogate(body: bytes) -> bool:
    """Return whether JSON contains a lone surrogate; if so, it is repaired, and its text changes."""

    def has_surrogate(value: Any) -> bool:
        if isinstance(value, str):
            return any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)
        if isinstance(value, list | tuple):
            return any(has_surrogate(one) for one in value)
        return False

    return has_surrogate(json.loads(body, object_pairs_hook=lambda pairs: [list(pair) for pair in pairs]))


CONNECTION = duckdb.connect()
JSON_COLUMNS = {EXTRA} | {column.name for entry in CATALOG.values() for column in entry.columns if column.type is ColumnType.JSON}


def accepted(row: Mapping[str, Any]) -> bool:
    """Return whether DuckDB accepts the JSON texts of a row."""
    texts = [value for name, value in row.items() if name in JSON_COLUMNS and value is not None]
    valid = CONNECTION.execute("SELECT count(*) FROM (SELECT unnest(?::VARCHAR[])::JSON AS one) WHERE json_valid(one)", [texts])
    return valid.fetchone() == (len(texts),)


@settings(max_examples=200)
@given(value=JSON_TEXTS, attribute=st.sampled_from(["properties", "subscriptions", "new", "email", "location"]))
@example(value="1e400", attribute="properties")
@example(value='{"a":1,"a":2}', attribute="new")
@example(value='"\\ud83d"', attribute="properties")
@example(value='{"\\u0000":"\\u0000"}', attribute="new")
def test_duckdb_accepts_all_kept_json(value: str, attribute: str) -> None:
    found = decoded("profiles", f'{{"{attribute}":{value}}}')

    for column in ("properties", "subscriptions", EXTRA):
        if column in found:
            assert CONNECTION.execute("SELECT ?::JSON::VARCHAR", [found[column]]).fetchone() == (found[column],)
