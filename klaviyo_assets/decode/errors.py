"""Pages that cannot be read, and where in them that shows."""

import re
from collections.abc import Iterator

TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?(?:NaN|Infinity)|[\[\]{}]', re.DOTALL)
"""What tells the structure of JSON, without recursion: texts, so that nothing inside of them counts, brackets, and words that are no JSON."""

_RECORDS_DEPTH = 2
"""Records lie in a list that lies in the document."""


class UnreadablePage(ValueError):
    """A page that cannot be read. Its words name a record by its place and quote nothing, so that they may be shown."""


def place(data: bytes, at: int) -> str:
    """Say in words where a byte of a page is."""
    record = sum(1 for start in _records(data) if start <= at)
    return f"byte {at}, in record {record} of the page" if record else f"byte {at}"


def _records(data: bytes) -> Iterator[int]:
    """Yield where records begin."""
    depth = 0
    for token in TOKEN.finditer(data):
        match token[0]:
            case b"{" | b"[":
                if depth == _RECORDS_DEPTH and token[0] == b"{":
                    yield token.start()
                depth += 1
            case b"}" | b"]":
                depth -= 1
