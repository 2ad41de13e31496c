"""Finds a person's names in texts, however they are spelt there, and takes them out.

In JSON only the stretch of a string that names the person changes, and a number that is their phone number; every other byte stays. In doubt a name
is redacted: better one word too many than an address left behind.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property

from klaviyo_assets.privacy.json_edit import TOKEN

ERASED = "[erased]"
"""Stands in rows of others where they named the person."""

_UNIT = re.compile(r"\\u([0-9a-fA-F]{4})|\\(.)|([^\\])", re.DOTALL)
"""A character of a JSON string, as it is written."""

_WRITTEN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

# A text may hold JSON or a URL of its own: what stands before the name is then a letter of an escape.
_AFTER_ESCAPE = r"(?<=\\[bfnrt])|(?<=\\u[0-9a-f]{4})|(?<=%[0-9a-f]{2})(?<!%2[bde])"
_ALONE_BEFORE = rf"(?:{_AFTER_ESCAPE}|(?<![^\W_]))"
_ALONE_AFTER = r"(?![^\W_])"

# joann@… and jo.ann@… are others; a dash or an underscore with nothing before it is a list's or Markdown's.
_BEFORE_EMAIL = rf"(?:{_AFTER_ESCAPE}|(?<![^\W_])(?<![^\W_][.+_-]))"
# …@example.com.au and …@example.com-shop.de are others; in "…@example.com.Thanks" a sentence begins.
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
_PREFIX = f"(?:{_PLUS}{_BETWEEN_DIGITS})?"


@dataclass(frozen=True)
class Mentions:
    """The names of a person, ready to be looked for.

    Args:
        emails: E-mail addresses, in small letters.
        phones: Phone numbers, as + and digits.
        exact: What is only looked for as it stands: ids, hashes.

    Example:
        >>> Mentions(emails={"ann@example.com"}).without_in_json('{"url": "/?e=ANN%40example.com", "n": 1.0}')
        '{"url": "/?e=[erased]", "n": 1.0}'
    """

    emails: Collection[str] = ()
    phones: Collection[str] = ()
    exact: Collection[str] = ()

    @property
    def are_there(self) -> bool:
        """Whether there is any name."""
        return bool(self._names)

    @cached_property
    def candidate(self) -> str:
        """A pattern for DuckDB (option ``i``) that each text with a name matches; some without match it as well."""
        return "|".join(name for _, name, _ in self._names)

    def without(self, text: str) -> str:
        """Return a text with ``[erased]`` in place of each name."""
        return self._pattern.sub(ERASED, text)

    def without_in_json(self, text: str) -> str:
        """Return a JSON text with ``[erased]`` in place of each name, and of a number that is the phone number."""
        return TOKEN.sub(lambda found: self._token(found[0]), text)

    @cached_property
    def _names(self) -> list[tuple[str, str, str]]:
        """What may stand before a name, the name, and what may follow, as patterns."""
        emails = [(_BEFORE_EMAIL, "".join(map(_spelt, email)), _AFTER_EMAIL) for email in _longest_first(self.emails)]
        phones = [(_BEFORE_PHONE, _PREFIX + _BETWEEN_DIGITS.join(phone[1:]), _AFTER_PHONE) for phone in _longest_first(self.phones)]
        # Another id may differ in nothing but a letter's case.
        exact = [(_ALONE_BEFORE, f"(?-i:{re.escape(name)})", _ALONE_AFTER) for name in _longest_first(self.exact)]
        return [*emails, *phones, *exact]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(before + name + after for before, name, after in self._names) or r"(?!)", re.IGNORECASE)

    @cached_property
    def _numbers(self) -> set[Decimal]:
        return {Decimal(phone[1:]) for phone in self.phones}

    def _token(self, token: str) -> str:
        if token.startswith('"'):
            return f'"{self._in_string(token[1:-1])}"'
        return f'"{ERASED}"' if self._numbers and _number(token) in self._numbers else token

    def _in_string(self, raw: str) -> str:
        """Replace names in what stands between the quotes of a JSON string."""
        if "\\" not in raw:
            return self.without(raw)
        units = list(_UNIT.finditer(raw))
        starts = [*(unit.start() for unit in units), len(raw)]
        pieces, done = [], 0
        for found in self._pattern.finditer("".join(map(_character, units))):
            pieces += [raw[done : starts[found.start()]], ERASED]
            done = starts[found.end()]
        return "".join([*pieces, raw[done:]])


def _longest_first(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (-len(name), name))


def _character(unit: re.Match[str]) -> str:
    code, escaped, plain = unit.groups()
    return chr(int(code, 16)) if code else plain or _WRITTEN.get(escaped, escaped)


def _number(token: str) -> Decimal | None:
    try:
        return Decimal(token)
    except InvalidOperation:  # true, false, null, a bracket
        return None


def _spelt(character: str) -> str:
    """Return a pattern of the ways to write a character: as it is, in JSON's escapes (once or in JSON within JSON), in a URL, in HTML."""
    ways = [re.escape(character) if character.isalnum() else rf"\\*{re.escape(character)}"]
    for one in sorted({character, character.lower(), character.upper()}):
        if len(one) == 1:
            ways.append("".join(rf"\\+u{unit}" for unit in _in_units(one.encode("utf-16-be", "surrogatepass").hex(), 4)))
            ways.append("".join(f"%(?:25)*{byte}" for byte in _in_units(one.encode(errors="surrogatepass").hex(), 2)))
            ways.append(f"&#(?:0*{ord(one)}|x0*{ord(one):x});")
    return f"(?:{'|'.join(ways)})"


def _in_units(digits: str, size: int) -> list[str]:
    return [digits[start : start + size] for start in range(0, len(digits), size)]
