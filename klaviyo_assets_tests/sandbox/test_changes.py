import json
from dataclasses import replace
from datetime import timedelta

import pytest

from klaviyo_assets.sandbox.instants import SECOND, from_micros, render
from klaviyo_assets.sandbox.scripted import apply_change
from klaviyo_assets.sandbox.state import State, begin
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.sandbox.helpers import SMALL, get_page, ids


@pytest.fixture
def state() -> State:
    return begin(SMALL)


def change(state: State, **what) -> list[str]:
    return apply_change(state.account, what, state.account.settle())


def first(state: State, name: str):
    return next(iter(state.account.store[name]))


def test_an_update_replaces_only_the_given_attributes(state):
    event = next(record for record in state.account.store["events"] if b"1e400" in record.raw)
    change(state, kind="update", type="events", id=event.id, attributes={"uuid": "new"})
    now = state.account.store["events"].get(event.id)
    assert now.attributes()["event_properties"] == event.attributes()["event_properties"]
    assert now.raw[now.cut :] == event.raw[event.cut :]
    assert json.loads(now.raw)["attributes"]["uuid"] == "new"


def test_an_update_moves_the_version_by_default(state):
    for name, entry in COLLECTIONS.items():
        if entry.version_column is None or entry.parent is not None:
            continue
        record = first(state, name)
        before = state.account.settle()
        change(state, kind="update", type=name, id=record.id, attributes={"name": "new"}, moves=False)
        assert (
            state.account.store[name].get(record.id).values[entry.version_column] == record.values[entry.version_column]
            if entry.version_column in record.values
            else True
        )
        change(state, kind="update", type=name, id=record.id, attributes={"name": "new"})
        stamp = json.loads(state.account.store[name].get(record.id).raw)["attributes"][entry.version_column]
        assert render(before - before % SECOND) <= stamp <= render(state.account.settle())


def test_subscriptions_can_be_updated_and_filtered_by(state):
    profile = next(record for record in state.account.store["profiles"] if "subscriptions.email.marketing.suppression.reason" not in record.values)
    subscriptions = json.loads(profile.extras["subscriptions"])
    subscriptions["email"]["marketing"]["suppression"] = [{"reason": "SPAM_COMPLAINT", "timestamp": "2026-07-01T00:00:00+00:00"}]
    change(state, kind="update", type="profiles", id=profile.id, attributes={"subscriptions": subscriptions})
    assert profile.id in ids(state, "profiles", filter="equals(subscriptions.email.marketing.suppression.reason,'SPAM_COMPLAINT')")


def test_new_records_of_every_type(state):
    for name, entry in COLLECTIONS.items():
        if entry.fixed_records:
            continue
        parent = first(state, entry.parent.type_name).id if entry.parent else None
        (id,) = change(state, kind="add", type=name, parent=parent)
        assert state.account.store.records_of(entry, parent).get(id) is not None
    (id,) = change(state, kind="add", type="campaigns", channel="mobile_push", attributes={"name": "exact"})
    assert id in ids(state, "campaigns", filter="equals(messages.channel,'mobile_push'),contains(name,'exact')")


def test_a_late_event_is_returned_after_it_arrives(state):
    now = state.account.settle()
    moment, arrival = render(now - 3 * 3600 * SECOND), render(now + 3600 * SECOND)
    (id,) = change(state, kind="event", datetime=moment, arrival=arrival)
    assert state.account.store["events"].get(id) is None
    state.clock.advance(3601 * SECOND)
    state.account.settle()
    event = state.account.store["events"].get(id)
    assert event.values["datetime"] == (now - 3 * 3600 * SECOND) // SECOND * SECOND
    (there,) = change(state, kind="event", datetime=moment)
    assert state.account.store["events"].get(there) is not None


def test_a_merge_moves_the_events_and_removes_the_source(state):
    events = [record for record in state.account.store["events"] if record.values["profile_id"]]
    source = events[0].values["profile_id"]
    theirs = {record.id for record in events if record.values["profile_id"] == source}
    destination = next(record.id for record in state.account.store["profiles"] if record.id != source)
    before = set(ids(state, "events", filter=f"equals(profile_id,'{destination}')"))
    change(state, kind="merge", source=source, destination=destination)
    assert state.account.store["profiles"].get(source) is None
    assert set(ids(state, "events", filter=f"equals(profile_id,'{destination}')")) == before | theirs
    for id in theirs:
        record = json.loads(state.account.store["events"].get(id).raw)
        assert record["relationships"]["profile"]["data"]["id"] == destination
    with pytest.raises(ValueError, match="itself"):
        change(state, kind="merge", source=destination, destination=destination)


def test_the_events_of_a_deleted_profile_remain_without_it(state):
    event = next(record for record in state.account.store["events"] if record.values["profile_id"])
    change(state, kind="delete", type="profiles", id=event.values["profile_id"])
    profile = json.loads(state.account.store["events"].get(event.id).raw)["relationships"]["profile"]
    assert set(profile) == {"links"}


def test_a_merge_also_moves_scheduled_events(state):
    profile, other = [record.id for record in state.account.store["profiles"]][:2]
    (id,) = change(state, kind="event", profile_id=profile, arrival=render(state.account.settle() + 3600 * SECOND))
    change(state, kind="merge", source=profile, destination=other)
    state.clock.advance(3601 * SECOND)
    state.account.settle()
    assert state.account.store["events"].get(id).values["profile_id"] == other


def test_a_round_makes_every_kind_of_change():
    state, before = begin(SMALL), begin(SMALL).account.store
    now = state.account.settle()
    earliest = render(now - now % SECOND)
    change(state, kind="round", seed=1)
    after = state.account.store
    for name, entry in COLLECTIONS.items():
        if entry.fixed_records or entry.parent is not None or name in ("events", "reviews"):
            continue
        version = entry.version_column
        old, new = ({record.id: record for record in store[name]} for store in (before, after))
        assert set(new) - set(old), name
        assert set(old) - set(new), name
        assert any(
            old[id].raw != new[id].raw and (version is None or json.loads(new[id].raw)["attributes"][version] >= earliest)
            for id in set(old) & set(new)
        ), name
    for name in ("campaigns", "flows"):
        assert any(
            before[name].get(record.id) and record.values["archived"] and not before[name].get(record.id).values["archived"] for record in after[name]
        )
    new_events = [record.values["datetime"] for record in after["events"] if before["events"].get(record.id) is None]
    ages = [from_micros(now) - from_micros(moment) for moment in new_events]
    assert any(timedelta(0) < age <= timedelta(hours=1) for age in ages)
    assert any(age < -timedelta(hours=1) for age in ages)
    reviews = {record.id: record.raw for record in before["reviews"]}
    assert any(reviews.get(record.id, record.raw) != record.raw for record in after["reviews"])
    assert any(record.id not in reviews for record in after["reviews"])


def test_rounds_of_one_seed_give_each_action_to_one_flow_only():
    state = begin(SMALL)
    for _ in range(6):
        change(state, kind="round", seed=0)

    store = state.account.store
    named = [(action, flow.id) for flow in store["flows"] for action in flow.related["flow-actions"]]
    assert len(dict(named)) == len(named)
    assert dict(named) == {action.id: action.values["host_id"] for action in store["flow_actions"]}


def test_rounds_work_on_an_empty_account():
    empty = replace(SMALL, events=0, profiles=0, campaigns=0, flows=0, lists=0, segments=0, metrics=0, reviews=0, others=0)
    state = begin(empty)
    for seed in range(3):
        change(state, kind="round", seed=seed)
    assert len(state.account.store["lists"]) == 3


@pytest.mark.parametrize(
    "wrong",
    [{}, {"kind": "explode"}, {"kind": "add", "type": "unicorns"}, {"kind": "add", "type": "accounts"}, {"kind": "delete", "type": "lists"}],
)
def test_an_invalid_change_is_rejected(state, wrong):
    with pytest.raises(ValueError, match=r"."):
        change(state, **wrong)


def test_the_error_names_a_record_that_does_not_exist(state):
    with pytest.raises(LookupError, match="unknown"):
        change(state, kind="delete", type="profiles", id="unknown")


def test_half_an_emoji_survives_fieldsets_includes_and_updates():
    state = begin(replace(SMALL, lone_surrogates=True))
    cut = [record.id for record in state.account.store["events"] if rb"half \ud83d" in record.raw]
    assert cut
    page = get_page(state, "events", {"page[size]": "1000", "fields[event]": "event_properties", "include": "attributions"})
    by_id = {record["id"]: record["attributes"] for record in page["data"]}
    assert {by_id[id]["event_properties"]["cut"] for id in cut} == {"half \ud83d"}
    change(state, kind="update", type="events", id=cut[0], attributes={"uuid": "new"})
    assert rb"half \ud83d" in state.account.store["events"].get(cut[0]).raw
