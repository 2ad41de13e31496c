"""Marks records whose text had to be changed so that it can be stored as JSON: what came stands beside it, in ``_extra``."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from klaviyo_assets.frames.schema import ODD_TEXT
from klaviyo_assets.frames.surrogates import lone_surrogates

_READABLE = rb"\u0000"


class _Document(msgspec.Struct):
    data: list[Raw] | Raw


def mark_odd_text(records: Sequence[Any], data: bytes) -> None:
    r"""Put the JSON that came into ``_extra`` of each record that holds half a character.

    A lone surrogate (``\ud83d``, from text that was cut in the middle of an emoji) is no character: DuckDB's JSON type refuses it, so the record has
    the six characters that name it in its place. ``_extra ->> '$._odd_text'`` is the record as it came.

    Args:
        records: The records of a document, decoded from its repaired bytes; changed here.
        data: The document as it came.
    """
    readable = bytearray(data)
    for start in (lone := lone_surrogates(data)):
        readable[start : start + len(_READABLE)] = _READABLE  # as long as what it replaces, so that every record stays at its place
    document = bytes(readable)
    found = msgspec.json.decode(document, type=_Document).data
    end = 0
    for record, raw in zip(records, found if isinstance(found, list) else [found], strict=True):
        begin = document.index(bytes(raw), end)
        end = begin + len(bytes(raw))
        if any(begin <= start < end for start in lone):
            members: dict[str, Any] = msgspec.json.decode(record.extra, type=dict[str, Raw]) if record.extra is not None else {}
            record.extra = Raw(msgspec.json.encode(members | {ODD_TEXT: data[begin:end].decode()}))
