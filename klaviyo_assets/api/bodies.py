"""Bodies of answers, decompressed in one go."""

import httpx

try:
    from isal import isal_zlib as zlib
except ImportError:  # no wheel for this platform; the same function, two times slower
    import zlib  # type: ignore[no-redef]

_GZIP = 16 + zlib.MAX_WBITS
"""zlib's window bits for a gzip stream."""


def whole(received: httpx.Response, body: bytes, request: httpx.Request) -> httpx.Response:
    """Return an answer whose body is there and decompressed.

    Args:
        received: The answer, of which the head counts.
        body: Its body as it came. gzip, which Klaviyo answers with, is undone here: piece by piece as it comes in, as httpx does it, takes several
            times as long. Any other encoding is left to httpx.
        request: The request to name in the answer.

    Raises:
        httpx.DecodingError: If the body is damaged or cut short.
    """
    headers = received.headers
    if body and headers.get("Content-Encoding", "").strip().lower() == "gzip":
        try:
            body = zlib.decompress(body, _GZIP)
        except zlib.error as error:  # type: ignore[misc]  # a stub without the class
            raise httpx.DecodingError(str(error)) from error
        headers = httpx.Headers(headers)
        del headers["Content-Encoding"]
    return httpx.Response(received.status_code, headers=headers, content=body, request=request)
