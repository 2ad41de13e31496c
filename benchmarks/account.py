"""A synthetic account of any size: record *i* is computed from *i*, so ten million records need no memory.

The records are the sandbox's, with other ids and times.
"""

from __future__ import annotations

import bisect
import random
import re
from array import array
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import httpx
import msgspec

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox import SandboxOptions, SandboxProcess

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000
_TEMPLATES = 2_000
"""Number of distinct records; more than fit into a compressor's window."""

_IN_ONE_SECOND = 20_000
_ID_PIECE, _TIME_PIECE = b"(id)", b"(time)"
_TIMES = {"events": ("datetime",), "profiles": ("created", "updated")}

DENSITIES = ("uniform", "black-friday", "bursts", "one-second")


def microseconds(text: str) -> int:
    """Return an ISO 8601 time as microseconds since 1970."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def times(density: str, count: int, end: int, days: int) -> array[int]:
    """Return the times of the records, ascending, in microseconds since 1970.

    Args:
        density: Distribution: uniform, half of the records in two days, 60 bursts of very different sizes, or 20,000 in one second.
        count: Number of records.
        end: The latest time.
        days: Days of history.
    """
    rng, duration, start = random.Random(1), days * _DAY, end - days * _DAY
    if density == "uniform":
        return array("q", (start + index * duration // count for index in range(count)))
    if density == "one-second":
        same = min(_IN_ONE_SECOND, count // 2)
        second = (start + duration // 3) // 1_000_000 * 1_000_000
        rest = (start + index * duration // (count - same) for index in range(count - same))
        return array("q", sorted([*rest, *[second] * same]))
    centres = [rng.random() for _ in range(60)]
    weights = [rng.paretovariate(1.1) for _ in range(60)]
    draw: Callable[[], int]
    if density == "black-friday":
        draw = lambda: int(0.9 * duration) + int(rng.random() * 2 * _DAY)  # noqa: E731
    else:
        draw = lambda: int(min(max(rng.choices(centres, weights)[0] + rng.gauss(0, 0.0005), 0), 0.999) * duration)  # noqa: E731
    spread = (draw() if rng.random() < 0.5 else int(rng.random() * duration) for _ in range(count))
    return array("q", sorted(start + offset for offset in spread))


class Collection:
    """The records of one resource type.

    Args:
        name: ``events`` or ``profiles``.
        timestamps: Their times, ascending.
        templates: Records as pieces of JSON text with placeholders for ids and times.
    """

    def __init__(self, name: str, timestamps: array[int], templates: list[list[bytes]]) -> None:
        self.name = name
        self.timestamps = timestamps
        self._templates = templates
        self._formatted: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self.timestamps)

    def first_from(self, timestamp: int) -> int:
        """Return the index of the first record at or after a time."""
        return bisect.bisect_left(self.timestamps, timestamp)

    def json(self, first: int, end: int) -> Iterator[bytes]:
        """Yield the JSON text of some records, in pieces."""
        for index in range(first, end):
            if index > first:
                yield b","
            for piece in self._templates[index % len(self._templates)]:
                if piece is _ID_PIECE:
                    # A bijection of 44 bits: unique, all of the same length, and in no order.
                    yield b"%011x" % (index * 0x9E3779B97F5 + 7 & 0xFFFFFFFFFFF)
                elif piece is _TIME_PIECE:
                    yield self._text(self.timestamps[index])
                else:
                    yield piece

    def _text(self, timestamp: int) -> bytes:
        second, rest = divmod(timestamp, 1_000_000)
        formatted = self._formatted.get(second)
        if formatted is None:
            if len(self._formatted) > 100_000:
                self._formatted.clear()
            formatted = self._formatted[second] = (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S").encode()
        return b"%s.%06d+00:00" % (formatted, rest)


def build(counts: dict[str, int], density: str, days: int) -> dict[str, Collection]:
    """Return the collections of an account. The newest record is a minute old."""
    end = microseconds(datetime.now(UTC).isoformat()) - 60_000_000
    with SandboxProcess(SandboxOptions(seed=5, events=_TEMPLATES, profiles=_TEMPLATES, limits=False)) as sandbox:
        return {name: Collection(name, times(density, count, end, days), _templates(sandbox, name)) for name, count in counts.items() if count}


def _templates(sandbox: SandboxProcess, name: str) -> list[list[bytes]]:
    headers = {"Authorization": f"Klaviyo-API-Key {sandbox.keys.all_scopes}", "revision": "2026-07-15"}
    records: list[msgspec.Raw] = []
    url: str | None = f"{sandbox.base_url}/api/{name}?{urlencode(CATALOG[name].page_parameters)}"
    while url:
        # Raw text, because some values would not survive a JSON library.
        document = msgspec.json.decode(httpx.get(url, headers=headers).raise_for_status().content, type=_Document)
        records, url = records + document.data, document.links.next
    return [_pieces(bytes(record), _TIMES[name]) for record in records]


class _Links(msgspec.Struct):
    next: str | None


class _Document(msgspec.Struct):
    data: list[msgspec.Raw]
    links: _Links


class _Record(msgspec.Struct):
    id: str
    attributes: dict[str, msgspec.Raw]


def _pieces(text: bytes, time_fields: tuple[str, ...]) -> list[bytes]:
    record = msgspec.json.decode(text, type=_Record)
    placeholders = {f'"id":"{record.id}"'.encode(): (b'"id":"', _ID_PIECE)}
    for field in time_fields:
        placeholders[b'"%s":%s' % (field.encode(), bytes(record.attributes[field]))] = (b'"%s":"' % field.encode(), _TIME_PIECE)
    pieces: list[bytes] = []
    for found in re.finditer(b"(.*?)(" + b"|".join(map(re.escape, placeholders)) + b"|$)", text, re.DOTALL):
        before, placeholder = found.groups()
        opening, piece = placeholders.get(placeholder, (b"", b""))
        pieces += [before + opening, piece, b'"'] if placeholder else [before]
    return pieces
