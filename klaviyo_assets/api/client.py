"""The client: one key, one origin, one pinned revision; paced, retried, and paged by ``links.next``."""

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
from klaviyo_assets.api.clock import ServerClock
from klaviyo_assets.api.errors import AnswerTooLarge, BadAnswer, EndlessLinks, EndlessPages, ForeignLink
from klaviyo_assets.api.options import ClientSettings
from klaviyo_assets.api.rate_limit.limiter import RateLimiter
from klaviyo_assets.api.request_waits import Obstacle, RequestWait, RequestWaits
from klaviyo_assets.api.response_memory import ResponseMemory, Share
from klaviyo_assets.api.responses import decoded, rejected_for, server_time
from klaviyo_assets.api.retries import RetryPolicy
from klaviyo_assets.api.transport import ApiRequest, HttpTransport
from klaviyo_assets.api.waits import duration
from klaviyo_assets.catalog.endpoint import Query, RateLimit
from klaviyo_assets.catalog.resource_type import ResourceType

_LINKS_KEPT = 1_000
"""Page links of a walk that are known again."""

_FEWER = 8
"""By how much fewer records are requested where a page is too large."""

_log = logging.getLogger("klaviyo_assets")


@dataclass
class Traffic:
    """What a client has sent and received.

    Attributes:
        requests: Requests sent, repeated ones included.
        bytes: Bytes of response bodies, decompressed.
        throttled: Responses with status 429.
    """

    requests: int = 0
    bytes: int = 0
    throttled: int = 0


class Page(Protocol):
    """A decoded page: anything that knows the link to the next one."""

    @property
    def next_url(self) -> str | None:
        """The response's ``links.next``."""
        ...


T = TypeVar("T")
P = TypeVar("P", bound=Page)


@dataclass(frozen=True)
class ApiResponse(Generic[T]):
    """A successful response.

    Attributes:
        value: What the decoder made of its body.
        requested_at: When the request was sent, on the server's clock.
    """

    value: T
    requested_at: datetime


class KlaviyoClient:
    """An asynchronous client for Klaviyo's read endpoints.

    Use it as an asynchronous context manager.

    Args:
        key: The private API key.
        settings: How it behaves.
        transport: An httpx transport that carries the requests, such as a recording or a corporate gateway; it is closed with the client. None for
            connections of our own, through the proxy and with the certificates of the environment.

    Raises:
        InvalidNetworkSetting: If no request could be sent: the base URL, a proxy or the trusted certificates cannot be used.

    Attributes:
        key: The key; it does not show itself.
        settings: As given.
        traffic: What has been sent and received.

    Example:
        >>> async with KlaviyoClient(parse_api_key(text)) as client:
        ...     answer = await client.get(CATALOG["lists"], "/api/lists", {}, decode=msgspec.json.decode)
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
        """Seconds that requests have waited for the rate limits, added up over all that waited at once."""
        return sum(limiter.seconds_waited for limiter in self._limiters.values())

    @property
    def knows_the_time(self) -> bool:
        """True once the server's clock is known for sure, which may take a second response (:mod:`klaviyo_assets.api.clock`)."""
        return self._clock.is_sure

    @property
    def clock_dispute(self) -> str | None:
        """A sentence that says how far Klaviyo's clock and this machine's are apart, where neither can be believed; else None."""
        return self._clock.dispute_in_words

    def now(self) -> datetime:
        """Return the server's clock: the first ``Date`` that is believed and what has passed since.

        Raises:
            RuntimeError: Before the first response.
        """
        return self._clock.now()

    def catch_up(self, instant: datetime) -> None:
        """Let :meth:`now` not be before an instant.

        ``Date`` comes in whole seconds, so that two clients within a second may disagree about which came first.
        """
        self._clock.catch_up(instant)

    def chains_needed(self, entry: ResourceType) -> int:
        """Return how many cursor chains, one request after the other in each, keep the rate limit of a type's pages busy at the latency seen."""
        limiter = self._limiter(entry, entry.endpoint.path, entry.page_parameters)
        return min(self.settings.concurrency, limiter.requests_under_way)

    async def get(self, entry: ResourceType, url: str, parameters: Mapping[str, str], decode: Callable[[bytes], T]) -> ApiResponse[T]:
        """Send one GET request, again after a transient fault, and decode its response.

        Args:
            entry: The resource type that is read; gives the rate limit and the scope for messages.
            url: Path, or a whole URL of the configured origin.
            parameters: Query parameters.
            decode: Makes something of the body; a ValueError of it counts as a transient fault.

        Raises:
            KlaviyoError: One of its subclasses, see :mod:`klaviyo_assets.api.errors`.
        """
        target = self._own_url(url)
        target = target.copy_merge_params(dict(parameters)) if parameters else target
        with self._memory.share() as share:
            return await self._get(entry, target, decode, share)

    async def _get(
        self, entry: ResourceType, target: httpx.URL, decode: Callable[[bytes], T], share: Share, most_bytes: int | None = None
    ) -> ApiResponse[T]:
        request = ApiRequest("GET", target, entry.scope_text, most_bytes=most_bytes)
        return await self._request(request, self._limiter(entry, target.path, dict(target.params)), decode, share)

    async def query(self, query: Query, attributes: Mapping[str, object], decode: Callable[[bytes], T]) -> ApiResponse[T]:
        """Send a query to an endpoint that takes POST requests and changes nothing, so that it can be sent again after a fault.

        Args:
            query: The endpoint.
            attributes: Attributes of the request.
            decode: As for :meth:`get`.

        Raises:
            KlaviyoError: As :meth:`get` does.
        """
        body = msgspec.json.encode({"data": {"type": query.jsonapi_type, "attributes": attributes}})
        request = ApiRequest("POST", self._own_url(query.path), query.scope, body)
        with self._memory.share() as share:
            return await self._request(request, self._limiter_of(query.path, query.limit), decode, share)

    async def _request(self, request: ApiRequest, limiter: RateLimiter, decode: Callable[[bytes], T], share: Share) -> ApiResponse[T]:
        with self._waits.of(f"{request.method} {limiter.name}") as wait:
            async for attempt in RetryPolicy(self.settings, limiter, wait).attempts():
                with attempt:
                    wait.begin("slot", None)  # until one of the requests that are under way ends; they say what they wait for
                    async with self._slots:
                        share.release()  # what an attempt that failed has received
                        return await self._send(request, limiter, decode, share, wait)
        raise AssertionError("unreachable: the last attempt raises")

    async def pages(
        self,
        entry: ResourceType,
        parameters: Mapping[str, str],
        decode: Callable[[bytes], P],
        most: int | None = None,
        most_bytes: int | None = None,
        parent_id: str | None = None,
    ) -> AsyncGenerator[ApiResponse[P]]:
        """Walk a collection page by page, by ``links.next`` alone.

        The memory of a page counts as taken until the next one is requested, so store it before that (:mod:`klaviyo_assets.api.response_memory`).

        Args:
            entry: The resource type.
            parameters: Query parameters of the first page.
            decode: As for :meth:`get`.
            most: Pages that there may be; None where the caller watches over that.
            most_bytes: Bytes that a page may have, for callers that begin again with smaller pages; None to ask for fewer records here where a page
                has more bytes than the settings allow for.
            parent_id: The parent whose children are read, for child types.

        Raises:
            AnswerTooLarge: If a page has more bytes.
            ForeignLink: If a link leads to another origin.
            EndlessLinks: If the links lead in a circle.
            EndlessPages: If there are more than ``most``.
            CursorRefused: If Klaviyo does not take a link of its own any more.
            KlaviyoError: As :meth:`get` does.
        """
        target = self._own_url(entry.path_of(parent_id)).copy_merge_params(dict(parameters))
        path = target.path
        # Of the last ones, as numbers: a longer circle shows in its records.
        seen: dict[int, None] = {}
        for count in itertools.count(1):
            with self._memory.share() as share:
                answer = await self._page(entry, target, decode, share, most_bytes)
                yield answer
            link = answer.value.next_url
            del answer  # its page is the caller's now
            if link is None:
                return
            if hash(link) in seen:
                raise EndlessLinks("Klaviyo's page links lead in a circle.", endpoint=f"GET {entry.endpoint.path}")
            if most is not None and count >= most:
                raise EndlessPages(f"Klaviyo's pages do not end: there are more than {most}.", endpoint=f"GET {entry.endpoint.path}")
            seen[hash(link)] = None
            if len(seen) > _LINKS_KEPT:
                del seen[next(iter(seen))]
            target = self._next_page(path, link)

    def _next_page(self, path: str, link: str) -> httpx.URL:
        """Return the URL that a page link leads to, which must be another page of the same collection.

        Raises:
            ForeignLink: If it leads to another origin or another endpoint.
            BadAnswer: If it is not a URL.
        """
        target = self._own_url(link, relative_to=path)
        if target.path.rstrip("/") != path:
            raise ForeignLink(f"A page link of {path} leads to {target.path}, which is another endpoint; it was not followed.")
        return target

    async def _page(
        self, entry: ResourceType, target: httpx.URL, decode: Callable[[bytes], P], share: Share, most_bytes: int | None
    ) -> ApiResponse[P]:
        """Ask for a page, and for one of fewer records where it is too large; links that follow keep the smaller size."""
        while True:
            try:
                return await self._get(entry, target, decode, share, most_bytes)
            except AnswerTooLarge as error:
                size = target.params.get("page[size]", "")
                if most_bytes is not None or not size.isdecimal() or int(size) <= 1:
                    raise
                fewer = max(1, int(size) // _FEWER)
                _log.warning("%s: %s Pages of %s records are requested instead of %s.", entry.name, error.message, fewer, size)
                target = target.copy_set_param("page[size]", fewer)

    def _own_url(self, url: str, relative_to: str = "/") -> httpx.URL:
        try:
            target = self._transport.base_url.join(relative_to).join(url)
        except (httpx.InvalidURL, ValueError) as error:  # ValueError: what cannot be encoded, such as half a character
            raise BadAnswer("A link of Klaviyo's response is not a URL.") from error
        if origin(target) != origin(self._transport.base_url):
            raise ForeignLink(f"A link leads to {named_origin(target)}, not to {named_origin(self._transport.base_url)}; it was not followed.")
        return target

    def _limiter(self, entry: ResourceType, path: str, parameters: Mapping[str, str]) -> RateLimiter:
        endpoint = entry.endpoint
        # The children of all parents share a limit, and are not looked up one by one.
        is_lookup = entry.parent is None and path.rstrip("/") != endpoint.path
        limit = (endpoint.lookup_limit if is_lookup else None) or endpoint.limit_for(parameters)
        return self._limiter_of(f"{endpoint.path}/id" if is_lookup else endpoint.path, limit)

    def _limiter_of(self, name: str, limit: RateLimit) -> RateLimiter:
        if (name, limit) not in self._limiters:
            self._limiters[name, limit] = RateLimiter(name, limit, self.settings.rate_limit_share, self.settings.shared_limits)
        return self._limiters[name, limit]

    async def _send(self, request: ApiRequest, limiter: RateLimiter, decode: Callable[[bytes], T], share: Share, wait: RequestWait) -> ApiResponse[T]:
        wait.begin("turn", limiter.obstacle)
        turn = await limiter.acquire()
        wait.begin("answer", lambda: self._no_answer_yet(share, wait.seconds_in_phase))
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
        self._take_note(response)
        value = decoded(response, request.scope, decode)
        share.complete()
        seconds = time.monotonic() - sent
        limiter.observe_latency(seconds - share.seconds_waited)
        return ApiResponse(value, self.now() - timedelta(seconds=seconds))

    def _no_answer_yet(self, share: Share, seconds: float) -> Obstacle:
        """Return what a request waits for whose response is not complete."""
        if share.is_waiting:
            return Obstacle(logging.INFO, "the response is received after earlier ones are stored, to limit memory. What to do: nothing.")
        return Obstacle(
            logging.WARNING,
            f"no complete response for {duration(seconds)}; a request times out after {duration(self.settings.timeout)} without data and is tried "
            "again. What to do: nothing yet; if it happens often, check the network and https://status.klaviyo.com.",
        )

    def _take_note(self, response: httpx.Response) -> None:
        self.traffic.bytes += len(response.content)
        self.traffic.throttled += response.status_code == 429
        self._clock.note(server_time(response))
