"""HTTP: one origin, one key, a connection for each request in flight, and bodies that are bounded by bytes."""

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
from klaviyo_assets.api.blocked_hosts import address_of_a_blocked_name
from klaviyo_assets.api.errors import AnswerTooLarge, BadAnswer, ConnectionFailed, InvalidNetworkSetting
from klaviyo_assets.api.network import proxy_for, tls_context
from klaviyo_assets.api.options import DEFAULT_BASE_URL, ClientSettings
from klaviyo_assets.api.response_body import ACCEPTED_ENCODINGS, decompressed_size, received_body, whole
from klaviyo_assets.api.response_memory import Share
from klaviyo_assets.api.responses import set_redirect_aside

_LONGEST_ERROR = 2**20
"""Bytes of a response without success that are read."""

_TIMEOUTS_PER_RESPONSE = 5
"""A response that comes in small pieces never runs into the timeout, which counts seconds without a byte; after so many times that long it is
abandoned."""

_log = logging.getLogger("klaviyo_assets")


@dataclass(frozen=True)
class ApiRequest:
    """One request, however often it is sent.

    Attributes:
        method: ``GET``, or ``POST`` for a query.
        url: Where it is sent.
        scope: The scope that it needs, for messages.
        body: JSON of a query.
        most_bytes: Bytes that its response may have where the settings allow for more; None for what the settings allow.
    """

    method: str
    url: httpx.URL
    scope: str
    body: bytes | None = None
    most_bytes: int | None = None

    @property
    def endpoint(self) -> str:
        """Method and path, for messages."""
        return f"{self.method} {self.url.path}"


class HttpTransport:
    """Sends requests to Klaviyo and receives whole responses.

    Args:
        key: The private API key.
        settings: Base URL, timeout, limits of bytes.
        transport: An httpx transport to use instead of connections of our own; it is closed with this object. Proxies and certificates of the
            environment do not apply to it.

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
            # A retired revision must fail loudly; without this header Klaviyo responds in the shape of another one.
            "X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1",
        }
        self._connections = ConnectionPool(self)

    def connect(self) -> httpx.AsyncClient:
        """Return an HTTP client of one connection."""
        return httpx.AsyncClient(
            base_url=self.base_url,
            auth=KlaviyoAuth(self._key, self.base_url),
            headers=self._headers,
            transport=self._transport,
            verify=self._tls,
            proxy=self._proxy if self._transport is None else None,
            # What the environment says has been read above.
            trust_env=False,
            timeout=httpx.Timeout(self._settings.timeout, pool=None),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            follow_redirects=False,
            event_hooks={"response": [set_redirect_aside]},
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._connections.close()

    async def send(self, request: ApiRequest, share: Share) -> httpx.Response:
        """Send a request once and return its whole response, of any status.

        Args:
            request: The request.
            share: The response's memory, which its bytes are taken from.

        Raises:
            ConnectionFailed: If there was no complete response.
            BadAnswer: If it could not be decompressed.
            AnswerTooLarge: If it has more bytes than it may have.
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
            raise BadAnswer(f"Klaviyo's response could not be decompressed ({error}).", endpoint=request.endpoint) from _bare(error)
        except AnswerTooLarge:
            pass
        # Raised here and not above: as its context, the first error would keep the frames that hold the body, until the next garbage collection.
        raise AnswerTooLarge(self._most_bytes(request), endpoint=request.endpoint)

    async def _receive(self, request: ApiRequest, share: Share) -> httpx.Response:
        async with self._connections.one() as connection, asyncio.timeout(_TIMEOUTS_PER_RESPONSE * self._settings.timeout):
            headers = {"Content-Type": "application/vnd.api+json"} if request.body is not None else None
            sent = connection.build_request(request.method, request.url, content=request.body, headers=headers)
            received = await connection.send(sent, stream=True)
            # Of a response without success, the beginning says enough.
            cut, limit = (False, self._most_bytes(request)) if received.is_success else (True, _LONGEST_ERROR)
            try:
                body = await received_body(received, limit, share, cut=cut)
                await share.take(size := min(limit, decompressed_size(received, body)))
            finally:
                await received.aclose()
        # The request that was sent carries the key.
        response = whole(received, body, httpx.Request(request.method, request.url), limit, cut=cut)
        if size:
            share.give_back(len(body))
        return response

    def _most_bytes(self, request: ApiRequest) -> int:
        return min(self._settings.max_response_bytes, request.most_bytes or self._settings.max_response_bytes)


class ConnectionPool:
    """HTTP clients of one connection each, the one that was used last first.

    A pool of httpx looks at every idle connection whenever a request begins or ends: with 24 connections that takes as long as all the rest of a
    request. A client of one connection has but one to look at.

    Args:
        transport: Makes a client when more are needed than there are.
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
    address = await address_of_a_blocked_name(host) if isinstance(error, httpx.ConnectError) else None
    if address is None:
        return ConnectionFailed(f"No complete response from {host} ({_reason(error)}).", endpoint=endpoint)
    return ConnectionFailed(
        f"This machine resolves {host} to {address}, which is wrong.",
        endpoint=endpoint,
        advice=f"A DNS blocklist (Pi-hole, AdGuard, NextDNS or similar) seems to block {host}: allow it there, or use another DNS server.",
    )


def _bare(error: Exception) -> Exception:
    """Return the error without what holds the key: its request, and the frames of httpx and h11, where the head that was sent is a variable."""
    if isinstance(error, httpx.RequestError):
        error.request = httpx.Request("GET", "")
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _reason(error: httpx.TransportError) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
