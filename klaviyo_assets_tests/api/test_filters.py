"""The exact text of filter expressions."""

import json
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.api.filters import all_of, any_of, compare, filter_instant

INSTANTS = {
    "midnight": (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
    "seconds": (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
    "microseconds": (datetime(2026, 1, 2, 3, 4, 5, 60, tzinfo=UTC), "2026-01-02T03:04:05.000060Z"),
    "east": (datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))), "2026-01-01T19:30:00Z"),
    "west": (datetime(2025, 12, 31, 20, tzinfo=timezone(-timedelta(hours=8))), "2026-01-01T04:00:00Z"),
    "old": (datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00Z"),
}


@pytest.mark.parametrize(("value", "text"), INSTANTS.values(), ids=INSTANTS)
def test_instants_are_written_in_utc_without_a_plus(value: datetime, text: str) -> None:
    assert filter_instant(value) == text


@given(st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.sampled_from([UTC, timezone(timedelta(hours=5)), timezone(-timedelta(hours=3))])))
def test_an_instant_reads_back_as_itself(value: datetime) -> None:
    assert datetime.fromisoformat(filter_instant(value)) == value
    assert "+" not in filter_instant(value)


def test_a_comparison_does_not_quote_its_instant() -> None:
    assert compare("greater-or-equal", "datetime", datetime(2026, 1, 2, tzinfo=UTC)) == "greater-or-equal(datetime,2026-01-02T00:00:00Z)"


VALUES = {
    "two": (["01ABC", "01DEF"], 'any(id,["01ABC","01DEF"])'),
    "one": (["a"], 'any(id,["a"])'),
    "none": ([], "any(id,[])"),
    "quotes": (['a"b', "c'd", "e\\f"], 'any(id,["a\\"b","c\'d","e\\\\f"])'),
    "brackets": (["a,b", "c)d", "]"], 'any(id,["a,b","c)d","]"])'),
}


@pytest.mark.parametrize(("values", "text"), VALUES.values(), ids=VALUES)
def test_any_of_writes_its_values_as_json(values: list[str], text: str) -> None:
    assert any_of("id", iter(values)) == text


@given(st.lists(st.text(), max_size=5))
def test_any_of_always_reads_back_even_from_a_url(values: list[str]) -> None:
    text = any_of("id", values)

    url = httpx.URL("https://a.klaviyo.com/api/lists", params={"filter": text})
    assert url.params["filter"] == text
    assert json.loads(text.removeprefix("any(id,").removesuffix(")")) == values


def test_expressions_are_joined_by_and() -> None:
    assert all_of("equals(a,1)") == "equals(a,1)"
    assert all_of("equals(a,1)", "equals(b,2)", "less-than(c,3)") == "and(equals(a,1),equals(b,2),less-than(c,3))"
