"""Cursors stay correct while records change."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from klaviyo_assets.sandbox.errors import ApiError
from klaviyo_assets.sandbox.state import begin
from klaviyo_assets_tests.sandbox.helpers import SMALL, get_page, ids, pages


def following(page) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(page["links"]["next"]).query))


def test_backward_pages_equal_forward_pages():
    state = begin(SMALL)
    there = [[record["id"] for record in page["data"]] for page in pages(state, "events", {"page[size]": "100", "sort": "-datetime"})]
    *_, last = pages(state, "events", {"page[size]": "100", "sort": "-datetime"})
    parameters = dict(parse_qsl(urlsplit(last["links"]["prev"]).query))
    back = [[record["id"] for record in page["data"]] for page in pages(state, "events", parameters, link="prev")]
    assert back == there[-2::-1]


def test_added_and_deleted_records_do_not_shift_others():
    state = begin(SMALL)
    now = state.account.settle()
    before = ids(state, "profiles", sort="created")
    first = get_page(state, "profiles", {"sort": "created", "page[size]": "50"})
    account = state.account
    account.delete("profiles", before[10])
    account.delete("profiles", before[70])
    for id in (before[20], before[80]):
        account.update("profiles", id, {"title": "moved"}, now)
    rest = [record["id"] for page in pages(state, "profiles", following(first)) for record in page["data"]]
    assert [record["id"] for record in first["data"]] + rest == [id for id in before if id != before[70]]


def test_a_record_that_moves_ahead_of_the_cursor_is_returned_again():
    state = begin(SMALL)
    now = state.account.settle()
    first = get_page(state, "profiles", {"sort": "updated", "page[size]": "100"})
    moved = first["data"][0]["id"]
    state.account.update("profiles", moved, {"title": "moved"}, now)
    rest = [record["id"] for page in pages(state, "profiles", following(first)) for record in page["data"]]
    assert rest[-1] == moved


def test_a_cursor_is_bound_to_its_query():
    state = begin(SMALL)
    parameters = following(get_page(state, "events", {"sort": "datetime", "page[size]": "10"}))
    others = [{**parameters, "sort": "-datetime"}, {**parameters, "filter": "has(profile)"}, {**parameters, "page[cursor]": "bm90IGEgY3Vyc29y"}]
    for other in others:
        with pytest.raises(ApiError, match="Invalid cursor provided"):
            get_page(state, "events", other)
    assert len(get_page(state, "events", {**parameters, "page[size]": "20"})["data"]) == 20


def test_a_cursor_expires_after_three_days():
    state = begin(SMALL)
    parameters = following(get_page(state, "events", {"sort": "datetime"}))
    state.clock.advance(int(timedelta(days=2, hours=23).total_seconds() * 1e6))
    assert get_page(state, "events", parameters)["data"]
    state.clock.advance(int(timedelta(hours=2).total_seconds() * 1e6))
    with pytest.raises(ApiError, match="Invalid cursor provided") as caught:
        get_page(state, "events", parameters)
    assert (caught.value.status, caught.value.parameter) == (400, "page[cursor]")
