"""Parses the body of an error response: Klaviyo's JSON:API errors, or a page of Cloudflare, which is in front of the API.

Cloudflare responds with an HTML page, a line of text (``error code: 1015``) or a problem document (RFC 9457) with ``error_code``, depending on the
request: https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors/
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx
import msgspec

_MAX_ERRORS = 3
"""Maximum number of errors of a document whose text is shown."""

_SEARCHED = 64 * 1024
"""Bytes of an HTML page to search; the title and the error number are near the start."""

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_HEADING = re.compile(r"<h[12][^>]*>(.*?)</h[12]>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_EDGE_NUMBER = re.compile(r"\berror(?:\s*code)?\s*:?\s*(?:<[^>]*>\s*)*(1\d{3}|52\d|530)\b", re.IGNORECASE)
_RATE_LIMITED = re.compile(r"you are being rate limited|rate[- ]limited", re.IGNORECASE)


@dataclass(frozen=True)
class ErrorBody:
    """The parsed body of an error response.

    Attributes:
        code: Klaviyo's code of the first error, such as ``throttled``; None if it has none.
        detail: The error text, or the title of an HTML page; None if there is none. Not sanitized.
        from_api: True if it is an error document of the API; False if it comes from a server in front of it.
        edge_number: Cloudflare's error number, such as 1015; None if there is none.
        rate_limited: True if a page from a server in front of the API says that requests are rate limited.
    """

    code: str | None = None
    detail: str | None = None
    from_api: bool = False
    edge_number: int | None = None
    rate_limited: bool = False


def read_error(response: httpx.Response) -> ErrorBody:
    """Parse the body of a response. Never raises."""
    try:
        document = msgspec.json.decode(response.content)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _page(response)
    return _document(document)


def first_error_of(document: object) -> ErrorBody | None:
    """Return the errors of a decoded document, or None if it has none (``errors`` is missing, null or empty)."""
    errors = document.get("errors") if isinstance(document, dict) else None
    return _document(document) if errors else None


def _document(document: object) -> ErrorBody:
    if not isinstance(document, dict):
        return ErrorBody()
    errors = document.get("errors")
    members = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    if members:
        code = members[0].get("code")
        words = dict.fromkeys(text for error in members[:_MAX_ERRORS] if (text := _text(error, "detail", "title")))
        return ErrorBody(code if isinstance(code, str) and code else None, " / ".join(words) or None, from_api=any(members))
    number = document.get("error_code")
    detail = next(_loose_words(document), None)
    edge = number if isinstance(number, int) and not isinstance(number, bool) else None
    return ErrorBody(detail=detail, edge_number=edge, rate_limited=edge == _BY_ADDRESS or bool(_RATE_LIMITED.search(detail or "")))


_BY_ADDRESS = 1015
"""Cloudflare's error number for a rate limit by address."""


def _loose_words(document: dict[str, Any]) -> Iterator[str]:
    """Yield the error texts of documents in other formats, as gateways and frameworks send them."""
    errors = document.get("errors")
    if isinstance(errors, str):
        yield errors
    if isinstance(errors, list):
        yield from (error for error in errors if isinstance(error, str) and error)
    if isinstance(errors, dict) and (text := _text(errors, "detail", "title", "message")):
        yield text
    if text := _text(document, "detail", "message", "title", "error", "error_description"):
        yield text


def _text(members: dict[str, Any], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := members.get(name), str) and value.strip()), None)


def _page(response: httpx.Response) -> ErrorBody:
    """Parse a body that is not JSON: the title of an HTML page, else its heading, or plain text."""
    text = response.content[:_SEARCHED].decode("utf-8", "replace")
    found = _EDGE_NUMBER.search(text)
    number = int(found[1]) if found else None
    limited = number == _BY_ADDRESS or bool(_RATE_LIMITED.search(text))
    return ErrorBody(detail=_title(text), edge_number=number, rate_limited=limited)


def _title(text: str) -> str | None:
    found = _TITLE.search(text) or _HEADING.search(text)
    words = found[1] if found else (text if "<" not in text else "")
    return " ".join(unescape(_TAG.sub(" ", words)).split()) or None
