"""The fast decoder: it also decodes records with members that have no column, and keeps those members."""

import json
from itertools import cycle, product
from typing import Any

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import EXTRA, Page, PageDecoder
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.each import each
from klaviyo_assets_tests.shapes import representatives

LINKS = {"links": {"self": "https://a.klaviyo.com/api/x/1/relationships/y/", "related": "https://a.klaviyo.com/api/x/1/y/"}}
LINKS_ONLY = [(name, path[1]) for name, entry in CATALOG.items() for path in entry.unmapped if path[0] == "relationships"]


def record(id: str, relationships: dict[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
    return {"type": "x", "id": id, "attributes": attributes, "relationships": relationships or {}, "links": {"self": "s"}}


def page(decoder: PageDecoder, *records: dict[str, Any]) -> Page:
    return decoder.page(json.dumps({"data": records, "links": {"next": None}}).encode())


def extras(page: Page) -> list[dict[str, Any] | None]:
    return [None if text is None else json.loads(text) for text in page.frame[EXTRA]]


def test_relationships_with_links_only_are_fast_from_the_first_page() -> None:
    for name, relationship in LINKS_ONLY:
        found = page(PageDecoder(CATALOG[name]), record("1", {relationship: LINKS}), record("2", {relationship: {"data": [], **LINKS}}))

        assert (found.tolerant, extras(found)) == (0, [None, None]), (name, relationship)


NEW = ("gallery", "conversation", "brand-new", "weird name", "0", "")
WITHOUT_IDS: tuple[Any, ...] = (LINKS, {"data": None}, {"data": [], **LINKS}, {}, None)


def assert_costs_one_slow_record(name: str, relationships: dict[str, Any]) -> None:
    decoder = PageDecoder(CATALOG[name])
    named = {} if CATALOG[name].replication.groups is None else {"coupon": {"data": {"type": "coupon", "id": "10OFF"}}}
    pages = [page(decoder, *(record(f"{number}-{row}", relationships | named) for row in range(3))) for number in range(2)]

    assert pages[0].tolerant <= 3
    assert pages[1].tolerant == 0
    assert [extras(one) for one in pages] == [[None] * 3] * 2


@pytest.mark.parametrize("entry", representatives(COLLECTIONS.values()), ids=lambda entry: entry.name)
def test_relationship_without_ids_costs_one_slow_record_and_is_not_kept(entry: ResourceType) -> None:
    for relationship, value in product(NEW, WITHOUT_IDS):
        assert_costs_one_slow_record(entry.name, {relationship: value})


@each(COLLECTIONS)
def test_all_relationships_without_ids_cost_one_slow_record_and_are_not_kept(name: str) -> None:
    assert_costs_one_slow_record(name, dict(zip(NEW, cycle(WITHOUT_IDS), strict=False)))


WITH_IDS = [{"data": [{"type": "x", "id": "r"}], **LINKS}, {"data": {"type": "x", "id": "r"}}, {"meta": {"count": 5}, **LINKS}, 7]


@pytest.mark.parametrize("value", WITH_IDS)
def test_a_relationship_with_ids_is_kept_and_fast_after_the_first_page(value: Any) -> None:
    decoder = PageDecoder(CATALOG["profiles"])
    page(decoder, record("0", {"lists": value, "brand-new": value}))
    found = page(decoder, record("1", {"lists": value, "brand-new": value}), record("2", {"lists": LINKS, "brand-new": LINKS}), record("3"))

    assert found.tolerant == 0
    assert extras(found) == [{"relationships.brand-new": value, "relationships.lists": value}, None, None]


@pytest.mark.parametrize("value", [None, 0, False, "", "text", [], {"a": {"b": 1.0}}, [1, None]])
@pytest.mark.parametrize("name", ["brand_new", "two words", "", "class", "1", "é", "_odd_text", "relationships.x", "record.x"])
def test_an_attribute_without_a_column_is_kept_and_fast_after_the_first_page(name: str, value: Any) -> None:
    decoder = PageDecoder(CATALOG["profiles"])
    slow = page(decoder, record("0", **{name: value}))
    fast = page(decoder, record("1", **{name: value}), record("2", first_name="Ann"))

    assert (slow.tolerant, fast.tolerant) == (1, 0)
    assert extras(fast) == [*extras(slow), None]
    assert list((extras(fast)[0] or {}).values()) == [value]
    assert fast.frame["first_name"].to_list() == [None, "Ann"]


def test_a_member_of_a_flattened_object_without_a_column_is_kept_and_fast_after_the_first_page() -> None:
    decoder = PageDecoder(CATALOG["campaigns"])
    options = {"send_options": {"use_smart_sending": True, "zeal": 9, "care": {"x": 1}}, "aim": "sales"}
    slow = page(decoder, record("0", **options))
    fast = page(decoder, record("1", **options), record("2", send_options=None), record("3"))

    assert (slow.tolerant, fast.tolerant) == (1, 0)
    assert slow.frame[EXTRA].to_list() == fast.frame[EXTRA].to_list()[:1] == ['{"aim":"sales","send_options":{"care":{"x": 1},"zeal":9}}']
    assert fast.frame["send_options_use_smart_sending"].to_list() == [True, None, None]


def test_both_decoders_return_the_same_extra_text() -> None:
    """Whether a record is decoded strictly depends on earlier records, and must not change its row."""
    decoder = PageDecoder(CATALOG["lists"])
    sent = record("1", {"z": WITH_IDS[0], "a": WITH_IDS[1]}, zeta=1, alpha=2, _odd_text=3)
    texts = [page(decoder, sent).frame[EXTRA].item() for _ in range(2)]

    assert texts[0] == texts[1]


@pytest.mark.long
@pytest.mark.oldest
def test_ever_changing_names_do_not_rebuild_decoders_forever() -> None:
    decoder = PageDecoder(CATALOG["lists"])
    for number in range(200):
        found = page(decoder, record("1", **{f"name {number}": number}))
        assert extras(found) == [{f"name {number}": number}]

    assert page(decoder, record("1", **{"name 0": 1})).tolerant == 0
    assert page(decoder, record("1", **{"name 199": 1})).tolerant == 1


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\x01b", "\ud83d"])
def test_name_that_structs_cannot_have_uses_the_tolerant_decoder(name: str) -> None:
    decoder = PageDecoder(CATALOG["lists"])
    for _ in range(2):
        found = page(decoder, record("1", **{name: 1}))
        assert found.tolerant == 1
        assert len(extras(found)[0] or {}) >= 1


def test_only_the_record_with_a_value_of_another_type_is_decoded_tolerantly() -> None:
    found = page(PageDecoder(CATALOG["lists"]), record("1", name=7), *(record(str(number), name="a") for number in range(2, 9)))

    assert (found.tolerant, extras(found)[0]) == (1, {"name": 7})
