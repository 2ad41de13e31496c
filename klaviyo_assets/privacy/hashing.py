"""Salted hashes that stand in for personal values: the same value, written the same way or not, has the same hash, so that joins still work.

A hash without a salt hides nothing: all phone numbers of a country, and all known e-mail addresses, are hashed in minutes.
"""

import hashlib
import hmac
import re
from enum import StrEnum
from typing import NoReturn

PREFIX = "sha256:"

SHORTEST_SALT = 16
"""Characters that a salt must have at least."""

_HASHED = re.compile(rf"{PREFIX}[0-9a-f]{{64}}")


class Kind(StrEnum):
    """What a value is, which says how it is written before it is hashed."""

    EMAIL = "email"
    PHONE = "phone"
    TEXT = "text"


class Salt:
    """The secret of the hashes; it does not show itself.

    Example:
        >>> Salt("0123456789abcdef0123456789abcdef")
        Salt('***')
    """

    __slots__ = ("_key",)

    def __init__(self, text: str) -> None:
        self._key = text.encode()

    def hash(self, value: str, kind: Kind = Kind.TEXT) -> str:
        """Return ``sha256:`` and the HMAC-SHA256 of a value, in hexadecimal digits.

        Example:
            >>> salt = Salt("0123456789abcdef")
            >>> salt.hash(" Ann@Example.com", Kind.EMAIL) == salt.hash("ann@example.com", Kind.EMAIL)
            True
        """
        return PREFIX + hmac.new(self._key, normalised(value, kind).encode(errors="surrogatepass"), hashlib.sha256).hexdigest()

    @property
    def fingerprint(self) -> str:
        """Tells whether two salts are the same, and nothing else about them."""
        return hmac.new(self._key, b"klaviyo_assets: which salt is this", hashlib.sha256).hexdigest()[:16]

    def __repr__(self) -> str:
        return "Salt('***')"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A salt is not pickled: it would lie in the pickle for everybody to read.")


def normalised(value: str, kind: Kind) -> str:
    """Return a value as it is written before it is hashed: e-mail trimmed and in small letters, a phone number as + and its digits.

    Example:
        >>> normalised("+49 (170) 123-45", Kind.PHONE)
        '+4917012345'
    """
    match kind:
        case Kind.EMAIL:
            return value.strip().lower()
        case Kind.PHONE:
            return "+" + "".join(character for character in value if "0" <= character <= "9")
        case _:
            return value


def kind_of(name: str) -> Kind:
    """Return what a field holds, told by its name: ``Billing E-Mail`` and ``$email`` are e-mail addresses, ``phone_number`` is a phone number."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    if "email" in letters:
        return Kind.EMAIL
    return Kind.PHONE if "phone" in letters or "mobile" in letters else Kind.TEXT


def is_hash(text: str) -> bool:
    """Return whether a text is such a hash already."""
    return _HASHED.fullmatch(text) is not None
