"""Precompressed records, to serve pages at almost no CPU cost.

A page is a gzip stream of a prefix, whole precompressed blocks and a suffix. Only the prefix and the suffix depend on the request and are compressed
for it. The CRC of the page is combined from the CRCs of its parts.
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise

from isal import isal_zlib

_RAW = -15
"""zlib's window bits for deflate without a header."""

_GZIP = 31
"""zlib's window bits for a gzip stream."""

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_POLYNOMIAL = 0xEDB88320

BLOCK = 50
"""Records per block."""


class PackedRecords:
    """The records of a collection as deflate blocks.

    Args:
        records: Returns the JSON text of the records from one index up to (not including) another, separated by commas.
        count: Number of records.
    """

    def __init__(self, records: Callable[[int, int], bytes], count: int) -> None:
        self._records = records
        self._blocks: list[bytes] = []
        self._crcs, self._sizes = [0], [0]  # of all previous blocks
        for first, end in pairwise(range(0, count + 1, BLOCK)):
            text = records(first, end) + b","
            self._blocks.append(_deflated(text))
            self._crcs.append(zlib.crc32(text, self._crcs[-1]))
            self._sizes.append(self._sizes[-1] + len(text))

    def page(self, head: bytes, first: int, end: int) -> bytes:
        """Return a gzip stream of a head, the records from ``first`` up to ``end`` (exclusive) and the closing brackets."""
        from_block, to_block = -(-first // BLOCK), (end - 1) // BLOCK  # a block ends with a comma, so the last record is never served from one
        if to_block <= from_block:
            return gzipped(head + self._records(first, end) + b"]}")
        prefix, suffix = self._records(first, from_block * BLOCK), self._records(to_block * BLOCK, end) + b"]}"
        prefix = head + prefix + b"," if prefix else head
        size = self._sizes[to_block] - self._sizes[from_block]
        blocks = self._crcs[to_block] ^ _shift(self._crcs[from_block], size)
        crc = _shift(_shift(zlib.crc32(prefix), size) ^ blocks, len(suffix)) ^ zlib.crc32(suffix)
        total = len(prefix) + size + len(suffix)
        trailer = struct.pack("<II", crc, total & 0xFFFFFFFF)
        return b"".join([_GZIP_HEADER, _deflated(prefix), *self._blocks[from_block:to_block], isal_zlib.compress(suffix, 1, _RAW), trailer])


def gzipped(text: bytes) -> bytes:
    """Return a gzip stream. isal is several times as fast as zlib, so the server is not the bottleneck."""
    stream: bytes = isal_zlib.compress(text, 1, _GZIP)
    return stream


def _deflated(text: bytes) -> bytes:
    """Compress about as well as a web server does; the result ends with a full flush, so other blocks can follow."""
    compressor = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _RAW)
    return compressor.compress(text) + compressor.flush(isal_zlib.Z_FULL_FLUSH)


_Matrix = Sequence[int]


def _times(matrix: _Matrix, vector: int) -> int:
    result = 0
    for row in matrix:
        if vector & 1:
            result ^= row
        vector >>= 1
    return result


def _squared(matrix: _Matrix) -> list[int]:
    return [_times(matrix, row) for row in matrix]


def _operators() -> list[_Matrix]:
    """Return the matrices over GF(2) that append 1, 2, 4, 8, … zero bytes to the input of a CRC (as zlib's ``crc32_combine``)."""
    matrix: list[int] = [_POLYNOMIAL, *(1 << bit for bit in range(31))]
    for _ in range(3):
        matrix = _squared(matrix)
    operators: list[_Matrix] = []
    for _ in range(31):
        operators.append(matrix)
        matrix = _squared(matrix)
    return operators


_OPERATORS = _operators()


def _shift(crc: int, zeros: int) -> int:
    """Return the CRC after that number of zero bytes."""
    for operator in _OPERATORS:
        if zeros & 1:
            crc = _times(operator, crc)
        zeros >>= 1
    return crc
