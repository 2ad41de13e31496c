"""Cursors: a position in a sort order, bound to one query and valid for three days."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from klaviyo_assets.sandbox.errors import ApiError, invalid
from klaviyo_assets.sandbox.instants import DAY
from klaviyo_assets.sandbox.store import Position

LIFETIME = 3 * DAY
"""How long a cursor is valid, in microseconds; Klaviyo's staff name three days as a rule of thumb."""

_BINDING = ("filter", "sort")


@dataclass(frozen=True)
class Cursor:
    """Where a page starts.

    Attributes:
        place: The position of the record before the page's first one, in reading direction.
        backwards: True if the page precedes the position, as for ``links.prev``.
    """

    place: Position
    backwards: bool = False


def _binding(path: str, parameters: Mapping[str, str]) -> str:
    text = "\n".join((path, *(parameters.get(name, "") for name in _BINDING)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write(cursor: Cursor, path: str, parameters: Mapping[str, str], now: int) -> str:
    """Return a cursor as the opaque text in a link."""
    content = (_binding(path, parameters), now, cursor.backwards, cursor.place)
    return base64.urlsafe_b64encode(msgspec.json.encode(content)).decode().rstrip("=")


def read(text: str, path: str, parameters: Mapping[str, str], now: int) -> Cursor:
    """Parse the text of a cursor.

    Raises:
        ApiError: 400, if it is not a cursor, was made for another query, or has expired.
    """
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        binding, made, backwards, place = msgspec.json.decode(content, type=tuple[str, int, bool, tuple[int, str | int | bool, str]])
    except (ValueError, msgspec.MsgspecError):
        raise _invalid() from None
    if binding != _binding(path, parameters) or now - made > LIFETIME:
        raise _invalid()
    return Cursor(place, backwards)


def _invalid() -> ApiError:
    return invalid("Invalid cursor provided.", "page[cursor]")
