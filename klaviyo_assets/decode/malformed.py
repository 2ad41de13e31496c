r"""Repairs malformed pages if the meaning is clear, so one record does not block all others; else raises an error with the position.

Three things are repaired. Each affected record also keeps its original JSON in ``_extra`` (``_extra ->> '$._odd_text'``):

- A lone surrogate, an escape such as ``\ud83d`` without its other half, becomes the six characters of the escape. Text that was cut in the middle of
  an emoji has one. JavaScript and Python write such JSON; strict parsers and DuckDB's JSON type reject it.
- ``NaN``, ``Infinity`` and ``-Infinity``, which Python writes, become ``null``.
- A value that is nested too deeply for parsers becomes ``null``.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from klaviyo_assets.decode.polars_schema import ODD_TEXT

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?(?:NaN|Infinity)|[\[\]{}]', re.DOTALL)
"""Tokens of JSON, without recursion: strings (so their content is skipped), brackets, and words that are not valid JSON."""

_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)

_ESCAPE_LENGTH = len(rb"\ud83d")

_RECORDS_DEPTH = 2
"""Nesting depth of records: in a list, in the document."""

_DEEPEST = 200
"""Maximum nesting depth to keep after a parser has failed; parsers support a few hundred levels."""


class UnreadablePage(ValueError):
    """A page that cannot be read. The message gives the position only and quotes no content, so it is safe to show."""


@dataclass(frozen=True)
class Repair:
    """A replacement of a piece of a page.

    Attributes:
        start: Start of the piece.
        end: End of the piece.
        stored: The replacement.
        placeholder: Valid JSON of the same length, which does not move the following records.
    """

    start: int
    end: int
    stored: bytes
    placeholder: bytes


def position(data: bytes, at: int) -> str:
    """Describe the position of a byte in a page."""
    record = sum(1 for start in _record_starts(data) if start <= at)
    return f"byte {at}, in record {record} of the page" if record else f"byte {at}"


def repair_surrogates(data: bytes) -> list[Repair]:
    """Return the repairs of lone surrogates."""
    return [Repair(at, at + _ESCAPE_LENGTH, b"\\" + data[at : at + _ESCAPE_LENGTH], rb"\u0000") for at in _lone_surrogates(data)]


def repair_all(data: bytes) -> list[Repair]:
    """Return all repairs, ordered by position."""
    nulls = list(_nulls(data))
    within = [one for one in repair_surrogates(data) if not any(null.start <= one.start < null.end for null in nulls)]
    return sorted([*nulls, *within], key=lambda one: one.start)


def repaired(data: bytes, repairs: Sequence[Repair]) -> bytes:
    """Return the page with the repairs applied."""
    return _replaced(data, [(one, one.stored) for one in repairs])


def keep_originals(records: Sequence[Any], data: bytes, repairs: Sequence[Repair]) -> None:
    """Store the original JSON of each repaired record in its ``_extra``.

    Args:
        records: The records of a document, decoded from its repaired bytes; modified here.
        data: The document as Klaviyo sent it.
        repairs: The repairs.
    """
    document = _replaced(data, [(one, one.placeholder) for one in repairs])
    found = msgspec.json.decode(document, type=_Document).data
    end = document.index(bytes(found))
    # A list of records, or a single one.
    for record, raw in zip(records, msgspec.json.decode(found, type=list[Raw]) if bytes(found).startswith(b"[") else [found], strict=True):
        begin = document.index(bytes(raw), end)
        end = begin + len(bytes(raw))
        if any(begin <= one.start < end for one in repairs):
            members: dict[str, Any] = msgspec.json.decode(record.extra, type=dict[str, Raw]) if record.extra is not None else {}
            record.extra = Raw(msgspec.json.encode(members | {ODD_TEXT: data[begin:end].decode()}))


class _Document(msgspec.Struct):
    data: Raw


def _replaced(data: bytes, changes: Sequence[tuple[Repair, bytes]]) -> bytes:
    pieces: list[bytes] = []
    done = 0
    for one, text in changes:
        pieces += [data[done : one.start], text]
        done = one.end
    return b"".join([*pieces, data[done:]])


def _nulls(data: bytes) -> Iterator[Repair]:
    """Yield the repairs to null: words that are not valid JSON, and values that are nested too deeply."""
    depth, deep = 0, 0
    for token in _TOKEN.finditer(data):
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


def _record_starts(data: bytes) -> Iterator[int]:
    depth = 0
    for token in _TOKEN.finditer(data):
        match token[0]:
            case b"{" | b"[":
                if depth == _RECORDS_DEPTH and token[0] == b"{":
                    yield token.start()
                depth += 1
            case b"}" | b"]":
                depth -= 1


def _lone_surrogates(data: bytes) -> list[int]:
    """Return the positions of lone surrogate escapes."""
    found: list[int] = []
    escapes = list(_ESCAPE.finditer(data))
    index = 0
    while index < len(escapes):
        escape = escapes[index]
        follower = escapes[index + 1] if index + 1 < len(escapes) else None
        if _is_high(escape) and follower is not None and follower.start() == escape.end() and _is_low(follower):
            index += 2
            continue
        if _is_high(escape) or _is_low(escape):
            found.append(escape.start())
        index += 1
    return found


def _code(escape: re.Match[bytes]) -> int:
    return int(escape[1], 16) if escape[1] else 0


def _is_high(escape: re.Match[bytes]) -> bool:
    return 0xD800 <= _code(escape) <= 0xDBFF


def _is_low(escape: re.Match[bytes]) -> bool:
    return 0xDC00 <= _code(escape) <= 0xDFFF
