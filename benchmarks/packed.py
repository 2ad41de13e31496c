"""Records that are compressed beforehand, so that serving a page of them costs next to nothing.

A page is a gzip stream: what comes before its first whole block, the blocks, and what comes behind the last. Only the two ends, which depend on the
request, are compressed for it. The checksum of the whole follows from those of the parts.
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
"""Records of a block."""


class PackedRecords:
    """The records of a collection, as blocks of deflate.

    Args:
        records: Gives the JSON text of the records from one index up to another, with commas between.
        count: Number of records.
    """

    def __init__(self, records: Callable[[int, int], bytes], count: int) -> None:
        self._records = records
        self._blocks: list[bytes] = []
        self._crcs, self._sizes = [0], [0]  # of all blocks before
        for first, end in pairwise(range(0, count + 1, BLOCK)):
            text = records(first, end) + b","
            self._blocks.append(_deflated(text))
            self._crcs.append(zlib.crc32(text, self._crcs[-1]))
            self._sizes.append(self._sizes[-1] + len(text))

    def page(self, head: bytes, first: int, end: int) -> bytes:
        """Return the gzip stream of a head, the records from one index up to another, and the brackets that close the document."""
        from_block, to_block = -(-first // BLOCK), (end - 1) // BLOCK  # the last record is never in a block, which ends with a comma
        if to_block <= from_block:
            return gzipped(head + self._records(first, end) + b"]}")
        before, behind = self._records(first, from_block * BLOCK), self._records(to_block * BLOCK, end) + b"]}"
        before = head + before + b"," if before else head
        size = self._sizes[to_block] - self._sizes[from_block]
        blocks = self._crcs[to_block] ^ _behind(self._crcs[from_block], size)
        crc = _behind(_behind(zlib.crc32(before), size) ^ blocks, len(behind)) ^ zlib.crc32(behind)
        total = len(before) + size + len(behind)
        trailer = struct.pack("<II", crc, total & 0xFFFFFFFF)
        return b"".join([_GZIP_HEADER, _deflated(before), *self._blocks[from_block:to_block], isal_zlib.compress(behind, 1, _RAW), trailer])


def gzipped(text: bytes) -> bytes:
    """Return a gzip stream; several times as fast as zlib, so that a server of large pages is not what a benchmark waits for."""
    stream: bytes = isal_zlib.compress(text, 1, _GZIP)
    return stream


def _deflated(text: bytes) -> bytes:
    """Compress about as well as a web server does, so that other blocks can follow."""
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
    """Return what 1, 2, 4, 8, … zero bytes behind it do to a CRC, as matrices over single bits (zlib's crc32_combine)."""
    matrix: list[int] = [_POLYNOMIAL, *(1 << bit for bit in range(31))]
    for _ in range(3):
        matrix = _squared(matrix)
    found: list[_Matrix] = []
    for _ in range(31):
        found.append(matrix)
        matrix = _squared(matrix)
    return found


_OPERATORS = _operators()


def _behind(crc: int, zeros: int) -> int:
    for operator in _OPERATORS:
        if zeros & 1:
            crc = _times(operator, crc)
        zeros >>= 1
    return crc
