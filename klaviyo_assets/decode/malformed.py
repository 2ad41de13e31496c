r"""Makes pages readable that hold something which is no JSON, or more than a parser takes, so that one record does not stop all others.

Three things have a meaning that is clear, and become what can be stored; each record that held one is kept as it came beside that:

- half a character: an escape such as ``\ud83d`` without its other half becomes the six characters that name it;
- ``NaN``, ``Infinity`` and ``-Infinity``, which Python writes, become ``null``;
- what lies so deep in lists or objects that parsers give up becomes ``null``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from klaviyo_assets.decode.errors import TOKEN
from klaviyo_assets.decode.surrogates import lone_surrogates

_DEEPEST = 200
"""Levels of lists and objects that stay where parsers have given up; they take some hundreds."""

_ESCAPE = len(rb"\ud83d")


@dataclass(frozen=True)
class Repair:
    """A piece of a page, and what stands in its place.

    Attributes:
        start: Where the piece begins.
        end: Where it ends.
        stored: What is stored in its place.
        placeholder: Something readable that is as long as the piece, so that every record stays at its place.
    """

    start: int
    end: int
    stored: bytes
    placeholder: bytes


def repair_surrogates(data: bytes) -> list[Repair]:
    """Return the repairs of half characters."""
    return [Repair(at, at + _ESCAPE, b"\\" + data[at : at + _ESCAPE], rb"\u0000") for at in lone_surrogates(data)]


def repair_all(data: bytes) -> list[Repair]:
    """Return all repairs, in their order."""
    nulls = list(_nulls(data))
    within = [one for one in repair_surrogates(data) if not any(null.start <= one.start < null.end for null in nulls)]
    return sorted([*nulls, *within], key=lambda one: one.start)


def repaired(data: bytes, repairs: Sequence[Repair]) -> bytes:
    """Return the page with what is stored."""
    return _replaced(data, [(one, one.stored) for one in repairs])


def aligned(data: bytes, repairs: Sequence[Repair]) -> bytes:
    """Return a page that can be parsed and has every record where it was."""
    return _replaced(data, [(one, one.placeholder) for one in repairs])


def _replaced(data: bytes, changes: Sequence[tuple[Repair, bytes]]) -> bytes:
    pieces: list[bytes] = []
    done = 0
    for one, text in changes:
        pieces += [data[done : one.start], text]
        done = one.end
    return b"".join([*pieces, data[done:]])


def _nulls(data: bytes) -> Iterator[Repair]:
    """Yield what becomes null: words that are no JSON, and values that lie too deep as a whole."""
    depth, deep = 0, 0
    for token in TOKEN.finditer(data):
        match token[0][:1]:
            case b"{" | b"[":
                depth += 1
                if depth == _DEEPEST + 1:
                    deep = token.start()
            case b"}" | b"]":
                if depth == _DEEPEST + 1:
                    yield _null(deep, token.end())
                depth -= 1
            case b'"':
                pass
            case _ if depth <= _DEEPEST:
                yield _null(token.start(), token.end())


def _null(start: int, end: int) -> Repair:
    return Repair(start, end, b"null", b"0".ljust(end - start))
