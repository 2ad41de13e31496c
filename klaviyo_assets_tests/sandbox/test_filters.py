"""Filters and sorting compared with a brute-force search over all records."""

import contextlib
import operator
from datetime import timedelta
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox.errors import ApiError
from klaviyo_assets.sandbox.fields import FieldKind, canonical, kind_of
from klaviyo_assets.sandbox.filters import compile_filter
from klaviyo_assets.sandbox.grammar import Call, FilterSyntaxError, Literal, parse
from klaviyo_assets.sandbox.instants import render, to_micros
from klaviyo_assets.sandbox.options import SandboxOptions
from klaviyo_assets.sandbox.state import begin
from klaviyo_assets_tests.sandbox.helpers import BASE, SMALL, get_page, ids

TESTS = {"greater-than": operator.gt, "greater-or-equal": operator.ge, "less-than": operator.lt, "less-or-equal": operator.le, "equals": operator.eq}
TIMED = [
    (name, field, op)
    for name, entry in CATALOG.items()
    if entry.parent is None
    for field, operators in entry.endpoint.filters.items()
    for op in sorted(operators)
    if kind_of(entry, field) is FieldKind.TIME
]


@cache
def small_account():
    return begin(SMALL)


@st.composite
def time_queries(draw):
    """Draw a type, one or two allowed conditions on its instants, an allowed sort and a page size."""
    name, field, op = draw(st.sampled_from(TIMED))
    entry = CATALOG[name]
    field_2, op_2 = draw(st.sampled_from([(one, other) for kind, one, other in TIMED if kind == name]))
    stored = [record.values.get(canonical(entry, field)) for record in small_account().account.store[name]]
    # The interesting bounds are at, or next to, instants of records.
    bounds = st.sampled_from([value for value in stored if value is not None and value < to_micros(BASE)] or [to_micros(BASE)])
    shifts = st.sampled_from([-1, 0, 0, 1])
    conditions = [(field, op, draw(bounds) + draw(shifts))]
    if draw(st.booleans()):
        conditions.append((field_2, op_2, draw(bounds) + draw(shifts)))
    sort = draw(st.sampled_from(["", *entry.endpoint.sorts, *(f"-{one}" for one in entry.endpoint.sorts)]))
    size = str(draw(st.integers(1, entry.endpoint.page_size.maximum))) if entry.endpoint.page_size else ""
    return name, conditions, sort, size


@given(time_queries())
def test_pages_return_every_match_once_and_in_order(query):
    name, conditions, sort, size = query
    entry = CATALOG[name]
    written = [f"{op}({field},{render(bound)})" for field, op, bound in conditions]
    if name == "campaigns":
        written.append("equals(messages.channel,'email')")
    if "archived" in entry.endpoint.filters:
        written.append("equals(archived,false)")
    if name == "reviews":
        written.append("equals(status,'all')")
    parameters = {"filter": ",".join(written)} | ({"sort": sort} if sort else {}) | ({"page_size": size} if size else {})

    def matches(record) -> bool:
        values = record.values
        if name == "campaigns" and values["messages.channel"] != "email":
            return False
        if values.get("archived"):
            return False
        found = [values.get(canonical(entry, field)) for field, _, _ in conditions]
        return all(value is not None and TESTS[op](value, bound) for value, (_, op, bound) in zip(found, conditions, strict=True))

    wanted = [record for record in small_account().account.store[name] if matches(record)]
    got = ids(small_account(), name, **parameters)
    assert sorted(got) == sorted(record.id for record in wanted)
    key = canonical(entry, sort.removeprefix("-")) if sort else "id"
    by_id = {record.id: record.values.get(key) for record in wanted}
    order = [(by_id[id] is not None, by_id[id] or 0) for id in got]
    assert order == sorted(order, reverse=sort.startswith("-"))


def test_filters_on_other_kinds_of_fields():
    store = small_account().account.store
    metric = next(iter(store["metrics"])).id
    assert set(ids(small_account(), "events", filter=f'equals(metric_id,"{metric}")')) == {
        record.id for record in store["events"] if record.values["metric_id"] == metric
    }
    without_profile = {record.id for record in store["events"] if record.values["profile_id"] is None}
    assert without_profile
    assert set(ids(small_account(), "events", filter="has(profile)")) == {record.id for record in store["events"]} - without_profile
    some = sorted(record.id for record in store["lists"])[:3]
    assert ids(small_account(), "lists", filter=f'any(id,["{some[2]}","{some[0]}", "none"])') == [some[0], some[2]]
    assert ids(small_account(), "lists", filter="any(id,[])") == []
    flow = next(record for record in store["flows"] if record.values["archived"])
    name = str(flow.values["name"])
    for text in (f"starts-with(name,'{name[:4]}')", f"ends-with(name,'{name[-2:]}')", f"contains(name,'{name[2:-2]}')", f"equals(name,'{name}')"):
        assert flow.id in ids(small_account(), "flows", filter=f"and({text},equals(archived,true))")
    fives = ids(small_account(), "reviews", filter="any(rating,[5]),equals(status,'all')")
    assert fives
    assert set(fives) == {record.id for record in store["reviews"] if record.values["rating"] == 5}
    api = ids(small_account(), "metrics", filter="equals(integration.name,'API')")
    assert 0 < len(api) < len(store["metrics"])
    suppressed = "subscriptions.email.marketing.suppression.timestamp"
    moments = [record.values[suppressed] for record in store["profiles"] if suppressed in record.values]
    assert moments
    assert len(ids(small_account(), "profiles", filter=f"greater-or-equal({suppressed},{render(min(moments))})")) == len(moments)


def test_timestamp_takes_seconds_and_instants():
    second = to_micros(BASE - timedelta(days=100)) // 1_000_000
    by_number = ids(small_account(), "events", filter=f"less-than(timestamp,{second})")
    assert by_number == ids(small_account(), "events", filter=f"less-than(timestamp,{render(second * 1_000_000)})")
    assert 0 < len(by_number) < SMALL.events


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("events", "greater-than(datetime,'2026-01-01T00:00:00Z')", "must not be quoted"),
        ("events", "greater-than(datetime,2026-01-01T00:00:00)", "not a valid datetime"),
        ("events", "greater-than(datetime,2026-01-01T00:00:00 00:00)", "Invalid filter"),
        ("events", "greater-than(datetime,2026-02-30T00:00:00Z)", "not a valid datetime"),
        ("events", "equals(datetime,2026-01-01T00:00:00Z)", "not a valid operator"),
        ("events", "greater-than(uuid,1)", "not a valid field"),
        ("events", "equals(metric_id,abc)", "must be quoted"),
        ("events", "has(profile,'x')", "takes a field"),
        ("events", "equals(metric_id)", "takes one value"),
        ("events", "less-than(datetime,2026-01-01T00:00:00Z", "Invalid filter"),
        ("events", "less-than(datetime,2026-01-01T00:00:00Z))", "Invalid filter"),
        ("events", "or(has(profile),has(metric))", "Invalid filter"),
        ("events", "", "Invalid filter"),
        ("events", "less-than(datetime,2026-07-20T13:00:00Z)", "End date may not be in the future"),
        ("profiles", "greater-or-equal(updated,2026-01-01T00:00:00Z)", "not a valid operator"),
        ("profiles", "any(id,'x')", "takes a list"),
        ("lists", "less-than(updated,2026-01-01T00:00:00Z)", "not a valid operator"),
        ("flows", "equals(archived,'true')", "must not be quoted"),
        ("flows", "equals(archived,yes)", "not a valid value"),
        ("reviews", "greater-or-equal(updated,2026-01-01T00:00:00Z)", "not a valid field"),
        ("reviews", "equals(status,'deleted')", "not a valid value"),
        ("reviews", "equals(rating,five)", "not a valid value"),
        ("campaigns", "equals(archived,true)", "messages.channel"),
        ("campaigns", "equals(messages.channel,'fax')", "not a valid value"),
    ],
)
def test_what_klaviyo_would_reject_is_rejected(name, text, words):
    with pytest.raises(ApiError, match=words) as caught:
        compile_filter(CATALOG[name], text, SandboxOptions(), to_micros(BASE))
    assert (caught.value.status, caught.value.code, caught.value.parameter) == (400, "invalid", "filter")


def test_the_required_filter_is_required():
    with pytest.raises(ApiError) as caught:
        get_page(small_account(), "campaigns", {})
    assert caught.value.parameter == "filter"


def test_the_parser_reads_quotes_and_nesting():
    assert parse("""and(equals(name,"a,\\"b\\")'"),and(has(profile)))""") == [
        Call("equals", "name", Literal('a,"b")\'', True)),
        Call("has", "profile", None),
    ]
    assert parse("any(id,['x', \"y\"])") == [Call("any", "id", (Literal("x", True), Literal("y", True)))]
    with pytest.raises(FilterSyntaxError):
        parse("equals(name,'open)")


@given(st.text(alphabet="and()[],'\"\\x.- 1Z", max_size=30))
def test_the_parser_raises_only_syntax_errors(text):
    with contextlib.suppress(FilterSyntaxError):
        parse(text)
