"""Changes chosen members of a JSON text and leaves every other byte as it is.

A parser that serialises its result would change numbers, spaces, escapes and members of the same name. So the text is only cut where something is
to be changed. The scanner needs no recursion and refuses nothing: it is handed what a parser has accepted already.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Union

Change = Callable[[str], str]
"""Makes JSON text of a value's JSON text."""

Tree = Mapping[str, Union["Tree", Change, "Remove"]]
"""By the name of a member: what to do with its value, or with the members of its value."""


class Remove(Enum):
    """In place of a change: the member goes, whatever its value."""

    MEMBER = "member"


class ObjectOnly(dict[str, Any]):
    """A tree for a value that should be an object: any other value goes, since what is named may stand anywhere in it."""


TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
"""A string, a mark, a number or a word of a JSON text."""

_SPACE = re.compile(r"\s*")

_OPENING, _CLOSING = frozenset("{["), frozenset("}]")


@dataclass
class _Container:
    """An object or list that is open, and what is known of the member that is being read."""

    is_object: bool
    inside: Any
    keeps_any: bool = False
    name: str | None = None
    member_from: int = 0
    comma_from: int = 0
    swallows_comma: bool = False


@dataclass
class _Edits:
    """Stretches of the text that are replaced, in order."""

    text: str
    pieces: list[str] = field(default_factory=list)
    done: int = 0

    def replace(self, start: int, end: int, new: str) -> None:
        self.pieces += [self.text[self.done : start], new]
        self.done = end

    def result(self) -> str:
        return "".join([*self.pieces, self.text[self.done :]])


def splice(text: str, tree: Tree) -> str:
    r"""Return a JSON text with the members that a tree names changed.

    A list on the way stands for each of its items. A member that is named twice in its object is changed twice. A change that is applied to a list is
    applied to each of its items; to an object, as a whole.

    Args:
        text: JSON, as a parser has accepted it.
        tree: What to change.

    Example:
        >>> splice('{"a": 1.0, "b": {"c": "x"}}', {"b": {"c": Remove.MEMBER}})
        '{"a": 1.0, "b": {}}'
    """
    edits = _Edits(text)
    open_: list[_Container] = []
    inside: Any = tree  # what applies to the value that comes next
    tokens = TOKEN.finditer(text)
    for token in tokens:
        mark, here = token[0], open_[-1] if open_ else None
        if mark in _CLOSING:
            open_.pop()
        elif mark == ",":
            assert here is not None
            _pass_comma(edits, here, token)
            inside = here.inside
        elif mark == ":":
            continue
        elif here is not None and here.is_object and here.name is None:
            here.name, here.member_from = _name(mark), token.start()
            inside = here.inside.get(here.name)
        elif mark in _OPENING and _is_looked_into(mark, inside):
            if here is not None:
                here.keeps_any = True
            open_.append(_Container(mark == "{", inside))
        else:
            end = _end_of_value(token, tokens)
            if inside is Remove.MEMBER or isinstance(inside, ObjectOnly):
                _remove_member(edits, here, end)
                continue
            if here is not None:
                here.keeps_any = True
            if callable(inside) and not isinstance(inside, Mapping):
                edits.replace(token.start(), end, inside(text[token.start() : end]))
    return edits.result()


def _is_looked_into(mark: str, inside: Any) -> bool:
    """Whether a tree is about the members of the object, or the items of the list, that a mark opens."""
    if mark == "[":
        return (isinstance(inside, Mapping) and not isinstance(inside, ObjectOnly)) or callable(inside)
    return isinstance(inside, Mapping)


def _pass_comma(edits: _Edits, here: _Container, comma: re.Match[str]) -> None:
    here.name, here.comma_from = None, comma.start()
    if here.swallows_comma:
        edits.replace(comma.start(), _end_of_space(edits.text, comma.end()), "")
        here.swallows_comma = False


def _name(token: str) -> str:
    """Return a member's name: without the quotes, escapes read."""
    return str(json.loads(token, strict=False))


def _end_of_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def _end_of_value(first: re.Match[str], tokens: Iterator[re.Match[str]]) -> int:
    """Return where a value ends, and move on behind it."""
    if first[0] not in _OPENING:
        return first.end()
    depth = 1
    for token in tokens:
        depth += (token[0] in _OPENING) - (token[0] in _CLOSING)
        if depth == 0:
            return token.end()
    return len(first.string)


def _remove_member(edits: _Edits, here: _Container | None, end: int) -> None:
    """Remove a member, and one comma with it."""
    assert here is not None
    edits.replace(here.comma_from if here.keeps_any else here.member_from, end, "")
    here.swallows_comma = not here.keeps_any
