"""A made-up account of any size: record *i* is a function of *i*, so that ten million of them take no memory.

Records are the sandbox's own, with other ids and times.
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
"""Different records; more than a compressor remembers."""

_IN_ONE_SECOND = 20_000
_ID_PIECE, _TIME_PIECE = b"(id)", b"(time)"
_TIMES = {"events": ("datetime",), "profiles": ("created", "updated")}

DENSITIES = ("uniform", "black-friday", "bursts", "one-second")


def microseconds(text: str) -> int:
    """Return an ISO 8601 instant as microseconds since 1970."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def times(density: str, count: int, end: int, days: int) -> array[int]:
    """Return the times of the records, ascending, in microseconds since 1970.

    Args:
        density: How they lie: evenly; half of them in two days; 60 bursts of very different height; 20,000 in one second.
        count: Number of records.
        end: The latest time.
        days: Days of history.
    """
    dice, span, start = random.Random(1), days * _DAY, end - days * _DAY
    if density == "uniform":
        return array("q", (start + index * span // count for index in range(count)))
    if density == "one-second":
        same = min(_IN_ONE_SECOND, count // 2)
        second = (start + span // 3) // 1_000_000 * 1_000_000
        rest = (start + index * span // (count - same) for index in range(count - same))
        return array("q", sorted([*rest, *[second] * same]))
    centres = [dice.random() for _ in range(60)]
    weights = [dice.paretovariate(1.1) for _ in range(60)]
    draw: Callable[[], int]
    if density == "black-friday":
        draw = lambda: int(0.9 * span) + int(dice.random() * 2 * _DAY)  # noqa: E731
    else:
        draw = lambda: int(min(max(dice.choices(centres, weights)[0] + dice.gauss(0, 0.0005), 0), 0.999) * span)  # noqa: E731
    spread = (draw() if dice.random() < 0.5 else int(dice.random() * span) for _ in range(count))
    return array("q", sorted(start + place for place in spread))


class Collection:
    """The records of one resource type.

    Args:
        name: ``events`` or ``profiles``.
        moments: Their times.
        templates: Records as pieces of JSON text, between which ids and times go.
    """

    def __init__(self, name: str, moments: array[int], templates: list[list[bytes]]) -> None:
        self.name = name
        self.moments = moments
        self._templates = templates
        self._written: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self.moments)

    def first_from(self, moment: int) -> int:
        """Return the index of the first record at or after a moment."""
        return bisect.bisect_left(self.moments, moment)

    def json(self, first: int, end: int) -> Iterator[bytes]:
        """Yield the JSON text of some records, in pieces."""
        for index in range(first, end):
            if index > first:
                yield b","
            for piece in self._templates[index % len(self._templates)]:
                if piece is _ID_PIECE:
                    # A bijection of 44 bits: distinct, of one length, and in no order.
                    yield b"%011x" % (index * 0x9E3779B97F5 + 7 & 0xFFFFFFFFFFF)
                elif piece is _TIME_PIECE:
                    yield self._text(self.moments[index])
                else:
                    yield piece

    def _text(self, moment: int) -> bytes:
        second, rest = divmod(moment, 1_000_000)
        written = self._written.get(second)
        if written is None:
            if len(self._written) > 100_000:
                self._written.clear()
            written = self._written[second] = (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S").encode()
        return b"%s.%06d+00:00" % (written, rest)


def build(counts: dict[str, int], density: str, days: int) -> dict[str, Collection]:
    """Return the collections of an account whose newest record is a minute old."""
    end = microseconds(datetime.now(UTC).isoformat()) - 60_000_000
    with SandboxProcess(SandboxOptions(seed=5, events=_TEMPLATES, profiles=_TEMPLATES, limits=False)) as sandbox:
        return {name: Collection(name, times(density, count, end, days), _templates(sandbox, name)) for name, count in counts.items() if count}


def _templates(sandbox: SandboxProcess, name: str) -> list[list[bytes]]:
    headers = {"Authorization": f"Klaviyo-API-Key {sandbox.keys.all_scopes}", "revision": "2026-07-15"}
    records: list[msgspec.Raw] = []
    url: str | None = f"{sandbox.base_url}/api/{name}?{urlencode(CATALOG[name].page_parameters)}"
    while url:
        # Cut as text: some of the values would not survive a JSON library.
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
    marks = {f'"id":"{record.id}"'.encode(): (b'"id":"', _ID_PIECE)}
    for field in time_fields:
        marks[b'"%s":%s' % (field.encode(), bytes(record.attributes[field]))] = (b'"%s":"' % field.encode(), _TIME_PIECE)
    pieces: list[bytes] = []
    for found in re.finditer(b"(.*?)(" + b"|".join(map(re.escape, marks)) + b"|$)", text, re.DOTALL):
        before, mark = found.groups()
        opening, piece = marks.get(mark, (b"", b""))
        pieces += [before + opening, piece, b'"'] if mark else [before]
    return pieces
