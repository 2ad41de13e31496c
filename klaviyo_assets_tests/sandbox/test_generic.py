"""Resource types without code in the sandbox: generated from their columns, served by the catalog's contract, changed like the others."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from klaviyo_assets.sandbox.scripted import apply_change
from klaviyo_assets.sandbox.state import State, begin
from klaviyo_assets.sandbox.truth import true_records
from klaviyo_assets_tests.outside_types import CATALOG, NAME, SEGMENT_PEOPLE, VOUCHER_CODES, VOUCHERS
from klaviyo_assets_tests.sandbox.helpers import BASE, SMALL, get_page, ids

OPTIONS = replace(SMALL, segments=6, others=12, catalog=NAME)


@pytest.fixture
def state() -> State:
    return begin(OPTIONS)


def change(state: State, **what: Any) -> list[str]:
    return apply_change(state.account, what, state.account.settle())


def truth(state: State, name: str) -> dict[str, Any]:
    return {key: json.loads(raw) for key, raw in true_records(state, name)}


def a_segment(state: State) -> str:
    return next(key.split("/")[0] for key in truth(state, "segment_people"))


def test_a_type_without_a_maker_is_made_from_its_columns(state: State) -> None:
    records = truth(state, "vouchers")

    assert len(records) == 12
    for id_, record in records.items():
        assert (record["type"], record["id"]) == ("voucher", id_)
        assert set(record["attributes"]) == {"external_id", "description", "monitor_configuration"}
        assert record["relationships"]["flow-trigger"]["data"]["type"] == "flow-trigger"
    assert len({json.dumps(record["attributes"]) for record in records.values()}) > 6


def test_the_same_seed_gives_the_same_account() -> None:
    one, other = (begin(replace(OPTIONS, change_at=(BASE + timedelta(days=1),))) for _ in range(2))
    for name in (name for name, entry in CATALOG.items() if entry.replication.report is None):
        assert dict(true_records(one, name)) == dict(true_records(other, name))


def test_its_pages_contain_all_records(state: State) -> None:
    assert sorted(ids(state, "vouchers", page_size="5")) == sorted(truth(state, "vouchers"))


def test_the_children_of_a_parent_are_served_at_its_path(state: State) -> None:
    members = truth(state, "segment_people")
    segments = {key.split("/")[0] for key in members}

    assert len(segments) > 2
    for segment in segments:
        wanted = sorted(key.split("/")[1] for key in members if key.startswith(segment))
        assert sorted(ids(state, "segment_people", parent_id=segment, page_size="2")) == wanted


def test_a_member_is_the_profile_with_the_time_when_it_joined(state: State) -> None:
    segment = a_segment(state)
    profiles = truth(state, "profiles")
    page = get_page(state, "segment_people", {"additional-fields[profile]": "subscriptions"}, parent_id=segment)

    for member in page["data"]:
        assert {**member["attributes"], "joined_group_at": None} == {
            **{name: value for name, value in profiles[member["id"]]["attributes"].items() if name != "predictive_analytics"},
            "joined_group_at": None,
        }
        assert "conversation" in member["relationships"]
    sparse = get_page(state, "segment_people", {"fields[profile]": "joined_group_at"}, parent_id=segment)["data"]
    assert all(set(member["attributes"]) == {"joined_group_at"} for member in sparse)


def test_members_are_filtered_and_sorted_by_attributes_of_both_types(state: State) -> None:
    segment = a_segment(state)
    in_order = [
        member["attributes"]["joined_group_at"] for member in get_page(state, "segment_people", {"sort": "-joined_group_at"}, segment)["data"]
    ]
    assert in_order == sorted(in_order, reverse=True)
    later = f"greater-than(joined_group_at,{in_order[-1]})"
    assert len(ids(state, "segment_people", parent_id=segment, filter=later)) == sum(time > in_order[-1] for time in in_order)
    with_email = next(member for member in get_page(state, "segment_people", {}, segment)["data"] if member["attributes"]["email"])
    wanted = f"equals(email,'{with_email['attributes']['email']}')"
    assert with_email["id"] in ids(state, "segment_people", parent_id=segment, filter=wanted)


def test_children_can_be_added_updated_and_deleted(state: State) -> None:
    segment = a_segment(state)
    (joined,) = change(state, kind="add", type="segment_people", parent=segment)
    assert joined in ids(state, "segment_people", parent_id=segment)
    change(state, kind="delete", type="segment_people", parent=segment, id=joined)
    assert joined not in ids(state, "segment_people", parent_id=segment)
    assert joined in truth(state, "profiles")

    voucher = next(iter(truth(state, "vouchers")))
    (code,) = change(state, kind="add", type="voucher_codes", parent=voucher, attributes={"unique_code": "SPRING"})
    change(state, kind="update", type="voucher_codes", parent=voucher, id=code, attributes={"unique_code": "AUTUMN"})
    assert truth(state, "voucher_codes")[f"{voucher}/{code}"]["attributes"]["unique_code"] == "AUTUMN"


def test_a_profile_that_is_deleted_or_merged_leaves_its_groups(state: State) -> None:
    segment = a_segment(state)
    (deleted,) = change(state, kind="add", type="segment_people", parent=segment)
    (merged,) = change(state, kind="add", type="segment_people", parent=segment)
    kept = next(id_ for id_ in truth(state, "profiles") if id_ not in ids(state, "segment_people", parent_id=segment))
    change(state, kind="delete", type="profiles", id=deleted)
    change(state, kind="merge", source=merged, destination=kept)

    members = ids(state, "segment_people", parent_id=segment)
    assert not {deleted, merged} & set(members)
    assert kept in members


def test_deleting_a_parent_deletes_its_children(state: State) -> None:
    segment = a_segment(state)
    change(state, kind="delete", type="segments", id=segment)

    assert not any(key.startswith(segment) for key in truth(state, "segment_people"))


def test_a_round_also_changes_children(state: State) -> None:
    before = {name: truth(state, name) for name in (VOUCHERS.name, VOUCHER_CODES.name, SEGMENT_PEOPLE.name)}
    for seed in range(3):
        change(state, kind="round", seed=seed)

    for name, records in before.items():
        after = truth(state, name)
        assert after.keys() - records.keys(), name
        assert records.keys() - after.keys(), name
    vouchers = truth(state, "vouchers")
    assert any(vouchers[id_] != record for id_, record in before["vouchers"].items() if id_ in vouchers)
    assert set(state.account.store.counts()) == {name for name, entry in CATALOG.items() if entry.replication.report is None}


def test_a_change_of_a_child_needs_its_parent(state: State) -> None:
    with pytest.raises(ValueError, match="segment_people has a parent"):
        change(state, kind="delete", type="segment_people", id="x")
    with pytest.raises(LookupError, match="no segment has the id"):
        change(state, kind="add", type="segment_people", parent="nowhere")


@pytest.mark.parametrize("wrong", ["no_such_module:X", "klaviyo_assets.catalog:NOTHING", "klaviyo_assets.catalog:REVISION", "x"])
def test_the_error_names_a_catalog_that_cannot_be_loaded(wrong: str) -> None:
    with pytest.raises(ValueError, match="catalog '"):
        begin(replace(SMALL, catalog=wrong))


def test_a_volatile_attribute_differs_in_every_response(state: State) -> None:
    """A presigned URL, or an instant that is that of the response."""
    store = state.account.store[VOUCHERS.name]
    for record in store:
        if record.values["id"] == ids(state, VOUCHERS.name)[0]:
            store.put(replace(record, volatile=("external_id",)))

    first, second = (get_page(state, VOUCHERS.name, {})["data"][0] for _ in range(2))
    stored = truth(state, VOUCHERS.name)[first["id"]]

    assert first["attributes"]["external_id"] != second["attributes"]["external_id"]
    assert first["attributes"]["external_id"].startswith(stored["attributes"]["external_id"])
    assert {**first, "attributes": {**first["attributes"], "external_id": 0}} == {**second, "attributes": {**second["attributes"], "external_id": 0}}
