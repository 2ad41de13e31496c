"""Included resources of a compound document: kept as Klaviyo sent them, for types that request them only."""

import json
from dataclasses import replace
from typing import Any

import pytest

from klaviyo_assets.catalog import CATALOG, Include
from klaviyo_assets.decode import PageDecoder

FLOWS = replace(CATALOG["flows"], requested_includes=(Include("flow-actions", fields={"flow-action": ("definition",)}), Include("tags")))
RESOURCES = [b'{"type":"flow-action","id":"1","attributes":{"definition":{"n":12345678901234567890, "A":1,"a":null}}}', b'{"type":"tag","id":"t"}']


def document(data: str = '[{"type":"flow","id":"f"}]', included: bytes = b"[" + b",".join(RESOURCES) + b"]") -> bytes:
    return b'{"data":' + data.encode() + b',"included":' + included + b',"links":{"next":"/next"}}'


@pytest.mark.parametrize("data", ['[{"type":"flow","id":"f"}]', '[{"type":"flow","id":"f","attributes":{"name":7}}]'], ids=["strict", "tolerant"])
def test_included_resources_are_kept_byte_for_byte(data: str) -> None:
    page = PageDecoder(FLOWS).page(document(data))

    assert [bytes(one) for one in page.included] == RESOURCES
    assert (page.count, page.next_url) == (1, "/next")


def test_the_included_resources_of_a_single_record_are_kept() -> None:
    page = PageDecoder(FLOWS).single(document('{"type":"flow","id":"f"}'))

    assert [bytes(one) for one in page.included] == RESOURCES
    assert page.frame["id"].to_list() == ["f"]


@pytest.mark.parametrize("included", [b"[]", b"null"])
def test_nothing_may_be_included(included: bytes) -> None:
    assert list(PageDecoder(FLOWS).page(document(included=included)).included) == []
    assert list(PageDecoder(FLOWS).page(b'{"data":[]}').included) == []


def test_a_type_without_includes_ignores_them() -> None:
    without = replace(FLOWS, requested_includes=())

    assert list(PageDecoder(without).page(document()).included) == []
    assert list(PageDecoder(without).single(document('{"type":"flow","id":"f"}')).included) == []


@pytest.mark.parametrize("included", [{}, "x", 1])
def test_a_document_whose_included_member_is_no_list_is_unreadable(included: Any) -> None:
    with pytest.raises(ValueError, match="not a collection of records"):
        PageDecoder(FLOWS).page(document(included=json.dumps(included).encode()))


def test_every_request_names_the_includes_and_their_fields() -> None:
    expected = {"include": "flow-actions,tags", "fields[flow-action]": "definition"}

    assert expected.items() <= FLOWS.page_parameters.items()
    assert FLOWS.record_parameters == expected


@pytest.mark.parametrize(
    "flow",
    ['{"data":[{"type":"flow","id":"F1"}]}', '{"data":"F1"}', '{"data":{"type":"flow"}}', '{"data":{"id":7}}', '"F1"', "[]"],
    ids=["list", "text", "no id", "number", "no object", "array"],
)
def test_an_included_relationship_of_another_form_is_null_and_stays_in_the_json_column(flow: str) -> None:
    event = '{"type":"event","id":"E","relationships":{"attributions":{"data":[{"type":"attribution","id":"A"}]}}}'
    attribution = f'{{"type":"attribution","id":"A","relationships":{{"flow":{flow},"campaign":{{"data":{{"type":"campaign","id":"C"}}}}}}}}'

    page = PageDecoder(CATALOG["events"]).page(document(f"[{event}]", f"[{attribution}]".encode()))

    (row,) = page.frame.to_dicts()
    assert (row["attributed_flow_id"], row["attributed_campaign_id"]) == (None, "C")
    assert f'"flow":{flow}' in row["attributions"]
