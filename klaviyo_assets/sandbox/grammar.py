"""Parser for Klaviyo's filter language: ``operator(field,value)``, joined by commas or by ``and(…)``.

Described at https://developers.klaviyo.com/en/docs/filtering_ ; strings are quoted, instants and numbers are not, lists are in brackets.
"""

import re
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_$][\w.$-]*")
_BARE = re.compile(r"[^\s,()\[\]\"']+")
_ESCAPED = re.compile(r"\\(.)")
_QUOTED = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""")


@dataclass(frozen=True)
class Literal:
    """A value in a filter's text.

    Attributes:
        text: The value without quotes.
        quoted: Whether it was in quotes.
    """

    text: str
    quoted: bool


@dataclass(frozen=True)
class Call:
    """One condition in a filter's text: operator, field, and a value, a list of values or nothing."""

    operator: str
    field: str
    value: Literal | tuple[Literal, ...] | None


class FilterSyntaxError(ValueError):
    """The text is not a filter."""


def parse(text: str) -> list[Call]:
    """Return the conditions of a filter.

    Raises:
        FilterSyntaxError: If the text is not a filter.

    Example:
        >>> parse('equals(archived,true)')
        [Call(operator='equals', field='archived', value=Literal(text='true', quoted=False))]
    """
    reader = _Reader(text)
    calls = reader.expressions()
    if not reader.done:
        raise FilterSyntaxError(f"unexpected {reader.rest!r}")
    return calls


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    @property
    def done(self) -> bool:
        return self._position >= len(self._text)

    @property
    def rest(self) -> str:
        return self._text[self._position : self._position + 20]

    def expressions(self) -> list[Call]:
        calls = self._expression()
        while self._accept(","):
            calls += self._expression()
        return calls

    def _expression(self) -> list[Call]:
        self._spaces()
        operator = self._match(_NAME, "an operator")
        self._expect("(")
        if operator == "and":
            calls = self.expressions()
            self._expect(")")
            return calls
        field = self._match(_NAME, "a field")
        value = self._value() if self._accept(",") else None
        self._expect(")")
        return [Call(operator, field, value)]

    def _value(self) -> Literal | tuple[Literal, ...]:
        if not self._accept("["):
            return self._literal()
        if self._accept("]"):
            return ()
        items = [self._literal()]
        while self._accept(","):
            items.append(self._literal())
        self._expect("]")
        return tuple(items)

    def _literal(self) -> Literal:
        self._spaces()
        quoted = _QUOTED.match(self._text, self._position)
        if quoted:
            self._position = quoted.end()
            inner = quoted.group(1) if quoted.group(1) is not None else quoted.group(2)
            return Literal(_ESCAPED.sub(r"\1", inner), True)
        return Literal(self._match(_BARE, "a value"), False)

    def _match(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self._text, self._position)
        if not found:
            raise FilterSyntaxError(f"expected {what} at {self.rest!r}")
        self._position = found.end()
        return found.group()

    def _accept(self, character: str) -> bool:
        self._spaces()
        if self._text.startswith(character, self._position):
            self._position += 1
            return True
        return False

    def _expect(self, character: str) -> None:
        if not self._accept(character):
            raise FilterSyntaxError(f"expected {character!r} at {self.rest!r}")

    def _spaces(self) -> None:
        while not self.done and self._text[self._position] == " ":
            self._position += 1
