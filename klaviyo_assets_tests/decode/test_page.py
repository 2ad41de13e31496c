"""Page decoding: every value of a record is in its column or in ``_extra``."""

import json
from typing import Any

import pytest

from klaviyo_assets.catalog import CAMPAIGNS, CATALOG
from klaviyo_assets.catalog.columns import INCLUDED, ColumnType
from klaviyo_assets.decode import EXTRA, SYNCED_AT, PageDecoder, frame_schema
from klaviyo_assets.decode.malformed import UnreadablePage
from klaviyo_assets_tests.decode.samples import AT, DECODERS, TYPES, assert_schema, decoded, document, filled, record, sample, with_included
from klaviyo_assets_tests.each import each


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


# --- children of several parents, requested together


def code(coupon: str | None, name: str) -> str:
    return record("{}", "{}" if coupon is None else json.dumps({"coupon": {"data": {"type": "coupon", "id": coupon}}}), name)


def test_each_child_has_the_parent_that_it_names() -> None:
    page = DECODERS["coupon_codes"].page(document(code("A", "1"), code("B", "2")))

    assert page.frame["coupon_id"].to_list() == ["A", "B"]


def test_a_child_that_does_not_name_its_parent_has_the_only_one_that_was_requested() -> None:
    page = DECODERS["coupon_codes"].page(document(code(None, "1"), code("B", "2"))).of_parent("A")

    assert page.frame["coupon_id"].to_list() == ["A", "B"]


def test_a_child_that_does_not_name_its_parent_is_refused_if_several_were_requested() -> None:
    page = DECODERS["coupon_codes"].page(document(code("A", "1"), code(None, "2")))

    with pytest.raises(UnreadablePage, match=r"^A record does not name its coupon, though several were requested together\.$"):
        _ = page.frame


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("members", [f'"meta":{DEEP},"links":{{}}', f'"links":{{"new":{DEEP}}}'], ids=["outside", "in the links"])
def test_a_page_is_read_although_a_member_outside_of_its_records_is_nested_too_deeply(members: str) -> None:
    assert DECODERS["events"].page(f'{{"data":[{record()}],{members}}}'.encode()).count == 1


def test_a_page_that_is_nested_too_deeply_and_cut_is_refused() -> None:
    with pytest.raises(UnreadablePage, match=r"^The page's JSON is nested too deeply\.$"):
        DECODERS["events"].page(f'{{"data":[{record()}],"meta":{DEEP}'.encode())
