"""Consent does not depend on the order in which events arrive."""

import json
from itertools import permutations
from typing import Any

import msgspec
import pytest

from klaviyo_assets.sandbox.consent_changes import follow_consent
from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.instants import SECOND, to_micros
from klaviyo_assets.sandbox.records import Record, build
from klaviyo_assets.sandbox.state import State, begin
from klaviyo_assets.sandbox.time_formats import written
from klaviyo_assets_tests.sandbox.helpers import BASE, SMALL


@pytest.fixture(scope="module")
def shop() -> State:
    return begin(SMALL)


ORDERS = [
    [Role.SUBSCRIBED_LIST, Role.UNSUBSCRIBED_LIST, Role.SUBSCRIBED_LIST],
    [Role.UNSUBSCRIBED_LIST, Role.SUBSCRIBED_LIST, Role.SUBSCRIBED_LIST],
    [Role.SUBSCRIBED_LIST, Role.SUBSCRIBED_LIST, Role.UNSUBSCRIBED_LIST],
    [Role.SUBSCRIBED_EMAIL, Role.UNSUBSCRIBED_EMAIL],
    [Role.UNSUBSCRIBED_EMAIL, Role.SUBSCRIBED_EMAIL, Role.MARKED_SPAM],
]


@pytest.mark.parametrize("roles", ORDERS, ids=lambda roles: "-".join(role.name for role in roles))
@pytest.mark.parametrize("is_member", [True, False], ids=["member", "no-member"])
def test_consent_does_not_depend_on_the_order_in_which_events_arrive(shop: State, roles: list[Role], is_member: bool) -> None:
    first, *others = [after_events(shop, [*order], is_member) for order in permutations(enumerate(roles))]
    assert all(one == first for one in others)


def after_events(shop: State, order: list[tuple[int, Role]], is_member: bool) -> tuple[Any, ...]:
    """Return a profile's subscriptions, and when it joined the list, after events with the times of their numbers that arrive in an order."""
    store, start = shop.account.store, to_micros(BASE)
    subscriptions = next(
        found
        for record in store["profiles"]
        if (found := json.loads(record.extras["subscriptions"]))["email"]["marketing"]["consent"] == "NEVER_SUBSCRIBED"
        and not found["email"]["marketing"]["list_suppressions"]
    )
    list_ = next(iter(store["lists"]))
    members = store.children["list_members"].of(list_.id)
    if is_member:
        members.put(build(store.catalog["list_members"], "P1", {"joined_group_at": written("list_members", start - SECOND)}))
    raw = json.dumps({"attributes": {"event_properties": {"List": msgspec.json.decode(list_.attributes()["name"])}}}).encode()
    for number, role in order:
        subscriptions = follow_consent(store, subscriptions, role, Record("E1", raw, 0, {}), "P1", start + number * SECOND)
    member = members.remove("P1") if members.get("P1") is not None else None
    return subscriptions, member.values["joined_group_at"] if member is not None else None
