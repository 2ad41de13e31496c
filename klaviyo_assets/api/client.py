"""The API client: rate limits, retries and pagination, with one key, one origin and one pinned revision."""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, Self, TypeVar

import httpx
import msgspec

from klaviyo_assets.api.auth import ApiKey, named_origin, origin
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.clock import ServerClock
from klaviyo_assets.api.klaviyo_errors import (
    BadRequest,
    CursorRefused,
    EndlessLinks,
    EndlessPages,
    ForeignLink,
    InvalidResponse,
    NotFound,
    ResponseTooLarge,
)
from klaviyo_assets.api.rate_limit.limiter import RateLimiter
from klaviyo_assets.api.request_waits import RequestWait, RequestWaits, WaitReason
from klaviyo_assets.api.response_memory import ResponseMemory, Share
from klaviyo_assets.api.responses import decoded, rejected_for, server_time
from klaviyo_assets.api.retries import RequestRetries
from klaviyo_assets.api.transport import ApiRequest, HttpTransport
from klaviyo_assets.api.waits import duration
from klaviyo_assets.catalog import is_built_in
from klaviyo_assets.catalog.endpoint import Query, RateLimit
from klaviyo_assets.catalog.resource_type import ResourceType

_LINKS_KEPT = 1_000
"""Number of recent page links kept to detect a loop."""

_PAGE_SIZE_DIVISOR = 8
"""Divides the page size when a page is too large."""

_log = logging.getLogger("klaviyo_assets")


@dataclass
class Traffic:
    """Counters of a client's requests and responses.

    Attributes:
        requests: Requests sent, including retries.
        bytes: Bytes of response bodies, decompressed.
        throttled: Responses with status 429.
    """

    requests: int = 0
    bytes: int = 0
    throttled: int = 0


class LinkedPage(Protocol):
    """A decoded page: any object with the link to the next page."""

    @property
    def next_url(self) -> str | None:
        """The response's ``links.next``."""
        ...


T = TypeVar("T")
P = TypeVar("P", bound=LinkedPage)


@dataclass(frozen=True)
class ApiResponse(Generic[T]):
    """A successful response.

    Attributes:
        value: The decoded body.
        requested_at: When the request was sent, by the server's clock.
    """

    value: T
    requested_at: datetime


class KlaviyoClient:
    """An asynchronous client for Klaviyo's read endpoints.

    Use it as an asynchronous context manager.

    Args:
        key: The private API key.
        settings: The client's settings.
        transport: A custom httpx transport, for example a recording or a corporate gateway; closed with the client. By default, the client opens
            its own connections, with the environment's proxy and certificates.

    Raises:
        InvalidNetworkSetting: If no request could be sent: the base URL, a proxy or the trusted certificates cannot be used.

    Attributes:
        key: The key, masked when printed.
        settings: As given.
        traffic: Counters of requests and responses.

    Example:
        >>> async with KlaviyoClient(parse_api_key(text)) as client:
        ...     response = await client.get(CATALOG["lists"], "/api/lists", {}, decode=msgspec.json.decode)
    """

    def __init__(self, key: ApiKey, settings: ClientSettings | None = None, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.key = key
        self.settings = settings or ClientSettings()
        self.traffic = Traffic()
        self._transport = HttpTransport(key, self.settings, transport)
        self._slots = asyncio.Semaphore(self.settings.concurrency)
        self._limiters: dict[tuple[str, RateLimit], RateLimiter] = {}
        self._clock = ServerClock()
        self._memory = ResponseMemory()
        self._waits = RequestWaits()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        for limiter in self._limiters.values():
            limiter.dispose()
        await self._transport.close()

    @property
    def seconds_waited(self) -> float:
        """Total seconds that requests have waited for the rate limits, summed over concurrent requests."""
        return sum(limiter.seconds_waited for limiter in self._limiters.values())

    @property
    def time_is_known(self) -> bool:
        """True once the server's time is confirmed, which can take more than one response (:mod:`klaviyo_assets.api.clock`)."""
        return self._clock.is_trusted

    @property
    def clock_disagreement(self) -> str | None:
        """A sentence with the two times if Klaviyo's clock and this machine's are too far apart to trust either, else None."""
        return self._clock.disagreement_text

    def now(self) -> datetime:
        """Return the server's time: the first trusted ``Date`` plus the time elapsed since.

        Raises:
            RuntimeError: Before the first response.
        """
        return self._clock.now()

    def catch_up(self, instant: datetime) -> None:
        """Make sure that :meth:`now` is not before an instant.

        ``Date`` has whole seconds, so the clocks of two clients can differ by up to a second.
        """
        self._clock.catch_up(instant)

    def chains_needed(self, entry: ResourceType) -> int:
        """Return how many cursor chains must run concurrently to use a type's full rate limit at the measured latency."""
        limiter = self._limiter(entry, entry.endpoint.path, entry.page_parameters)
        return min(self.settings.concurrency, limiter.target_in_flight)

    async def get(self, entry: ResourceType, url: str, parameters: Mapping[str, str], decode: Callable[[bytes], T]) -> ApiResponse[T]:
        """Send a GET request, retry it after transient errors, and decode its response.

        Args:
            entry: The resource type that is read; determines the rate limit, and the scope in messages.
            url: Path, or a full URL of the configured origin.
            parameters: Query parameters.
            decode: Decodes the body; a ValueError counts as a transient error.

        Raises:
            KlaviyoError: One of its subclasses, see :mod:`klaviyo_assets.api.klaviyo_errors`.
        """
        target = self._url(url)
        target = target.copy_merge_params(dict(parameters)) if parameters else target
        with self._memory.share() as share:
            return await self._get(entry, target, decode, share)

    async def _get(
        self,
        entry: ResourceType,
        target: httpx.URL,
        decode: Callable[[bytes], T],
        share: Share,
        max_bytes: int | None = None,
        body: bytes | None = None,
    ) -> ApiResponse[T]:
        request = ApiRequest("GET" if body is None else "POST", target, entry.endpoint_scope_text, body, max_bytes=max_bytes)
        try:
            return await self._request(request, self._limiter(entry, target.path, dict(target.params)), decode, share)
        except (BadRequest, NotFound) as error:
            if _may_be_about(entry, error):
                error.advice = error.advice_about_own_type.format(name=entry.name)
            raise

    async def query(self, query: Query, attributes: Mapping[str, object], decode: Callable[[bytes], T]) -> ApiResponse[T]:
        """Send a query to a read-only POST endpoint. Changes nothing, so it is retried like a GET.

        Args:
            query: The endpoint.
            attributes: Attributes of the request body.
            decode: As for :meth:`get`.

        Raises:
            KlaviyoError: As :meth:`get` does.
        """
        body = _body_of(query.jsonapi_type, attributes)
        request = ApiRequest("POST", self._url(query.path), query.scope, body)
        with self._memory.share() as share:
            return await self._request(request, self._limiter_of(query.path, query.limit), decode, share)

    async def _request(self, request: ApiRequest, limiter: RateLimiter, decode: Callable[[bytes], T], share: Share) -> ApiResponse[T]:
        with self._waits.of(f"{request.method} {limiter.name}") as wait:
            async for attempt in RequestRetries(self.settings, limiter, wait).attempts():
                with attempt:
                    wait.begin("slot", None)  # until a request in flight ends; those log what they wait for
                    async with self._slots:
                        share.release()  # memory of a failed attempt
                        return await self._send(request, limiter, decode, share, wait)
        raise AssertionError("unreachable: the last attempt raises")

    async def pages(
        self,
        entry: ResourceType,
        parameters: Mapping[str, str],
        decode: Callable[[bytes], P],
        max_pages: int | None = None,
        max_bytes: int | None = None,
        parent_id: str | None = None,
        query: Mapping[str, object] | None = None,
    ) -> AsyncGenerator[ApiResponse[P]]:
        """Yield the pages of a collection, following ``links.next``.

        The memory of a page counts as used until the next page is requested, so store the page first (:mod:`klaviyo_assets.api.response_memory`).

        Args:
            entry: The resource type.
            parameters: Query parameters of the first page.
            decode: As for :meth:`get`.
            max_pages: Maximum number of pages; None if the caller limits them.
            max_bytes: Maximum bytes of a page, for callers that start again with smaller pages. If None, a page that is larger than the settings
                allow is requested again here, with fewer records.
            parent_id: For child types, the id of the parent.
            query: Attributes of the request body, for an endpoint that is read with POST; each page is requested with them.

        Raises:
            ResponseTooLarge: If a page has more bytes.
            ForeignLink: If a link leads to another origin.
            EndlessLinks: If the links form a loop.
            EndlessPages: If there are more than ``max_pages``.
            CursorRefused: If Klaviyo no longer accepts one of its own links.
            KlaviyoError: As :meth:`get` does.
        """
        target = self._url(entry.path_of(parent_id)).copy_merge_params(dict(parameters))
        path, body = target.path, None if query is None else _body_of(entry.jsonapi_type, query)
        # Hashes of recent links only; the caller detects a longer loop by its repeated records.
        seen: dict[int, None] = {}
        for count in itertools.count(1):
            with self._memory.share() as share:
                response = await self._page(entry, target, decode, share, max_bytes, body)
                yield response
            link = response.value.next_url
            del response  # frees the page unless the caller keeps it
            if link is None:
                return
            if hash(link) in seen:
                raise EndlessLinks("Klaviyo's page links form a loop.", endpoint=f"GET {entry.endpoint.path}")
            if max_pages is not None and count >= max_pages:
                raise EndlessPages(f"Klaviyo's pages do not end: there are more than {max_pages}.", endpoint=f"GET {entry.endpoint.path}")
            seen[hash(link)] = None
            if len(seen) > _LINKS_KEPT:
                del seen[next(iter(seen))]
            target = self._next_page(path, link)

    def _next_page(self, path: str, link: str) -> httpx.URL:
        """Return the URL of a page link, which must belong to the same collection.

        Raises:
            ForeignLink: If it leads to another origin or another endpoint.
            InvalidResponse: If it is not a URL.
        """
        target = self._url(link, relative_to=path)
        if target.path.rstrip("/") != path:
            raise ForeignLink(f"A page link of {path} leads to {target.path}, which is another endpoint; it was not followed.")
        return target

    async def _page(
        self, entry: ResourceType, target: httpx.URL, decode: Callable[[bytes], P], share: Share, max_bytes: int | None, body: bytes | None
    ) -> ApiResponse[P]:
        """Request a page, with fewer records if it is too large; its next link keeps the smaller size."""
        while True:
            try:
                return await self._get(entry, target, decode, share, max_bytes, body)
            except ResponseTooLarge as error:
                size = target.params.get("page[size]", "")
                if max_bytes is not None or not size.isdecimal() or int(size) <= 1:
                    raise
                fewer = max(1, int(size) // _PAGE_SIZE_DIVISOR)
                _log.warning("%s: %s Pages of %s records are requested instead of %s.", entry.name, error.message, fewer, size)
                target = target.copy_set_param("page[size]", fewer)

    def _url(self, url: str, relative_to: str = "/") -> httpx.URL:
        """Resolve a URL of the configured origin.

        Raises:
            ForeignLink: If it belongs to another origin.
            InvalidResponse: If it is not a URL.
        """
        try:
            target = self._transport.base_url.join(relative_to).join(url)
        except (httpx.InvalidURL, ValueError) as error:  # ValueError: text that cannot be encoded, such as a lone surrogate
            raise InvalidResponse("A link of Klaviyo's response is not a URL.") from error
        if origin(target) != origin(self._transport.base_url):
            raise ForeignLink(f"A link leads to {named_origin(target)}, not to {named_origin(self._transport.base_url)}; it was not followed.")
        return target

    def _limiter(self, entry: ResourceType, path: str, parameters: Mapping[str, str]) -> RateLimiter:
        endpoint = entry.endpoint
        # The collections of all parents share one limit.
        is_lookup = "{id}" not in endpoint.path and path.rstrip("/") != endpoint.path
        limit = endpoint.limit_for(parameters, lookup=is_lookup)
        if is_lookup and limit == endpoint.limit:
            limit = endpoint.lookup_limit or limit
        return self._limiter_of(f"{endpoint.path}/id" if is_lookup else endpoint.path, limit)

    def _limiter_of(self, name: str, limit: RateLimit) -> RateLimiter:
        if (name, limit) not in self._limiters:
            self._limiters[name, limit] = RateLimiter(name, limit, self.settings.rate_limit_share, self.settings.shared_limits)
        return self._limiters[name, limit]

    async def _send(self, request: ApiRequest, limiter: RateLimiter, decode: Callable[[bytes], T], share: Share, wait: RequestWait) -> ApiResponse[T]:
        wait.begin("turn", limiter.wait_reason)
        turn = await limiter.acquire()
        wait.begin("response", lambda: self._response_wait_reason(share, wait.seconds_in_phase))
        headers: Mapping[str, str] = {}
        rejected: float | None = None
        sent = time.monotonic()
        try:
            response = await self._transport.send(request, share)
            headers = response.headers
            rejected = rejected_for(response)
        finally:
            self.traffic.requests += 1
            limiter.release(headers, turn, rejected)
        self._record(response)
        value = decoded(response, request.scope, decode)
        share.complete()
        seconds = time.monotonic() - sent
        limiter.observe_latency(seconds - share.seconds_waited)
        return ApiResponse(value, self.now() - timedelta(seconds=seconds))

    def _response_wait_reason(self, share: Share, seconds: float) -> WaitReason:
        """Return why a response is not complete yet."""
        if share.is_waiting:
            return WaitReason(logging.INFO, "the response is received after earlier ones are stored, to limit memory. What to do: nothing.")
        return WaitReason(
            logging.WARNING,
            f"no complete response for {duration(seconds)}; a request times out after {duration(self.settings.timeout)} without data and is tried "
            "again. What to do: nothing yet; if it happens often, check the network and https://status.klaviyo.com.",
        )

    def _record(self, response: httpx.Response) -> None:
        self.traffic.bytes += len(response.content)
        self.traffic.throttled += response.status_code == 429
        self._clock.note(server_time(response))


def _body_of(jsonapi_type: str, attributes: Mapping[str, object]) -> bytes:
    return msgspec.json.encode({"data": {"type": jsonapi_type, "attributes": attributes}})


def _may_be_about(entry: ResourceType, error: BadRequest | NotFound) -> bool:
    """Return whether the cause of an error may be the definition of a resource type from the user's own code."""
    if is_built_in(entry) or isinstance(error, CursorRefused):
        return False
    return not isinstance(error, NotFound) or error.is_about_a_record
