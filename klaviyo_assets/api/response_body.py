"""Receives and decompresses response bodies, up to a limit of bytes."""

import io
from collections.abc import Callable
from typing import Any

import httpx

from klaviyo_assets.api.klaviyo_errors import ResponseTooLarge
from klaviyo_assets.api.response_memory import Share

try:
    from isal import isal_zlib as zlib
except ImportError:  # no wheel for this platform; the same function, two times slower
    import zlib  # type: ignore[no-redef]

ACCEPTED_ENCODINGS = "gzip, deflate"
"""``Accept-Encoding`` of requests: the encodings that this module decodes, whichever libraries httpx finds installed."""

_GZIP = 16 + zlib.MAX_WBITS
"""zlib's window bits for a gzip stream."""

_GZIP_TRAILER = 4
"""Bytes at the end of a gzip stream with the uncompressed size, modulo 2³²."""

_MAX_PIECE_BYTES = 16 * 2**20
"""Maximum bytes to decompress in one call; enough for nearly every page. Larger bodies are decompressed in pieces, so no second copy is in memory."""

_MAX_ENCODINGS = 2
_MAX_MEMBERS = 64
"""Maximum number of concatenated streams in a gzip body; normally there is one."""


async def received_body(received: httpx.Response, limit: int, share: Share, *, cut: bool) -> bytes:
    """Receive a body without decompressing it.

    Args:
        received: The response, before its body is read.
        limit: Maximum bytes.
        share: The response's memory.
        cut: Truncate a larger body at the limit instead of refusing it.

    Raises:
        ResponseTooLarge: As soon as more bytes are announced or received.
    """
    if received.is_stream_consumed:  # a custom transport may return complete responses, which httpx has decompressed
        received.headers.pop("Content-Encoding", None)
        if len(received.content) > limit and not cut:
            raise ResponseTooLarge(limit)
        await share.reserve(min(limit, len(received.content)))
        return received.content[:limit]
    announced = received.headers.get("Content-Length", "")
    if not cut and announced.isdecimal() and int(announced) > limit:
        raise ResponseTooLarge(limit)
    body = io.BytesIO()  # getvalue() returns its buffer without a copy
    async for piece in received.aiter_raw():
        await share.reserve(len(piece))
        body.write(piece)
        if body.tell() > limit:
            if not cut:
                raise ResponseTooLarge(limit)
            body.truncate(limit)
            break
    return body.getvalue()


def decompressed_size(received: httpx.Response, body: bytes) -> int:
    """Return the decompressed size of a gzip body, from its trailer; 0 if the body is not gzip.

    Args:
        received: The response; only its headers are used.
        body: Its body as received.
    """
    is_gzip = received.headers.get("Content-Encoding", "").strip().lower() == "gzip" and len(body) >= _GZIP_TRAILER
    return int.from_bytes(body[-_GZIP_TRAILER:], "little") if is_gzip else 0


def whole(received: httpx.Response, body: bytes, request: httpx.Request, limit: int, *, cut: bool = False) -> httpx.Response:
    """Return a response with its decompressed body.

    Args:
        received: The response; only its status and headers are used.
        body: Its body as received. A body of normal size is decompressed in one call; in pieces while it is received, as httpx does it, takes several
            times as long.
        request: The request to name in the response.
        limit: Maximum bytes after decompression.
        cut: If the body cannot be decompressed, return an empty one instead of raising an error.

    Raises:
        httpx.DecodingError: If the body is damaged or cut short, or its encoding is unknown.
        ResponseTooLarge: If it is larger than the limit.
    """
    headers = received.headers
    encodings = [name for part in headers.get("Content-Encoding", "").split(",") if (name := part.strip().lower()) not in {"", "identity"}]
    if body and encodings:
        try:
            body = _decoded(body, encodings, limit)
        except (httpx.DecodingError, ResponseTooLarge):
            if not cut:
                raise
            body = b""
    if encodings:
        headers = httpx.Headers(headers)
        del headers["Content-Encoding"]
    return httpx.Response(received.status_code, headers=headers, content=body, request=request)


def _decoded(body: bytes, encodings: list[str], limit: int) -> bytes:
    if len(encodings) > _MAX_ENCODINGS:
        raise httpx.DecodingError(f"it has {len(encodings)} encodings")
    for name in reversed(encodings):
        decode = _DECODERS.get(name)
        if decode is None:
            raise httpx.DecodingError("it has an encoding that was not requested")
        body = decode(body, limit)
        limit -= len(body) if len(encodings) > 1 else 0
    return body


def _gunzip(body: bytes, limit: int) -> bytes:
    return _inflate(body, _GZIP, limit)


def _undeflate(body: bytes, limit: int) -> bytes:
    """Decode ``deflate``, which some servers send without the zlib wrapper that RFC 9110 requires."""
    try:
        return _inflate(body, zlib.MAX_WBITS, limit)
    except httpx.DecodingError:
        return _inflate(body, -zlib.MAX_WBITS, limit)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {"gzip": _gunzip, "x-gzip": _gunzip, "deflate": _undeflate}


def _inflate(body: bytes, window_bits: int, limit: int) -> bytes:
    try:
        stream = zlib.decompressobj(window_bits)
        found = stream.decompress(body, min(limit + 1, _MAX_PIECE_BYTES))
        if not stream.eof or stream.unused_data:
            found = _rest(found, stream, window_bits, limit)
    except zlib.error as error:  # type: ignore[misc]  # isal's stub lacks the class
        raise httpx.DecodingError(str(error)) from error
    if len(found) > limit:
        raise ResponseTooLarge(limit)
    return found


def _rest(first: bytes, stream: Any, window_bits: int, limit: int) -> bytes:
    """Return the complete body if it is large, or has several concatenated streams, as gzip allows."""
    found = io.BytesIO()
    found.write(first)
    del first
    members = 1
    while True:
        while not stream.eof:
            if found.tell() > limit:
                raise ResponseTooLarge(limit)
            piece = stream.decompress(stream.unconsumed_tail, min(limit + 1 - found.tell(), _MAX_PIECE_BYTES) or 1)
            if not piece and not stream.eof and not stream.unconsumed_tail:
                raise httpx.DecodingError("it is damaged or cut short")
            found.write(piece)
        following = stream.unused_data
        if not following:
            return found.getvalue()
        members += 1
        if window_bits != _GZIP or members > _MAX_MEMBERS:
            raise httpx.DecodingError("it has extra data after its end")
        stream = zlib.decompressobj(window_bits)
        found.write(stream.decompress(following, max(1, min(limit + 1 - found.tell(), _MAX_PIECE_BYTES))))
