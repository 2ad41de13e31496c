"""Options for undocumented behavior of Klaviyo, on and off."""

from dataclasses import replace
from itertools import pairwise

import httpx
import pytest

from klaviyo_assets.sandbox import ALL_SCOPES_KEY, Keys, key_lacking
from klaviyo_assets.sandbox.access import authenticate
from klaviyo_assets.sandbox.errors import ApiError
from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.generate.metrics import role_of_metric
from klaviyo_assets.sandbox.instants import SECOND, render
from klaviyo_assets.sandbox.scripted import apply_change
from klaviyo_assets.sandbox.state import State, begin
from klaviyo_assets_tests.forked_sandbox import ForkedSandbox
from klaviyo_assets_tests.sandbox.helpers import SMALL, get_page, headers, ids

BOTH = pytest.mark.parametrize("on", [False, True])


def with_switch(**switch: bool) -> State:
    return begin(replace(SMALL, **switch))


@BOTH
def test_archived_by_default(on):
    state = with_switch(archived_by_default=on)
    store = state.account.store
    archived = {record.id for record in store["flows"] if record.values["archived"]}
    everything = {record.id for record in store["flows"]}
    assert archived
    assert set(ids(state, "flows")) == (everything if on else everything - archived)
    assert set(ids(state, "flows", filter="equals(archived,true)")) == archived
    assert set(ids(state, "flows", filter="equals(archived,false)")) == everything - archived
    sms = {record.id for record in store["campaigns"] if record.values["messages.channel"] == "sms"}
    found = set(ids(state, "campaigns", filter="equals(messages.channel,'sms')"))
    assert found == (sms if on else {id for id in sms if not store["campaigns"].get(id).values["archived"]})
    assert len(found) < len(sms) or on


@BOTH
def test_all_reviews_by_default(on):
    state = with_switch(all_reviews_by_default=on)
    status = {record.id: record.values["status"] for record in state.account.store["reviews"]}
    shown = {id for id, value in status.items() if on or value in {"published", "featured"}}
    assert set(ids(state, "reviews")) == shown
    assert set(ids(state, "reviews", filter="equals(status,'all')")) == set(status)
    assert set(ids(state, "reviews", filter="equals(status,'pending')")) == {id for id, value in status.items() if value == "pending"}


@BOTH
def test_strict_includes_bound(on):
    state = with_switch(strict_includes_bound=on)
    profiles = state.account.store["profiles"]
    moments = sorted(record.values["updated"] for record in profiles)
    bound = next(moment for moment, after in pairwise(moments) if moment == after)
    for operator, keep in (("greater-than", bound.__lt__), ("less-than", bound.__gt__)):
        wanted = {record.id for record in profiles if keep(record.values["updated"]) or (on and record.values["updated"] == bound)}
        assert set(ids(state, "profiles", filter=f"{operator}(updated,{render(bound)})")) == wanted


@BOTH
def test_ignore_profiles_upper_bound(on):
    state = with_switch(ignore_profiles_upper_bound=on)
    profiles = state.account.store["profiles"]
    moments = sorted(record.values["created"] for record in profiles)
    low, high = moments[10], moments[-10]
    wanted = {record.id for record in profiles if record.values["created"] > low and (on or record.values["created"] < high)}
    assert set(ids(state, "profiles", filter=f"greater-than(created,{render(low)}),less-than(created,{render(high)})", sort="created")) == wanted


@BOTH
def test_archiving_moves_updated(on):
    state = with_switch(archiving_moves_updated=on)
    now = state.account.settle()
    flow = next(record for record in state.account.store["flows"] if not record.values["archived"])
    apply_change(state.account, {"kind": "archive", "type": "flows", "id": flow.id}, now)
    archived = state.account.store["flows"].get(flow.id)
    assert archived.values["archived"] is True
    assert archived.values["updated"] == (now - now % SECOND if on else flow.values["updated"])


@BOTH
def test_attributions_without_include(on):
    state = with_switch(attributions_without_include=on)
    now = state.account.settle()
    (id,) = apply_change(state.account, {"kind": "event"}, now)
    for attributions in (["one"], ["two", "three"], []):
        apply_change(state.account, {"kind": "attribution", "id": id, "attributions": attributions}, now)
        linkage = [{"type": "attribution", "id": one} for one in attributions]
        plain, included = (
            {one["id"]: one for one in get_page(state, "events", {"page[size]": "1000", **more})["data"]}[id]["relationships"]
            for more in ({}, {"include": "attributions"})
        )
        if attributions:
            assert plain["attributions"].get("data", "missing") == (linkage if on else "missing")
            assert included["attributions"]["data"] == linkage
        else:
            assert "attributions" not in {*plain, *included}
        assert plain["profile"] == included["profile"]


@BOTH
def test_events_move_updated(on):
    state = with_switch(events_move_updated=on)
    now = state.account.settle()
    profile = next(iter(state.account.store["profiles"]))
    order = next(metric.id for metric in state.account.store["metrics"] if role_of_metric(metric) is Role.PLACED_ORDER)
    apply_change(state.account, {"kind": "event", "profile_id": profile.id, "metric_id": order}, now)
    updated = state.account.store["profiles"].get(profile.id)
    assert updated.values["updated"] == (now - now % SECOND if on else profile.values["updated"])
    assert (updated.attributes()["last_event_date"] != profile.attributes()["last_event_date"]) == on


@BOTH
def test_includes_need_scope(on):
    options = replace(SMALL, events=20, profiles=5, includes_need_scope=on)
    with ForkedSandbox(options) as sandbox, httpx.Client(base_url=sandbox.base_url, headers=headers(key_lacking("profiles:read"))) as http:
        assert http.get("/api/events", params={"include": "metric"}).status_code == 200
        assert http.get("/api/events", params={"include": "profile"}).status_code == (403 if on else 200)


@pytest.mark.parametrize(("status", "code"), [(401, "authentication_failed"), (400, "invalid")])
def test_invalid_key_status(status, code):
    options = replace(SMALL, invalid_key_status=status)
    with pytest.raises(ApiError) as caught:
        authenticate({"authorization": "Klaviyo-API-Key pk_unknown"}, Keys(options.seed), options)
    assert (caught.value.status, caught.value.code) == (status, code)
    authenticate({"authorization": f"Klaviyo-API-Key {ALL_SCOPES_KEY}"}, Keys(options.seed), options)
