"""Only the named members change; every other byte stays."""

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
    "a removed list": ('{"a": ["x", ["y"]], "b": 1}', {"a": Remove.MEMBER}, '{"b": 1}'),
    "an object as one": ('{"a": {"b": [1, "}"]}, "c": 1}', {"a": starred}, '{"a": "*", "c": 1}'),
    "a name in escapes": (r'{"\u0061": "x\"}", "b": 1}', {"a": starred}, r'{"\u0061": "*", "b": 1}'),
    "a name twice": ('{"a": 1, "b": 2, "a": 3}', {"a": Remove.MEMBER}, '{"b": 2}'),
    "a name as a value": ('{"b": "a", "c": {"a": 1}}', {"a": starred}, '{"b": "a", "c": {"a": 1}}'),
    "an unexpected type": ('{"a": "text"}', {"a": {"b": starred}}, '{"a": "text"}'),
    "no object": ('"a"', {"a": starred}, '"a"'),
    "no object instead of an object": ('{"a": "x", "b": 1}', {"a": ObjectOnly(c=starred)}, '{"b": 1}'),
    "a list instead of an object": ('{"b": 1, "a": ["x"]}', {"a": ObjectOnly(c=starred)}, '{"b": 1}'),
    "an object as expected": ('{"a": {"c": "x", "d": 1}}', {"a": ObjectOnly(c=starred)}, '{"a": {"c": "*", "d": 1}}'),
    "null": ("null", {"a": Remove.MEMBER}, "null"),
    "numbers and spaces": (
        '{ "n" : 123456789012345678901234567890.10 ,"a":1 }',
        {"a": starred},
        '{ "n" : 123456789012345678901234567890.10 ,"a":"*" }',
    ),
}


@pytest.mark.parametrize(("text", "tree", "result"), CASES.values(), ids=CASES)
def test_only_the_named_members_change(text: str, tree: Tree, result: str) -> None:
    assert splice(text, tree) == result


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
    """Apply the rule to the parsed value: the meaning of the result, not its text."""
    if rule is starred:
        return [expected(one, rule) for one in value] if isinstance(value, list) else "*"
    if not isinstance(rule, dict):
        return value
    if isinstance(value, list):
        return [expected(one, rule) for one in value]
    if isinstance(value, dict):
        return {name: expected(one, rule.get(name)) for name, one in value.items() if rule.get(name) is not Remove.MEMBER}
    return value


@pytest.mark.long
@given(value=VALUES, tree=TREES, indent=st.sampled_from([None, 0, 3]), ascii_only=st.booleans())
def test_the_result_has_the_expected_meaning(value: Any, tree: Tree, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    assert json.loads(splice(text, tree)) == expected(value, tree)


@given(value=VALUES, indent=st.sampled_from([None, 2]))
def test_without_a_named_member_no_byte_changes(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)

    assert splice(text, {"not there": starred}) == text
