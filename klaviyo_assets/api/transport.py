"""HTTP transport: one origin, one key, one connection per request in flight, and a limit on the size of responses."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from klaviyo_assets._internal.redaction import redact
from klaviyo_assets._version import __version__
from klaviyo_assets.api.auth import ApiKey, KlaviyoAuth
from klaviyo_assets.api.base_url import InvalidBaseUrl, PlainHttp, checked_base_url, is_loopback, without_user
from klaviyo_assets.api.blocked_hosts import blocked_address
from klaviyo_assets.api.client_settings import DEFAULT_BASE_URL, ClientSettings
from klaviyo_assets.api.klaviyo_errors import ConnectionFailed, InvalidNetworkSetting, InvalidResponse, ResponseTooLarge
from klaviyo_assets.api.network import proxy_for, tls_context
from klaviyo_assets.api.response_body import ACCEPTED_ENCODINGS, decompressed_size, received_body, whole
from klaviyo_assets.api.response_memory import Share
from klaviyo_assets.api.responses import set_redirect_aside

_MAX_ERROR_BYTES = 2**20
"""Maximum bytes to read of an error response."""

_TIMEOUTS_PER_RESPONSE = 5
"""Maximum duration of a response, in timeouts. The timeout itself counts seconds without data, so a slow trickle never reaches it."""

_log = logging.getLogger("klaviyo_assets")


@dataclass(frozen=True)
class ApiRequest:
    """One request, including its retries.

    Attributes:
        method: ``GET``, or ``POST`` for a query.
        url: The URL.
        scope: The scopes that it needs, as text for messages.
        body: JSON of a query.
        max_bytes: Maximum bytes of its response, if lower than in the settings; None for the limit of the settings.
    """

    method: str
    url: httpx.URL
    scope: str
    body: bytes | None = None
    max_bytes: int | None = None

    @property
    def endpoint(self) -> str:
        """Method and path, for messages."""
        return f"{self.method} {self.url.path}"


class HttpTransport:
    """Sends requests to Klaviyo and receives complete responses.

    Args:
        key: The private API key.
        settings: Base URL, timeout and maximum response size.
        transport: A custom httpx transport; closed with this object. The environment's proxy and certificates do not apply to it.

    Raises:
        InvalidNetworkSetting: If no request could be sent: the base URL, a proxy or the trusted certificates cannot be used.

    Attributes:
        base_url: The origin that requests go to.
    """

    def __init__(self, key: ApiKey, settings: ClientSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._key = key
        self._settings = settings
        self._transport = transport
        self.base_url = _usable(settings)
        if self.base_url.scheme == "http" and not is_loopback(self.base_url.host):
            _log.warning("%s is not https: the API key travels to %s unencrypted.", redact(settings.base_url), self.base_url.host)
        self._proxy = proxy_for(self.base_url)
        self._tls = tls_context(self.base_url)
        self._headers = {
            "Accept": "application/vnd.api+json",
            "Accept-Encoding": ACCEPTED_ENCODINGS,
            "User-Agent": f"klaviyo-assets/{__version__} python-httpx/{httpx.__version__}",
            "revision": settings.revision,
            # Make a retired revision fail; without this header Klaviyo falls forward to another revision.
            "X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1",
        }
        self._connections = ConnectionPool(self)

    def connect(self) -> httpx.AsyncClient:
        """Return an HTTP client with one connection."""
        return httpx.AsyncClient(
            base_url=self.base_url,
            auth=KlaviyoAuth(self._key, self.base_url),
            headers=self._headers,
            transport=self._transport,
            verify=self._tls,
            proxy=self._proxy if self._transport is None else None,
            trust_env=False,  # the environment has been read in __init__
            timeout=httpx.Timeout(self._settings.timeout, pool=None),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            follow_redirects=False,
            event_hooks={"response": [set_redirect_aside]},
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._connections.close()

    async def send(self, request: ApiRequest, share: Share) -> httpx.Response:
        """Send a request once and return its complete response, with any status.

        Args:
            request: The request.
            share: The response's memory.

        Raises:
            ConnectionFailed: If there was no complete response.
            InvalidResponse: If it could not be decompressed.
            ResponseTooLarge: If it is larger than the limit.
        """
        try:
            return await self._receive(request, share)
        except httpx.TransportError as error:
            raise await _not_connected(request.url.host, error, request.endpoint) from _bare(error)
        except TimeoutError as error:
            seconds = _TIMEOUTS_PER_RESPONSE * self._settings.timeout
            summary = f"No complete response from {request.url.host} within {seconds:.0f} seconds."
            raise ConnectionFailed(summary, endpoint=request.endpoint) from _bare(error)
        except httpx.DecodingError as error:
            raise InvalidResponse(f"Klaviyo's response could not be decompressed ({error}).", endpoint=request.endpoint) from _bare(error)
        except ResponseTooLarge:
            pass
        # Raised outside the handler: as its context, the first error would keep the frames with the body alive until the next garbage collection.
        raise ResponseTooLarge(self._max_bytes(request), endpoint=request.endpoint)

    async def _receive(self, request: ApiRequest, share: Share) -> httpx.Response:
        async with self._connections.one() as connection, asyncio.timeout(_TIMEOUTS_PER_RESPONSE * self._settings.timeout):
            headers = {"Content-Type": "application/vnd.api+json"} if request.body is not None else None
            sent = connection.build_request(request.method, request.url, content=request.body, headers=headers)
            received = await connection.send(sent, stream=True)
            # The start of an error response is enough.
            cut, limit = (False, self._max_bytes(request)) if received.is_success else (True, _MAX_ERROR_BYTES)
            try:
                body = await received_body(received, limit, share, cut=cut)
                await share.reserve(size := min(limit, decompressed_size(received, body)))
            finally:
                await received.aclose()
        # A new request object: the one that was sent contains the key.
        response = whole(received, body, httpx.Request(request.method, request.url), limit, cut=cut)
        if size:
            share.release_part(len(body))
        return response

    def _max_bytes(self, request: ApiRequest) -> int:
        return min(self._settings.max_response_bytes, request.max_bytes or self._settings.max_response_bytes)


class ConnectionPool:
    """HTTP clients with one connection each, most recently used first.

    httpx's pool checks every idle connection whenever a request begins or ends; with 24 connections that takes as long as the rest of the request.

    Args:
        transport: Creates clients as needed.
    """

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport
        self._all: list[httpx.AsyncClient] = []
        self._free: list[httpx.AsyncClient] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[httpx.AsyncClient]:
        """Borrow a client for one request and its response."""
        if not self._free:
            self._all.append(self._transport.connect())
            self._free.append(self._all[-1])
        client = self._free.pop()
        try:
            yield client
        finally:
            self._free.append(client)

    async def close(self) -> None:
        """Close all connections."""
        for client in self._all:
            await client.aclose()


def _usable(settings: ClientSettings) -> httpx.URL:
    try:
        return httpx.URL(checked_base_url(settings.base_url, allow_http=settings.allow_http))
    except InvalidBaseUrl as error:
        advice = "Use https, or set KLAVIYO_ALLOW_HTTP=true." if isinstance(error, PlainHttp) else f"Write it as {DEFAULT_BASE_URL}, or leave it out."
        raise InvalidNetworkSetting(f"KLAVIYO_BASE_URL {error}: {without_user(settings.base_url)!r}.", advice=advice) from None


async def _not_connected(host: str, error: httpx.TransportError, endpoint: str) -> ConnectionFailed:
    address = await blocked_address(host) if isinstance(error, httpx.ConnectError) else None
    if address is None:
        return ConnectionFailed(f"No complete response from {host} ({_reason(error)}).", endpoint=endpoint)
    return ConnectionFailed(
        f"This machine resolves {host} to {address}, which is wrong.",
        endpoint=endpoint,
        advice=f"A DNS blocklist (Pi-hole, AdGuard, NextDNS or similar) seems to block {host}: allow it there, or use another DNS server.",
    )


def _bare(error: Exception) -> Exception:
    """Strip an error of everything that contains the key: its request, and the frames of httpx and h11 with the sent headers in variables."""
    if isinstance(error, httpx.RequestError):
        error.request = httpx.Request("GET", "")
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _reason(error: httpx.TransportError) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
