"""Describes an option: its meaning, default and bounds, and how its environment variable is parsed.

The options themselves are in :mod:`klaviyo_assets.settings.options`.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

VARIABLE_PREFIX = "KLAVIYO_"
"""Prefix of this package's environment variables."""

QUOTES = "\"'`“”‘’"
"""Quotes that are around a value by mistake."""

_INVISIBLE_CHARACTER = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060\ufeff]")


class OptionKind(Protocol):
    """Parses and validates the values of an option. Both methods raise a ``ValueError`` with a complete sentence that begins with the name."""

    def parse(self, text: str, name: str) -> Any:
        """Parse a text, which is not empty."""

    def check(self, value: Any, name: str) -> None:
        """Refuse an invalid value."""


@dataclass(frozen=True)
class Text:
    """A text.

    Attributes:
        checked_by: Raises a ``ValueError`` for an invalid text.
        result: Converts a valid text to the value.
    """

    checked_by: Callable[[str, str], None] = lambda text, name: None
    result: Callable[[str], str] = str

    def parse(self, text: str, name: str) -> str:
        """Validate and return the text."""
        text = plain(text, name)
        self.check(text, name)
        return self.result(text)

    def check(self, value: str | None, name: str) -> None:
        """Refuse an invalid text."""
        if value is not None:
            self.checked_by(value, name)


@dataclass(frozen=True)
class Number:
    """A number.

    Attributes:
        words: The allowed numbers, for messages.
        gt: Exclusive lower bound.
        ge: Inclusive lower bound.
        le: Inclusive upper bound.
        whole: True if it must be an integer.
    """

    words: str
    gt: float | None = None
    ge: float | None = None
    le: float | None = None
    whole: bool = False

    def parse(self, text: str, name: str) -> float | int:
        """Return the number."""
        text = plain(text, name)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        self._check(value, name, text)
        return int(value) if self.whole else value

    def check(self, value: float | None, name: str) -> None:
        """Refuse a number that is out of bounds."""
        if value is not None:
            self._check(value, name, str(value))

    def _check(self, value: float, name: str, text: str) -> None:
        within = math.isfinite(value) and (self.gt is None or value > self.gt) and (self.ge is None or value >= self.ge)
        if not within or (self.le is not None and value > self.le) or (self.whole and value != int(value)):
            raise ValueError(f"{name} must be {self.words}; it is {text!r}.")

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds, as arguments of Pydantic's ``Field``."""
        return {name: bound for name in ("gt", "ge", "le") if (bound := getattr(self, name)) is not None}


def whole_number(minimum: int, maximum: int) -> Number:
    """Return the kind of an integer with two bounds."""
    return Number(f"a whole number from {minimum} to {maximum}", ge=minimum, le=maximum, whole=True)


@dataclass(frozen=True)
class Switch:
    """True or false."""

    def parse(self, text: str, name: str) -> bool:
        """Parse ``true`` or ``false``, in upper or lower case."""
        text = plain(text, name).lower()
        if text not in {"true", "false"}:
            raise ValueError(f"{name} must be true or false; it is {text!r}.")
        return text == "true"

    def check(self, value: bool, name: str) -> None:
        """Accept either."""


@dataclass(frozen=True)
class Names:
    """A list of names. In the environment, commas separate them; a JSON list allows names with commas.

    Attributes:
        checked_by: Raises a ``ValueError`` for an invalid list.
    """

    checked_by: Callable[[Sequence[str], str], None] = lambda names, name: None

    def parse(self, text: str, name: str) -> list[str]:
        """Return the names."""
        names = _json_list(text, name) if text.lstrip().startswith("[") else [one.strip() for one in plain(text, name).split(",")]
        self.check(names, name)
        return names

    def check(self, value: Sequence[str], name: str) -> None:
        """Refuse an empty name, a name that is listed twice, and what ``checked_by`` refuses."""
        if isinstance(value, str):
            raise ValueError(f"{name} is a text: {value!r}. Give a list, such as [{value!r}].")
        if others := [one for one in value if not isinstance(one, str)]:
            raise ValueError(f"{name} lists {others[0]!r}, which is not a string. Write each name in quotes.")
        if not all(one.strip() for one in value):
            raise ValueError(f"{name} has an empty name: {list(value)!r}. Remove it.")
        if twice := [one for one in dict.fromkeys(value) if list(value).count(one) > 1]:
            raise ValueError(f"{name} lists a name twice: {', '.join(twice)}. List each once.")
        if value:
            self.checked_by(value, name)


def _json_list(text: str, name: str) -> list[str]:
    try:
        names = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f'{name} is not a JSON list ({error}). Write it as ["one name", "another"].') from None
    return list(names)


@dataclass(frozen=True)
class Option:
    """One option of the package.

    Attributes:
        description: Its meaning, without a full stop; for the UI, the docs and ``.env.example``.
        example: Example value for ``.env.example``.
        kind: How its values are parsed and validated.
        default_words: Text for its default in the docs, if not the value itself.
        notes: More text for the docs only, in Markdown with links relative to ``docs/``.
        on_resource: True if it is a field of ``KlaviyoResource``.
        name: Its name in code.
        default: Its default.
    """

    description: str
    example: str = ""
    kind: OptionKind = field(default_factory=Text)
    default_words: str = ""
    notes: str = ""
    on_resource: bool = True
    name: str = ""
    default: Any = None

    @property
    def variable(self) -> str:
        """The environment variable, such as ``KLAVIYO_TIMEOUT``."""
        return f"{VARIABLE_PREFIX}{self.name.upper()}"

    def read(self, environment: Mapping[str, str]) -> Any:
        """Return the value from the environment, or the default.

        Raises:
            ValueError: If the value is invalid; the text names the variable.
        """
        text = environment.get(self.variable, "").strip()
        return self.kind.parse(text, self.variable) if text else self.default


def plain(text: str, name: str) -> str:
    """Return a text without surrounding white space.

    Raises:
        ValueError: If it is quoted (a shell removes quotes, ``docker --env-file`` does not), or contains invisible characters.
    """
    text = text.strip()
    if text and (text[0] in QUOTES or text[-1] in QUOTES):
        raise ValueError(f"{name} has quotes around its value: {text}. Remove the quotes.")
    if _INVISIBLE_CHARACTER.search(text):
        raise ValueError(f"{name} has a line break or another invisible character in its value: {text!a}. Write it again, on one line.")
    return text
