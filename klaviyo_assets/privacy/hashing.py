"""Salted hashes of personal values. Values are normalized first, so different spellings have the same hash and joins still work.

A hash without a salt hides nothing: hashing all phone numbers of a country, or all known e-mail addresses, takes minutes.
"""

import hashlib
import hmac
import os
import re
from enum import StrEnum
from typing import NoReturn

HASH_PREFIX = "sha256:"

SHORTEST_SALT = 16
"""Minimum length of a salt."""

SALT_VARIABLE = "KLAVIYO_FIELD_SALT"
"""The environment variable with the salt."""

# A field name may suggest a phone number although the value is none: mobile_os, phone_model.
_PHONE_VALUE = re.compile(r"\s*\+?[\d\s().\/-]{7,}")

_PHONE_NAME = re.compile(r"\b(?:(?:tele|mobile|cell)?phone|mobile)(?:no|nr|numbers?|s)?\b")
_EMAIL_NAME = re.compile(r"\be ?mails?(?:address(?:es)?)?\b")

_HASHED = re.compile(rf"{HASH_PREFIX}[0-9a-f]{{64}}")


class ValueKind(StrEnum):
    """What a value is. It determines how the value is normalized before it is hashed."""

    EMAIL = "email"
    PHONE = "phone"
    TEXT = "text"


class Salt:
    """The secret of the hashes. Its ``repr`` does not reveal it.

    Example:
        >>> Salt("0123456789abcdef0123456789abcdef")
        Salt('***')
    """

    __slots__ = ("_key",)

    def __init__(self, text: str) -> None:
        self._key = text.encode(errors="surrogateescape")

    def __len__(self) -> int:
        return len(self._key)

    def hash(self, value: str, kind: ValueKind = ValueKind.TEXT) -> str:
        """Return ``sha256:`` and the HMAC-SHA256 of a value, in hexadecimal digits.

        Example:
            >>> salt = Salt("0123456789abcdef")
            >>> salt.hash(" Ann@Example.com", ValueKind.EMAIL) == salt.hash("ann@example.com", ValueKind.EMAIL)
            True
        """
        return HASH_PREFIX + hmac.new(self._key, normalized(value, kind).encode(errors="surrogatepass"), hashlib.sha256).hexdigest()

    @property
    def fingerprint(self) -> str:
        """Identifies a salt without revealing anything else about it."""
        return hmac.new(self._key, b"klaviyo_assets: which salt is this", hashlib.sha256).hexdigest()[:16]

    def __repr__(self) -> str:
        return "Salt('***')"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A salt cannot be pickled: the pickle would reveal it.")


def salt_of_environment() -> Salt | None:
    """Return the salt, or None if there is none. No variable holds its text, since tracebacks may show variables."""
    salt = Salt(os.environ.get(SALT_VARIABLE, "").strip())
    return salt if len(salt) else None


def normalized(value: str, kind: ValueKind) -> str:
    """Return a value as it is hashed: e-mail trimmed and in lower case, a phone number as + and its digits.

    Other values do not change, so different values keep different hashes.

    Example:
        >>> normalized("0049 (170) 123-45", ValueKind.PHONE)
        '+4917012345'
        >>> normalized("iOS", ValueKind.PHONE)
        'iOS'
    """
    match kind:
        case ValueKind.EMAIL if "@" in value:
            return value.strip().lower()
        case ValueKind.PHONE if is_phone(value):
            digits = "".join(str(int(character)) for character in value if character.isdecimal())
            return "+" + (digits[2:] if digits.startswith("00") and "+" not in value else digits)
        case _:
            return value


def is_phone(value: str) -> bool:
    """Return whether a value looks like a phone number."""
    return _PHONE_VALUE.fullmatch(value) is not None and any(character.isdecimal() for character in value)


def value_kind_of(name: str) -> ValueKind:
    """Return the kind of a field's values, by the words of its name.

    ``Billing E-Mail`` and ``$email`` are e-mail addresses, ``phone_number`` and ``mobilePhone`` are phone numbers; ``automobile`` is neither.
    """
    words = re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).lower()
    if _EMAIL_NAME.search(words):
        return ValueKind.EMAIL
    return ValueKind.PHONE if _PHONE_NAME.search(words) else ValueKind.TEXT


def is_hash(text: str) -> bool:
    """Return whether a text is such a hash."""
    return _HASHED.fullmatch(text) is not None
