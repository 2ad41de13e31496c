"""Customer-defined JSON is copied byte for byte, unexpected structures are kept, and documents that are not JSON are refused."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from klaviyo_assets.decode import EXTRA, ODD_TEXT
from klaviyo_assets.decode.malformed import UnreadablePage
from klaviyo_assets_tests.decode.samples import DECODERS, accepted, decoded, document, record

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
