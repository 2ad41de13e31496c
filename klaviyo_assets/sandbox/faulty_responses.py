"""Applies faults: as an error response, or while the response is sent."""

import asyncio
import re
import socket
import struct
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from klaviyo_assets.catalog import REVISION
from klaviyo_assets.sandbox.access import retired_revision
from klaviyo_assets.sandbox.errors import ApiError, HtmlError, invalid
from klaviyo_assets.sandbox.faults import Fault, FaultKind
from klaviyo_assets.sandbox.instants import HOUR

_NEXT = re.compile(rb'"next":(?:null|"https?://[^/"]*)')
_FOREIGN = b'"next":"http://127.0.0.1:1'

_DRIPS = 20
"""Number of pieces of a dripping body."""

_CLOSE_WITH_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, with a timeout of 0

_DATES_OFF_BY = {FaultKind.DATE_BACK: -3 * HOUR, FaultKind.DATE_AHEAD: 3 * HOUR, FaultKind.NO_DATE: None}

_BODIES = {
    FaultKind.JSON_NULL: b"null",
    FaultKind.JSON_ARRAY: b'[{"type":"thing","id":"1"}]',
    FaultKind.NO_DATA: b'{"links":{"self":"","next":null,"prev":null}}',
    FaultKind.WRONG_TYPES: b'{"data":{"id":1,"attributes":[]},"links":{"self":"","next":7}}',
}
"""Sent in place of the document."""

_SERVER_ERRORS = {FaultKind.ERROR_500: 500, FaultKind.ERROR_502: 502, FaultKind.ERROR_503: 503, FaultKind.ERROR_504: 504}


def raise_error(fault: Fault | None, headers: Mapping[str, str]) -> None:
    """Raise an error if the fault replaces the response with one.

    Raises:
        ApiError: An error of the API.
        HtmlError: An error of the edge.
    """
    match fault:
        case None:
            return
        case Fault(kind=kind) if kind in _SERVER_ERRORS:
            raise ApiError(_SERVER_ERRORS[kind], "error", "A server error occurred.", "A server error occurred.")
        case Fault(kind=FaultKind.THROTTLED, seconds=seconds):
            delay = str(max(1, round(seconds)))
            detail = f"Request was throttled. Expected available in {delay} seconds."
            raise ApiError(429, "throttled", "Request was throttled.", detail, headers={"Retry-After": delay})
        case Fault(kind=FaultKind.THROTTLED_BARE):
            raise ApiError(429, "throttled", "Request was throttled.", "Request was throttled.")
        case Fault(kind=FaultKind.EXPIRED_CURSOR):
            raise invalid("Invalid cursor provided.", "page[cursor]")
        case Fault(kind=FaultKind.RETIRED):
            raise retired_revision(headers.get("revision", REVISION))
        case Fault(kind=FaultKind.HTML_403):
            raise HtmlError(403, "Forbidden", {"cf-mitigated": "challenge"})
        case Fault(kind=FaultKind.HTML_404):
            raise HtmlError(404, "Not Found")
        case Fault(kind=FaultKind.HTML_502):
            raise HtmlError(502, "Bad Gateway")


async def send_response(response: Response, fault: Fault | None, scope: Scope, receive: Receive, send: Send) -> bool:
    """Send the response, changed by the fault if there is one.

    Returns:
        Whether the client received a response, complete or not.
    """
    match fault:
        case Fault(kind=FaultKind.DROP):
            await _drop(scope, receive)
            return False
        case Fault(kind=FaultKind.RESET):
            await _reset(response, scope, receive, send)
            return True
        case Fault(kind=FaultKind.CUT):
            await _cut(response, send)
            return True
        case Fault(kind=FaultKind.DRIP, seconds=seconds):
            await _drip(response, send, seconds)
            return True
        case Fault(kind=FaultKind.SLOW, seconds=seconds):
            await asyncio.sleep(seconds)
        case Fault(kind=kind) if kind in _BODIES:
            response = _with_body(response, _BODIES[kind])
        case Fault(kind=FaultKind.NO_LINKS):
            response = _with_body(response, _without_links(bytes(response.body)))
        case Fault(kind=kind) if kind in _DATES_OFF_BY:
            scope["sandbox.date_off_by"] = _DATES_OFF_BY[kind]
        case Fault(kind=FaultKind.NOT_JSON):
            response = Response("<!doctype html><title>Please wait</title>", 200, media_type="text/html")
        case Fault(kind=FaultKind.BAD_JSON):
            response = _with_body(response, bytes(response.body)[:-1] + b',"data":')
        case Fault(kind=FaultKind.FOREIGN_NEXT):
            response = _with_body(response, _foreign(bytes(response.body)))
    await response(scope, receive, send)
    return True


def _foreign(body: bytes) -> bytes:
    def replaced(found: re.Match[bytes]) -> bytes:
        return _FOREIGN + (b'/"' if found.group().endswith(b"null") else b"")

    offset = _own_links(body)
    return body[:offset] + _NEXT.sub(replaced, body[offset:], count=1)


def _without_links(body: bytes) -> bytes:
    return body[: _own_links(body)].rstrip(b",") + b"}"


def _own_links(body: bytes) -> int:
    """Return the offset of the document's own links: they follow all records, so the last match is theirs."""
    return body.rfind(b'"links":{"self":"http')


def _with_body(response: Response, body: bytes) -> Response:
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(body, response.status_code, headers)


async def _cut(response: Response, send: Send) -> None:
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body[: len(response.body) // 2], "more_body": True})
    # Returning without the rest makes the server close the connection.


async def _drip(response: Response, send: Send, seconds: float) -> None:
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    body, step = bytes(response.body), max(1, len(response.body) // _DRIPS)
    for start in range(0, len(body), step):
        await asyncio.sleep(seconds / _DRIPS)
        await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _reset(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body[: len(response.body) // 2], "more_body": True})
    connection = scope["sandbox.send"].__self__.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_WITH_RESET)
    await _drop(scope, receive)


async def _drop(scope: Scope, receive: Receive) -> None:
    """Close the connection without a response; ASGI does not support this, so it uses the server's transport."""
    transport = scope["sandbox.send"].__self__.transport
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
