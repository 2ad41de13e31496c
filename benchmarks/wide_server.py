"""A server for records of chosen sizes: ``python -m benchmarks.wide_server '{"name": "events", "blocks": [[1000, 100000]]}'``.

It works like :mod:`benchmarks.server`, except that the length of a text in each record sets the record's size.
"""

from __future__ import annotations

import json
import random
import sys
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from benchmarks.account import Collection, microseconds, times
from benchmarks.server import Server, serve

_TEXT = b"(text)"
_ID, _TIME = b"(id)", b"(time)"

_RECORDS = {
    "events": b'{"type":"event","id":"(id)","attributes":{"timestamp":1700000000,"event_properties":{"$value":12.5,"note":"(text)"},'
    b'"datetime":"(time)","uuid":"(id)"},"relationships":{"profile":{"data":{"type":"profile","id":"01H"}},'
    b'"metric":{"data":{"type":"metric","id":"ABC"}}}}',
    "profiles": b'{"type":"profile","id":"(id)","attributes":{"email":"(id)@example.com","created":"(time)","updated":"(time)",'
    b'"location":{},"properties":{"note":"(text)"}},"relationships":{}}',
    "reviews": b'{"type":"review","id":"(id)","attributes":{"email":"(id)@example.com","created":"(time)","updated":"(time)","verified":true,'
    b'"review_type":"review","images":[],"rating":5,"content":"(text)","status":{"value":"published"}},"relationships":{}}',
    "many-columns": b'{"type":"profile","id":"(id)","attributes":{"email":"(id)@example.com","created":"(time)","updated":"(time)",'
    b'"first_name":"(text)","last_name":"(text)","organization":"(text)","title":"(text)","image":"(text)","location":{"address1":"(text)",'
    b'"city":"(text)"},"properties":{"note":"(text)"},"other":"(text)"},"relationships":{}}',
}
"""Record templates by kind, with one text or several of the same length."""

_POOL = 8 * 2**20
"""Length of the random text from which texts are cut; more than fits into a compressor's window."""


class WideCollection(Collection):
    """Records of chosen sizes.

    Args:
        kind: Kind of the template.
        timestamps: Their times, ascending.
        sizes: Length of each record's text in bytes.
        random_text: True for text that compresses to three quarters of its size, False for text that compresses to almost nothing.
    """

    def __init__(self, kind: str, timestamps: array[int], sizes: list[int], *, random_text: bool) -> None:
        super().__init__(kind, timestamps, [])
        self._template = _RECORDS[kind]
        self._sizes = sizes
        self._texts = self._template.count(_TEXT)
        letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        table = bytes(letters[number % 64] for number in range(256))
        self._pool = random.Random(7).randbytes(_POOL).translate(table) if random_text else b"lorem ipsum " * (_POOL // 12)

    def json(self, first: int, end: int) -> Iterator[bytes]:
        """Yield the JSON text of some records."""
        for index in range(first, end):
            if index > first:
                yield b","
            record = self._template.replace(_ID, b"%011x" % index).replace(_TIME, self._text(self.timestamps[index]))
            yield record.replace(_TEXT, self._words(index, self._sizes[index] // self._texts))

    def _words(self, index: int, length: int) -> bytes:
        start = index * 7919 % (_POOL // 2)
        piece = self._pool[start : start + length]
        return piece if len(piece) == length else (piece + self._pool * (length // _POOL + 1))[:length]


def build(name: str, blocks: list[list[int]], kind: str | None = None, repeat: int = 1, random_text: bool = True, days: int = 30) -> dict[str, Any]:
    """Return a collection, by its type.

    Args:
        name: The resource type.
        blocks: Pairs of a number of records and the size of each in bytes, in order of time.
        kind: Kind of the template; the resource type by default.
        repeat: Number of repetitions of the blocks.
        random_text: See :class:`WideCollection`.
        days: Days of history.
    """
    sizes = [size for count, size in blocks for _ in range(count)] * repeat
    end = microseconds(datetime.now(UTC).isoformat()) - 60_000_000
    return {name: WideCollection(kind or name, times("uniform", len(sizes), end, days), sizes, random_text=random_text)}


if __name__ == "__main__":
    serve(Server(build(**json.loads(sys.argv[1])), latency=0.0, limits=None, packed=()))
