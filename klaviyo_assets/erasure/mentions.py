"""Finds and redacts a person's identifiers in texts, in every way they may be encoded.

In JSON only the identifier inside a string, or a number equal to the phone number, is replaced; all other bytes remain. In doubt a match is redacted:
a false match is better than a missed address.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property

from klaviyo_assets.privacy.json_edit import TOKEN

ERASED = "[erased]"
"""Replaces the person's identifiers in other rows."""

_UNIT = re.compile(r"\\u([0-9a-fA-F]{4})|\\(.)|([^\\])", re.DOTALL)
"""A character of a JSON string, in its encoded form."""

_WRITTEN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

# A text may contain JSON or a URL: then the letter before an identifier is part of an escape.
_AFTER_ESCAPE = r"(?<=\\[bfnrt])|(?<=\\u[0-9a-f]{4})|(?<=%[0-9a-f]{2})(?<!%2[bde])"
_ALONE_BEFORE = rf"(?:{_AFTER_ESCAPE}|(?<![^\W_]))"
_ALONE_AFTER = r"(?![^\W_])"

# joann@… and jo.ann@… are other addresses; a dash or underscore at the start of a word is from a list or Markdown.
_BEFORE_EMAIL = rf"(?:{_AFTER_ESCAPE}|(?<![^\W_])(?<![^\W_][.+_-]))"
# …@example.com.au and …@example.com-shop.de are other addresses; in "…@example.com.Thanks" a new sentence begins.
_AFTER_EMAIL = (
    rf"{_ALONE_AFTER}(?!-[^\W_]+(?:-[^\W_]+)*\.[^\W_])"
    r"(?!\.(?-i:(?:[a-z0-9-]+\.)*(?:[a-z]{2}|com|net|org|info|biz|shop|store)(?![^\W_])))"
)

_BEFORE_PHONE = r"(?:(?<=\\u[0-9a-f]{4})|(?<=%[0-9a-f]{2})|(?<!\d))"
_AFTER_PHONE = r"(?!\d)"
_PLUS = r"(?:\+|%(?:25)*2b|\\+u002b|&#0*43;|00)"
_BETWEEN_DIGITS = (
    "(?:[\\s()./+\u00a0\u2000-\u200f\u2010-\u2015\u202f-]"
    r"|\\+[tnr/]|\\+u(?:00a0|20[0-9a-f]{2})|%(?:25)*(?:2[0b89def]|c2%(?:25)*a0)|&nbsp;|\(0\)){0,4}"
)
_OPTIONAL_PLUS = f"(?:{_PLUS}{_BETWEEN_DIGITS})?"


@dataclass(frozen=True)
class Mentions:
    """Searches texts for the identifiers of a person.

    Args:
        emails: E-mail addresses, in lower case.
        phones: Phone numbers, as + and digits.
        exact: Identifiers that must match exactly: ids, hashes.

    Example:
        >>> Mentions(emails={"ann@example.com"}).redacted_json('{"url": "/?e=ANN%40example.com", "n": 1.0}')
        '{"url": "/?e=[erased]", "n": 1.0}'
    """

    emails: Collection[str] = ()
    phones: Collection[str] = ()
    exact: Collection[str] = ()

    @property
    def any_identifier(self) -> bool:
        """Whether there is any identifier."""
        return bool(self._identifiers)

    @cached_property
    def candidate(self) -> str:
        """A pattern for DuckDB (option ``i``) that matches every text with an identifier, and some without."""
        return "|".join(name for _, name, _ in self._identifiers)

    def redacted(self, text: str) -> str:
        """Return a text with ``[erased]`` in place of each identifier."""
        return self._pattern.sub(ERASED, text)

    def redacted_json(self, text: str) -> str:
        """Return a JSON text with ``[erased]`` in place of each identifier, and of numbers equal to the phone number."""
        return TOKEN.sub(lambda found: self._token(found[0]), text)

    @cached_property
    def _identifiers(self) -> list[tuple[str, str, str]]:
        """Patterns: the text allowed before an identifier, the identifier, and the text allowed after it."""
        emails = [(_BEFORE_EMAIL, "".join(map(_encodings, email)), _AFTER_EMAIL) for email in _longest_first(self.emails)]
        phones = [(_BEFORE_PHONE, _OPTIONAL_PLUS + _BETWEEN_DIGITS.join(phone[1:]), _AFTER_PHONE) for phone in _longest_first(self.phones)]
        # Ids are case-sensitive.
        exact = [(_ALONE_BEFORE, f"(?-i:{re.escape(name)})", _ALONE_AFTER) for name in _longest_first(self.exact)]
        return [*emails, *phones, *exact]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(before + name + after for before, name, after in self._identifiers) or r"(?!)", re.IGNORECASE)

    @cached_property
    def _numbers(self) -> set[Decimal]:
        return {Decimal(phone[1:]) for phone in self.phones}

    def _token(self, token: str) -> str:
        if token.startswith('"'):
            return f'"{self._in_string(token[1:-1])}"'
        return f'"{ERASED}"' if self._numbers and _number(token) in self._numbers else token

    def _in_string(self, raw: str) -> str:
        """Redact identifiers between the quotes of a JSON string."""
        if "\\" not in raw:
            return self.redacted(raw)
        units = list(_UNIT.finditer(raw))
        starts = [*(unit.start() for unit in units), len(raw)]
        pieces, done = [], 0
        for found in self._pattern.finditer("".join(map(_character, units))):
            pieces += [raw[done : starts[found.start()]], ERASED]
            done = starts[found.end()]
        return "".join([*pieces, raw[done:]])


def _longest_first(values: Iterable[str]) -> list[str]:
    return sorted(values, key=lambda value: (-len(value), value))


def _character(unit: re.Match[str]) -> str:
    code, escaped, plain = unit.groups()
    return chr(int(code, 16)) if code else plain or _WRITTEN.get(escaped, escaped)


def _number(token: str) -> Decimal | None:
    try:
        return Decimal(token)
    except InvalidOperation:  # true, false, null, a bracket
        return None


def _encodings(character: str) -> str:
    """Return a pattern for the encodings of a character: plain, JSON escapes (also of nested JSON), URL, HTML."""
    ways = [re.escape(character) if character.isalnum() else rf"\\*{re.escape(character)}"]
    for one in sorted({character, character.lower(), character.upper()}):
        if len(one) == 1:
            ways.append("".join(rf"\\+u{unit}" for unit in _in_units(one.encode("utf-16-be", "surrogatepass").hex(), 4)))
            ways.append("".join(f"%(?:25)*{byte}" for byte in _in_units(one.encode(errors="surrogatepass").hex(), 2)))
            ways.append(f"&#(?:0*{ord(one)}|x0*{ord(one):x});")
    return f"(?:{'|'.join(ways)})"


def _in_units(digits: str, size: int) -> list[str]:
    return [digits[start : start + size] for start in range(0, len(digits), size)]
