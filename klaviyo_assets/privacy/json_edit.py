"""Changes selected members of a JSON text and keeps every other byte.

Parsing and serializing would change numbers, spaces, escapes and duplicate members. So only the changed parts of the text are replaced. The scanner
is not recursive and does not validate: its input is valid JSON.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Union

Change = Callable[[str], str]
"""Returns new JSON text for the JSON text of a value."""

Tree = Mapping[str, Union["Tree", Change, "Remove"]]
"""Maps the name of a member to a change of its value, or to a tree for the members of its value."""


class Remove(Enum):
    """Instead of a change: removes the member, whatever its value."""

    MEMBER = "member"


class ObjectOnly(dict[str, Any]):
    """A tree for a value that should be an object. Any other value is removed, since the member could be anywhere in it."""


TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
"""A token of a JSON text: a string, a punctuation character, a number or a keyword."""

_SPACE = re.compile(r"\s*")

_OPENING, _CLOSING = frozenset("{["), frozenset("}]")


@dataclass
class _Container:
    """An open object or list, and the state of the member that is being read."""

    is_object: bool
    inside: Any
    has_kept_members: bool = False
    name: str | None = None
    member_from: int = 0
    comma_from: int = 0
    remove_next_comma: bool = False


@dataclass
class _Edits:
    """Replaced parts of the text, in order."""

    text: str
    pieces: list[str] = field(default_factory=list)
    done: int = 0

    def replace(self, start: int, end: int, new: str) -> None:
        self.pieces += [self.text[self.done : start], new]
        self.done = end

    def result(self) -> str:
        return "".join([*self.pieces, self.text[self.done :]])


def splice(text: str, tree: Tree) -> str:
    r"""Return a JSON text with the changes of a tree applied.

    A tree for a list applies to each of its items. Duplicate members of an object are all changed. A change of a list is applied to each of its
    items; a change of an object is applied to the whole object.

    Args:
        text: Valid JSON.
        tree: The changes.

    Example:
        >>> splice('{"a": 1.0, "b": {"c": "x"}}', {"b": {"c": Remove.MEMBER}})
        '{"a": 1.0, "b": {}}'
    """
    edits = _Edits(text)
    # The first one is what contains the whole text.
    open_ = [_Container(is_object=False, inside=tree)]
    inside: Any = tree  # applies to the next value
    tokens = TOKEN.finditer(text)
    for token in tokens:
        symbol, here = token[0], open_[-1]
        if symbol in _CLOSING:
            open_.pop()
        elif symbol == ",":
            _pass_comma(edits, here, token)
            inside = here.inside
        elif symbol == ":":
            continue
        elif here.is_object and here.name is None:
            here.name, here.member_from = _name(symbol), token.start()
            inside = here.inside.get(here.name)
        elif symbol in _OPENING and _has_changes_inside(symbol, inside):
            here.has_kept_members = True
            open_.append(_Container(symbol == "{", inside))
        else:
            end = _end_of_value(token, tokens)
            if inside is Remove.MEMBER or isinstance(inside, ObjectOnly):
                _remove_member(edits, here, end)
                continue
            here.has_kept_members = True
            if callable(inside) and not isinstance(inside, Mapping):
                edits.replace(token.start(), end, inside(text[token.start() : end]))
    return edits.result()


def _has_changes_inside(symbol: str, inside: Any) -> bool:
    """Whether a tree has changes for the members of the object, or the items of the list, that a bracket opens."""
    if symbol == "[":
        return (isinstance(inside, Mapping) and not isinstance(inside, ObjectOnly)) or callable(inside)
    return isinstance(inside, Mapping)


def _pass_comma(edits: _Edits, here: _Container, comma: re.Match[str]) -> None:
    here.name, here.comma_from = None, comma.start()
    if here.remove_next_comma:
        edits.replace(comma.start(), _end_of_space(edits.text, comma.end()), "")
        here.remove_next_comma = False


def _name(token: str) -> str:
    """Return a member's name, unquoted and unescaped."""
    return str(json.loads(token, strict=False))


def _end_of_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def _end_of_value(first: re.Match[str], tokens: Iterator[re.Match[str]]) -> int:
    """Return the end of a value, and consume its tokens."""
    if first[0] not in _OPENING:
        return first.end()
    depth = 1
    for token in tokens:
        depth += (token[0] in _OPENING) - (token[0] in _CLOSING)
        if depth == 0:
            return token.end()
    return len(first.string)


def _remove_member(edits: _Edits, here: _Container, end: int) -> None:
    """Remove a member and one comma."""
    edits.replace(here.comma_from if here.has_kept_members else here.member_from, end, "")
    here.remove_next_comma = not here.has_kept_members
