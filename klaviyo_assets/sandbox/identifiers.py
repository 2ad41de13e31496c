"""Ids that look like Klaviyo's: unique because they come from a counter, and shuffled to hide the order of creation."""

from collections.abc import Callable, Mapping

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_ODD = 0x9E3779B97F4A7C15
"""Multiplying by an odd number permutes the integers below any power of two."""


class Identifiers:
    """Makes ids for one account.

    Args:
        seed: Shifts every id, so two accounts have no common ids in practice.
    """

    def __init__(self, seed: int) -> None:
        self._shift = (seed * 0xD1B54A32D192ED03 + 0x2545F4914F6CDD1D) & (1 << 64) - 1
        self._counters: dict[str, int] = {}

    def event(self) -> str:
        """Return an event id: eleven characters."""
        return _spell(self._next("event", 55), 11).lower()

    def short(self) -> str:
        """Return an id of a list, segment, metric, flow, template or form: six characters, unique across these types."""
        return _spell(self._next("short", 30), 6)

    def ulid(self) -> str:
        """Return an id of a profile, campaign or webhook: 26 characters that begin with ``01``."""
        number = self._next("ulid", 60)
        return "01" + _spell(number * _ODD & (1 << 60) - 1, 12) + _spell(number, 12)

    def uuid(self) -> str:
        """Return an id for an event's uuid attribute, a tag or a tag group."""
        number = self._next("uuid", 64)
        return f"{number >> 32:08x}-{number >> 16 & 0xFFFF:04x}-11f0-8001-{number * _ODD & 0xFFFFFFFFFFFF:012x}"

    def hexadecimal(self) -> str:
        """Return an id of a review or of universal content: 32 hexadecimal digits."""
        number = self._next("hexadecimal", 64)
        return f"{number:016x}{number * _ODD & (1 << 64) - 1:016x}"

    def number(self) -> str:
        """Return an id of an image, web feed or form version: nine digits."""
        return str(100_000_000 + self._next("number", 29))

    def of_type(self, type_name: str) -> str:
        """Return an id in the form of a JSON:API type's recorded ones; of any other type, eight characters, unique within the type."""
        form = _FORMS.get(type_name)
        return _spell(self._next(f"type {type_name}", 40), 8) if form is None else form(self)

    def _next(self, kind: str, bits: int) -> int:
        count = self._counters.get(kind, 0)
        self._counters[kind] = count + 1
        return (count * _ODD + self._shift) & (1 << bits) - 1


def _spell(number: int, length: int) -> str:
    """Write a number as characters: ten bits per pair, and five bits for the last one if the length is odd."""
    parts: list[str] = []
    remaining = length
    while remaining > 1:
        parts.append(_PAIRS[number & 1023])
        number >>= 10
        remaining -= 2
    if remaining:
        parts.append(_ALPHABET[number & 31])
    return "".join(parts)


_FORMS: Mapping[str, Callable[[Identifiers], str]] = {
    **dict.fromkeys(("form", "template"), Identifiers.short),
    **dict.fromkeys(("form-version", "image", "web-feed"), Identifiers.number),
    **dict.fromkeys(("tag", "tag-group"), Identifiers.uuid),
    "template-universal-content": Identifiers.hexadecimal,
    "webhook": Identifiers.ulid,
}
"""Forms of recorded ids, by JSON:API type; types with their own makers choose the form themselves."""
