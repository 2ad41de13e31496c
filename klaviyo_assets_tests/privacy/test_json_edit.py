"""Only what is named changes; every other byte stays."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.privacy.json_edit import ObjectOnly, Remove, Tree, splice


def starred(_: str) -> str:
    return '"*"'


CASES: dict[str, tuple[str, Tree, str]] = {
    "first": ('{"a": 1.0, "b": 2, "c":3}', {"a": Remove.MEMBER}, '{"b": 2, "c":3}'),
    "middle": ('{"a": 1.0, "b": 2, "c":3}', {"b": Remove.MEMBER}, '{"a": 1.0, "c":3}'),
    "last": ('{"a": 1.0, "b": 2, "c":3}', {"c": Remove.MEMBER}, '{"a": 1.0, "b": 2}'),
    "first two": ('{"a": 1.0, "b": 2, "c":3}', {"a": Remove.MEMBER, "b": Remove.MEMBER}, '{"c":3}'),
    "outer two": ('{"a": 1.0, "b": 2, "c":3}', {"a": Remove.MEMBER, "c": Remove.MEMBER}, '{"b": 2}'),
    "all": ('{"a": 1.0, "b": 2}', {"a": Remove.MEMBER, "b": Remove.MEMBER}, "{}"),
    "nested": ('{"a": {"b": "x", "c" : [ ]}}', {"a": {"b": Remove.MEMBER}}, '{"a": {"c" : [ ]}}'),
    "a list of objects": ('{"a": [{"b": 1}, {"c": 1E5}, 7]}', {"a": {"b": starred}}, '{"a": [{"b": "*"}, {"c": 1E5}, 7]}'),
    "a list of values": ('{"a": ["x", ["y"], {"b": 1}]}', {"a": starred}, '{"a": ["*", ["*"], "*"]}'),
    "a list that goes": ('{"a": ["x", ["y"]], "b": 1}', {"a": Remove.MEMBER}, '{"b": 1}'),
    "an object as one": ('{"a": {"b": [1, "}"]}, "c": 1}', {"a": starred}, '{"a": "*", "c": 1}'),
    "a name in escapes": (r'{"\u0061": "x\"}", "b": 1}', {"a": starred}, r'{"\u0061": "*", "b": 1}'),
    "a name twice": ('{"a": 1, "b": 2, "a": 3}', {"a": Remove.MEMBER}, '{"b": 2}'),
    "a name as a value": ('{"b": "a", "c": {"a": 1}}', {"a": starred}, '{"b": "a", "c": {"a": 1}}'),
    "another type than thought": ('{"a": "text"}', {"a": {"b": starred}}, '{"a": "text"}'),
    "no object": ('"a"', {"a": starred}, '"a"'),
    "no object where there should be one": ('{"a": "x", "b": 1}', {"a": ObjectOnly(c=starred)}, '{"b": 1}'),
    "a list where there should be an object": ('{"b": 1, "a": ["x"]}', {"a": ObjectOnly(c=starred)}, '{"b": 1}'),
    "an object where there should be one": ('{"a": {"c": "x", "d": 1}}', {"a": ObjectOnly(c=starred)}, '{"a": {"c": "*", "d": 1}}'),
    "null": ("null", {"a": Remove.MEMBER}, "null"),
    "numbers and spaces": (
        '{ "n" : 123456789012345678901234567890.10 ,"a":1 }',
        {"a": starred},
        '{ "n" : 123456789012345678901234567890.10 ,"a":"*" }',
    ),
}


@pytest.mark.parametrize(("text", "tree", "wanted"), CASES.values(), ids=CASES)
def test_what_is_named_changes_and_nothing_else(text: str, tree: Tree, wanted: str) -> None:
    assert splice(text, tree) == wanted


NAMES = st.sampled_from(["a", "b", "$email", 'q"uo', "ä", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
TREES: st.SearchStrategy[Tree] = st.recursive(
    st.dictionaries(NAMES, st.sampled_from([starred, Remove.MEMBER]), min_size=1, max_size=3),
    lambda inner: st.dictionaries(NAMES, inner | st.sampled_from([starred, Remove.MEMBER]), min_size=1, max_size=3),
    max_leaves=4,
)


def expected(value: Any, rule: Any) -> Any:
    """The same, done to the parsed value: what the result means, if not how it is written."""
    if rule is starred:
        return [expected(one, rule) for one in value] if isinstance(value, list) else "*"
    if not isinstance(rule, dict):
        return value
    if isinstance(value, list):
        return [expected(one, rule) for one in value]
    if isinstance(value, dict):
        return {name: expected(one, rule.get(name)) for name, one in value.items() if rule.get(name) is not Remove.MEMBER}
    return value


@given(value=VALUES, tree=TREES, indent=st.sampled_from([None, 0, 3]), ascii_only=st.booleans())
def test_the_result_means_what_it_should(value: Any, tree: Tree, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    assert json.loads(splice(text, tree)) == expected(value, tree)


@given(value=VALUES, indent=st.sampled_from([None, 2]))
def test_where_nothing_is_named_no_byte_changes(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)

    assert splice(text, {"not there": starred}) == text
