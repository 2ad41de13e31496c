"""The made-up account: the same for the same seed, and as odd as real accounts."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox.fields import canonical, values_of
from klaviyo_assets.sandbox.instants import SECOND, to_micros
from klaviyo_assets.sandbox.options import SandboxOptions
from klaviyo_assets.sandbox.state import State, begin
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.sandbox.helpers import BASE, SMALL

DAY = timedelta(days=1)
NOTHING = SandboxOptions(events=0, profiles=0, campaigns=0, flows=0, lists=0, segments=0, metrics=0, reviews=0, others=0)


def content(state: State) -> dict[str, list[bytes]]:
    return {
        name: [record.rendered(CATALOG[name].endpoint.additional_fields) for record in found]
        for name, found in state.account.store.collections.items()
    }


@pytest.mark.long
def test_the_account_depends_only_on_its_seed():
    changed = replace(SMALL, change_at=(BASE + DAY, BASE + 2 * DAY))
    assert content(begin(SMALL)) == content(begin(SMALL))
    assert content(begin(changed)) == content(begin(changed))
    assert content(begin(SMALL)) != content(begin(replace(SMALL, seed=12)))
    assert content(begin(SMALL)) != content(begin(changed))


def test_a_later_state_extends_the_earlier_one():
    one = begin(replace(SMALL, change_at=(BASE + DAY,)))
    earlier, later = content(begin(SMALL)), content(one)
    for name in [name for name, entry in COLLECTIONS.items() if not entry.fixed_records and entry.parent is None]:
        assert len(set(earlier[name]) & set(later[name])) > 0.5 * len(earlier[name])
        assert set(later[name]) - set(earlier[name])
    assert one.clock.now() >= to_micros(BASE + DAY)


def test_counts_follow_the_options():
    state = begin(SMALL)
    wanted = {
        name: entry.fixed_records or SMALL.count_of((entry.records_of or entry).name) for name, entry in COLLECTIONS.items() if entry.owner is None
    }
    found = {name: len(records) for name, records in state.account.store.collections.items()}
    assert {name: found[name] for name in wanted} == wanted
    assert all(found[name] > 0 for name in found)
    for children in state.account.store.children.values():
        of_parents = Counter(parent_id for parent_id, _ in children)
        # Customers are members of the lists and segments that they joined, whatever their number.
        joined = SMALL.profiles if children.entry.name in ("list_members", "segment_members") else 0
        assert 0 < max(of_parents.values()) <= SMALL.count_of(children.entry.name) + joined
    assert begin(NOTHING).account.store.counts() == {name: entry.fixed_records or 0 for name, entry in COLLECTIONS.items()}
    assert begin(NOTHING).account.store.scheduled == 0


def test_no_two_records_of_a_type_share_an_id():
    store = begin(replace(SMALL, change_at=(BASE + DAY,))).account.store
    ids = [(name, record.id) for name, found in store.collections.items() for record in found]
    assert [id for id, count in Counter(ids).items() if count > 1] == []


def test_the_values_to_filter_by_equal_those_in_the_json():
    for name, found in begin(replace(SMALL, events=3000)).account.store.collections.items():
        for record in found:
            whole = json.loads(record.rendered(CATALOG[name].endpoint.additional_fields))
            assert (whole["type"], whole["id"]) == (CATALOG[name].jsonapi_type, record.id)
            computed = values_of(CATALOG[name], whole["attributes"])
            assert {field: record.values[canonical(CATALOG[name], field)] for field in computed} == computed


def test_events_include_ties_late_and_future_ones():
    state = begin(replace(SMALL, events=5000))
    moments = Counter(record.values["datetime"] for record in state.account.store["events"])
    assert max(moments.values()) >= 300
    assert sum(1 for count in moments.values() if count > 1) > 50
    assert any(moment > to_micros(BASE + 300 * DAY) for moment in moments)
    assert max(moments) <= to_micros(BASE + 366 * DAY)
    assert all(moment % SECOND == 0 for moment in moments)
    assert state.account.store.scheduled == 25


def test_late_events_arrive_as_the_clock_moves():
    state = begin(replace(SMALL, events=5000))
    seen = {record.id for record in state.account.store["events"]}
    arrived = []
    for hours in (1, 23, 24 * 17):
        state.clock.advance(hours * 3600 * SECOND)
        state.account.settle()
        new = [record for record in state.account.store["events"] if record.id not in seen]
        arrived.append(len(new))
        assert all(record.values["datetime"] <= to_micros(BASE) for record in new)
    assert arrived == sorted(arrived)
    assert 0 < arrived[0] < arrived[1] < arrived[2] == 25


def test_profiles_have_ties_and_whole_seconds():
    profiles = begin(SMALL).account.store["profiles"]
    for field in ("created", "updated"):
        moments = Counter(record.values[field] for record in profiles)
        assert max(moments.values()) > 3
        assert not any(moment % SECOND for moment in moments)
    assert all(record.values["created"] <= record.values["updated"] <= to_micros(BASE) for record in profiles)


@pytest.mark.long
def test_every_channel_has_live_and_archived_campaigns():
    parts = Counter(
        (record.values["messages.channel"], record.values["archived"])
        for record in begin(SandboxOptions(base=BASE, events=0)).account.store["campaigns"]
    )
    assert len(parts) == 6


@pytest.mark.long
def test_properties_include_every_kind_of_oddity():
    text = b"".join(record.raw for record in begin(replace(SMALL, events=5000)).account.store["events"])
    for piece in (
        b"1e400",
        b"0.10000000000000000555",
        b"-0.0",
        b"18446744073709551617",
        b'"Size":"L","size":"l"',
        "שלום".encode(),
        b"\\ud83c\\udf89",
        b'"$extra"',
    ):
        assert piece in text
    assert b"half \\ud83d" not in text
    assert b"half \\ud83d" in b"".join(record.raw for record in begin(replace(SMALL, events=5000, lone_surrogates=True)).account.store["events"])
