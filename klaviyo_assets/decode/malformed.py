r"""Malformed pages: repaired where the meaning is clear, so that one record does not stop all others; else an error that says where.

Three things have a clear meaning. They become what can be stored, and ``_extra`` keeps each record that held one as Klaviyo sent it
(``_extra ->> '$._odd_text'``):

- half a character: an escape such as ``\ud83d`` without its other half becomes the six characters that name it. Text that was cut in the middle of an
  emoji has one. JavaScript and Python write such JSON, strict parsers and DuckDB's JSON type refuse it;
- ``NaN``, ``Infinity`` and ``-Infinity``, which Python writes, become ``null``;
- a value that is nested more deeply than parsers can read becomes ``null``.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from klaviyo_assets.decode.schema import ODD_TEXT

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?(?:NaN|Infinity)|[\[\]{}]', re.DOTALL)
"""The structure of JSON, without recursion: strings, so that nothing inside of them counts, brackets, and words that are not JSON."""

_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)

_ESCAPE_LENGTH = len(rb"\ud83d")

_RECORDS_DEPTH = 2
"""Records are in a list that is in the document."""

_DEEPEST = 200
"""Levels of lists and objects that are kept once a parser has failed; parsers read some hundreds."""


class UnreadablePage(ValueError):
    """A page that cannot be read. The message names a record by its position and quotes nothing, so that it can be shown."""


@dataclass(frozen=True)
class Repair:
    """A piece of a page, and what replaces it.

    Attributes:
        start: Where the piece begins.
        end: Where it ends.
        stored: What is stored instead.
        placeholder: Valid JSON of the same length, so that every record keeps its position.
    """

    start: int
    end: int
    stored: bytes
    placeholder: bytes


def position(data: bytes, at: int) -> str:
    """Describe where a byte of a page is."""
    record = sum(1 for start in _record_starts(data) if start <= at)
    return f"byte {at}, in record {record} of the page" if record else f"byte {at}"


def repair_surrogates(data: bytes) -> list[Repair]:
    """Return the repairs of half characters."""
    return [Repair(at, at + _ESCAPE_LENGTH, b"\\" + data[at : at + _ESCAPE_LENGTH], rb"\u0000") for at in _lone_surrogates(data)]


def repair_all(data: bytes) -> list[Repair]:
    """Return all repairs, in their order."""
    nulls = list(_nulls(data))
    within = [one for one in repair_surrogates(data) if not any(null.start <= one.start < null.end for null in nulls)]
    return sorted([*nulls, *within], key=lambda one: one.start)


def repaired(data: bytes, repairs: Sequence[Repair]) -> bytes:
    """Return the page with its repairs."""
    return _replaced(data, [(one, one.stored) for one in repairs])


def keep_originals(records: Sequence[Any], data: bytes, repairs: Sequence[Repair]) -> None:
    """Put the original JSON of each repaired record into its ``_extra``.

    Args:
        records: The records of a document, decoded from its repaired bytes; changed here.
        data: The document as Klaviyo sent it.
        repairs: What was changed in it.
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
    """Yield what becomes null: words that are not JSON, and values that are nested too deeply as a whole."""
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
    """Return where lone surrogate escapes begin."""
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
