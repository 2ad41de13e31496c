"""Arbitrary pages: every value is in its column or in ``_extra``, and DuckDB accepts all JSON that is kept."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.columns import Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import EXTRA
from klaviyo_assets_tests.decode.samples import CONNECTION, DECODERS, SAMPLES, TYPES, accepted, assert_schema, decoded, document, dumped, record
from klaviyo_assets_tests.shapes import representatives

_SPACE = st.sampled_from(["", "", "", " ", "\n\t"])
_LETTERS = st.sampled_from(
    ["a", "A", "é", "😀", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "\\ude00", "\\n", "\\/", "\\\\", '\\"', "\\u0000", "\u2028", "'"]
)
_STRINGS = st.lists(_LETTERS, max_size=5).map(lambda letters: '"' + "".join(letters) + '"')
_NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["0", "-0", "-0.0", "1e400", "-1e400", "1E-400", "1.10", "18446744073709551616", "9" * 60]),
)
_INSTANTS = st.datetimes(timezones=st.sampled_from([None, UTC])).map(lambda value: f'"{value.isoformat()}"') | st.sampled_from(
    ['"2026-01-02T03:04:05Z"', '"2026-01-02 03:04:05"', '"2026-02-30T00:00:00+00:00"', '"9999-12-31T23:59:59-01:00"', '"12.5"', '"nan"']
)
_SCALARS = st.one_of(st.sampled_from(["null", "true", "false"]), _NUMBERS, _STRINGS, _INSTANTS)


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.tuples(_SPACE, st.lists(inner, max_size=3)).map(lambda parts: f"[{parts[0]}{','.join(parts[1])}{parts[0]}]")
    members = st.tuples(_STRINGS, _SPACE, inner).map(lambda parts: f"{parts[0]}{parts[1]}:{parts[1]}{parts[2]}")
    objects = st.tuples(_SPACE, st.lists(members, max_size=3)).map(lambda parts: f"{{{parts[0]}{','.join(parts[1])}{parts[0]}}}")
    return lists | objects


JSON_TEXTS = st.recursive(_SCALARS, _nested, max_leaves=6)
"""JSON as text, since the tests check that the text is kept."""

UNKNOWN = ["new", "Email", "$odd", 'with \\"quotes\\"', "é", ""]


@st.composite
def attribute_objects(draw: st.DrawFn, entry: ResourceType) -> dict[str, Any]:
    """Draw attributes, known and unknown, as a tree whose leaves are JSON text."""
    tree: dict[str, Any] = {}
    columns = [column for column in entry.columns if column.path[0] == "attributes"]
    for column in draw(st.lists(st.sampled_from(columns), max_size=6)):
        *parents, name = column.path[1:]
        branch = tree
        for part in parents:
            inner = branch.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            branch = inner
        else:
            branch[name] = draw(st.just(SAMPLES[column.type][0]) | JSON_TEXTS)
    groups = sorted({column.path[1] for column in columns if len(column.path) > 2})
    if groups:
        for group in draw(st.lists(st.sampled_from(groups), max_size=2)):
            if draw(st.booleans()):
                tree[group] = draw(JSON_TEXTS)
            elif isinstance(tree.get(group, {}), dict):
                tree.setdefault(group, {})[draw(st.sampled_from(UNKNOWN))] = draw(JSON_TEXTS)
    for name in draw(st.lists(st.sampled_from(UNKNOWN), max_size=2)):
        tree[name] = draw(JSON_TEXTS)
    return tree


RELATED = st.one_of(
    st.sampled_from(['{"links":{}}', '{"data":null}', '{"data":{"type":"x","id":"r"}}', '{"data":[{"type":"x","id":"r"}]}', '{"data":[]}']),
    JSON_TEXTS,
)


@pytest.mark.long
@pytest.mark.oldest
@pytest.mark.parametrize("entry", representatives(CATALOG[name] for name in TYPES), ids=lambda entry: entry.name)
@settings(max_examples=25)
@given(data=st.data())
def test_every_value_is_in_its_column_or_in_extra(entry: ResourceType, data: st.DataObject) -> None:
    assert_every_value_is_kept(entry.name, data)


@settings(max_examples=150)
@given(name=st.sampled_from(TYPES), data=st.data())
def test_every_value_of_any_type_is_in_its_column_or_in_extra(name: str, data: st.DataObject) -> None:
    assert_every_value_is_kept(name, data)


def assert_every_value_is_kept(name: str, data: st.DataObject) -> None:
    entry = CATALOG[name]
    trees = data.draw(st.lists(attribute_objects(entry), max_size=3))
    names = [column.path[1] for column in entry.columns if column.path[0] == "relationships"] + ["new"]
    related = data.draw(st.none() | st.dictionaries(st.sampled_from(names), RELATED, max_size=2))
    body = document(*(record(dumped(tree), None if related is None else dumped(related), str(number)) for number, tree in enumerate(trees)))

    page = DECODERS[name].page(body)

    assert_schema(entry, page)
    assert page.frame[str(entry.id_column)].to_list() == [str(number) for number in range(len(trees))]
    kept_as_sent = not has_lone_surrogate(body)
    for tree, row in zip(trees, page.frame.iter_rows(named=True), strict=True):
        assert accepted({column.name: row[column.name] for column in entry.columns if column.type is ColumnType.JSON} | {EXTRA: row[EXTRA]})
        if kept_as_sent:
            extra = members(row[EXTRA]) if row[EXTRA] is not None else {}
            assert_kept(entry, ("attributes",), members(dumped(tree)), row, extra)


def assert_kept(entry: ResourceType, path: tuple[str, ...], sent: Mapping[str, str], row: Mapping[str, Any], extra: Mapping[str, str]) -> None:
    columns = {column.path: column for column in entry.columns}
    for name, text in sent.items():
        here = (*path, name)
        column = columns.get(here)
        if extra.get(name) == text:
            assert column is None or row[column.name] is None
        elif column is not None and column.type is ColumnType.TIMESTAMP and name in extra:
            # An invalid timestamp: the same text, possibly with other escapes.
            assert row[column.name] is None
            assert json.loads(extra[name]) == json.loads(text)
        elif column is not None:
            assert name not in extra
            assert means(column, text, row[column.name]), (column.name, text, row[column.name])
        elif text != "null":
            assert any(known[: len(here)] == here for known in columns)
            assert_kept(entry, here, members(text), row, members(extra[name]) if name in extra else {})


def means(column: Column, text: str, value: Any) -> bool:
    """Return whether a column's value is equal to the JSON text's."""
    if column.type is ColumnType.JSON:
        return bool(value == text)
    said = json.loads(text)
    if said is None or value is None:
        return said is value
    if column.type is ColumnType.TIMESTAMP:
        instant = datetime.fromisoformat(said)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - value == timedelta(0)
    if column.type is ColumnType.FLOAT:
        return math.isfinite(value) and float(said) == value
    return type(said) is type(value) and said == value


def members(text: str) -> dict[str, str]:
    """Split the text of an object into the texts of its members; of duplicate names, the last one."""
    result = {}
    decoder = json.JSONDecoder()
    position = skip(text, text.index("{") + 1)
    while text[position] != "}":
        name, position = decoder.raw_decode(text, position)
        start = skip(text, skip(text, position) + 1)
        _, position = decoder.raw_decode(text, start)
        result[name] = text[start:position]
        position = skip(text, position)
        position = skip(text, position + 1) if text[position] == "," else position
    return result


def skip(text: str, position: int) -> int:
    while text[position] in " \n\t\r":
        position += 1
    return position


def has_lone_surrogate(body: bytes) -> bool:
    """Return whether JSON contains a lone surrogate; if so, it is repaired, and its text changes."""

    def has_surrogate(value: Any) -> bool:
        if isinstance(value, str):
            return any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)
        if isinstance(value, list | tuple):
            return any(has_surrogate(one) for one in value)
        return False

    return has_surrogate(json.loads(body, object_pairs_hook=lambda pairs: [list(pair) for pair in pairs]))


@pytest.mark.long
@settings(max_examples=200)
@given(value=JSON_TEXTS, attribute=st.sampled_from(["properties", "subscriptions", "new", "email", "location"]))
@example(value="1e400", attribute="properties")
@example(value='{"a":1,"a":2}', attribute="new")
@example(value='"\\ud83d"', attribute="properties")
@example(value='{"\\u0000":"\\u0000"}', attribute="new")
def test_duckdb_accepts_all_kept_json(value: str, attribute: str) -> None:
    found = decoded("profiles", f'{{"{attribute}":{value}}}')

    for column in ("properties", "subscriptions", EXTRA):
        if column in found:
            assert CONNECTION.execute("SELECT ?::JSON::VARCHAR", [found[column]]).fetchone() == (found[column],)
