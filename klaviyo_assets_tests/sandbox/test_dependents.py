"""Records that belong to another one go with it, or move with it, as in Klaviyo."""

import json
from dataclasses import replace
from typing import Any

import pytest

from klaviyo_assets.sandbox.scripted import apply_change
from klaviyo_assets.sandbox.state import State, begin
from klaviyo_assets.sandbox.truth import true_records
from klaviyo_assets_tests.sandbox.helpers import SMALL


@pytest.fixture
def state() -> State:
    return begin(replace(SMALL, events=0, profiles=20, others=12))


def change(state: State, **what: Any) -> None:
    apply_change(state.account, what, state.account.settle())


def linked(state: State, name: str, relationship: str) -> dict[str, str]:
    """Return the id of the record that each record of a type belongs to."""
    return {id: json.loads(raw)["relationships"][relationship]["data"]["id"] for id, raw in true_records(state, name)}


def tags_of(state: State, name: str) -> set[str]:
    return {tag for record in state.account.store[name] for tag in record.related["tags"]}


def test_a_deleted_tag_group_takes_its_tags_along_and_nothing_is_tagged_with_them(state: State) -> None:
    groups = linked(state, "tags", "tag-group")
    assert set(groups.values()) <= {id for id, _ in true_records(state, "tag_groups")}
    assert tags_of(state, "campaigns") <= groups.keys()
    tag = next(iter(tags_of(state, "campaigns")))
    gone = {id for id, group in groups.items() if group == groups[tag]}

    change(state, kind="delete", type="tag_groups", id=groups[tag])

    assert linked(state, "tags", "tag-group").keys() == groups.keys() - gone
    for name in ("campaigns", "flows", "lists", "segments"):
        assert not tags_of(state, name) & gone


def test_an_account_has_one_default_tag_group(state: State) -> None:
    change(state, kind="round", seed=1)
    change(state, kind="add", type="tag_groups")

    assert sum(json.loads(raw)["attributes"]["default"] for _, raw in true_records(state, "tag_groups")) <= 1


def test_push_tokens_move_with_a_merged_profile_and_go_with_a_deleted_one(state: State) -> None:
    owners = linked(state, "push_tokens", "profile")
    token, source = next(iter(owners.items()))
    other = next(id for id, _ in true_records(state, "profiles") if id != source)

    change(state, kind="merge", source=source, destination=other)
    assert linked(state, "push_tokens", "profile")[token] == other

    change(state, kind="delete", type="profiles", id=other)
    assert token not in linked(state, "push_tokens", "profile")


def test_the_id_of_a_coupon_is_its_name(state: State) -> None:
    assert all(json.loads(raw)["attributes"]["external_id"] == id for id, raw in true_records(state, "coupons"))
