"""Pages that are compressed beforehand, so that serving one costs next to nothing.

A page is a gzip stream of two parts: its links, which depend on the request and are stored as they are, and its records, compressed when the server
starts. For that the pages lie on a grid: the first page of a span may hold fewer records than it could.
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from isal import isal_zlib

_RAW = -15
"""zlib's window bits for deflate without a header."""

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_POLYNOMIAL = 0xEDB88320


@dataclass(frozen=True)
class Packed:
    """Some bytes, compressed.

    Attributes:
        deflated: A deflate stream's last blocks.
        crc: CRC-32 of the bytes.
        size: Number of bytes.
    """

    deflated: bytes
    crc: int
    size: int

    @classmethod
    def of(cls, data: bytes) -> "Packed":
        """Compress bytes about as well as a web server does."""
        return cls(isal_zlib.compress(data, 1, _RAW), zlib.crc32(data), len(data))

    def after(self, prefix: bytes) -> bytes:
        """Return a gzip stream of a short prefix and these bytes."""
        stored = b"\x00" + struct.pack("<HH", len(prefix), len(prefix) ^ 0xFFFF) + prefix
        crc = _behind(zlib.crc32(prefix), self.size) ^ self.crc
        return b"".join([_GZIP_HEADER, stored, self.deflated, struct.pack("<II", crc, (len(prefix) + self.size) & 0xFFFFFFFF)])


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


def pack_pages(records: Callable[[int, int], bytes], count: int, page: int) -> list[Packed]:
    """Compress the records of each page of the grid, with what closes the document behind them."""
    return [Packed.of(records(first, min(count, first + page)) + b"]}") for first in range(0, count, page)]
