"""Marks records whose text had to be changed so that it can be stored as JSON: what came stands beside it, in ``_extra``."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from klaviyo_assets.decode.malformed import Repair, aligned
from klaviyo_assets.decode.schema import ODD_TEXT


class _Document(msgspec.Struct):
    data: Raw


def mark_odd_text(records: Sequence[Any], data: bytes, repairs: Sequence[Repair]) -> None:
    """Put the JSON that came into ``_extra`` of each record that was repaired: ``_extra ->> '$._odd_text'`` is the record as it came.

    Args:
        records: The records of a document, decoded from its repaired bytes; changed here.
        data: The document as it came.
        repairs: What was changed in it.
    """
    document = aligned(data, repairs)
    found = msgspec.json.decode(document, type=_Document).data
    end = document.index(bytes(found))
    # A list of records, or a single one.
    for record, raw in zip(records, msgspec.json.decode(found, type=list[Raw]) if bytes(found).startswith(b"[") else [found], strict=True):
        begin = document.index(bytes(raw), end)
        end = begin + len(bytes(raw))
        if any(begin <= one.start < end for one in repairs):
            members: dict[str, Any] = msgspec.json.decode(record.extra, type=dict[str, Raw]) if record.extra is not None else {}
            record.extra = Raw(msgspec.json.encode(members | {ODD_TEXT: data[begin:end].decode()}))
