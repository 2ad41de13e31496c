"""The client: one key, one origin, one pinned revision; paced, retried, and paged by ``links.next``."""

import asyncio
import itertools
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, Self, TypeVar

import httpx
import msgspec
import tenacity

from klaviyo_assets._internal.redaction import redact
from klaviyo_assets._version import __version__
from klaviyo_assets.api.auth import ApiKey, KlaviyoAuth, named_origin, origin
from klaviyo_assets.api.base_url import InvalidBaseUrl, PlainHttp, checked_base_url, is_loopback, without_user
from klaviyo_assets.api.blocked_hosts import address_of_a_blocked_name
from klaviyo_assets.api.clock import ServerClock
from klaviyo_assets.api.error_body import read_error
from klaviyo_assets.api.errors import (
    AnswerTooLarge,
    BadAnswer,
    ConnectionFailed,
    EndlessLinks,
    EndlessPages,
    ForeignLink,
    InvalidNetworkSetting,
    RateLimited,
    RequestFailed,
)
from klaviyo_assets.api.network import proxy_for, tls_context
from klaviyo_assets.api.options import DEFAULT_BASE_URL, ClientSettings
from klaviyo_assets.api.rate_limit.limiter import RateLimiter
from klaviyo_assets.api.request_waits import Obstacle, RequestWait, RequestWaits
from klaviyo_assets.api.response_body import ACCEPTED_ENCODINGS, decompressed_size, received_body, whole
from klaviyo_assets.api.response_memory import AnswerMemory, Share
from klaviyo_assets.api.responses import endpoint_of, error_from, errors_in, retry_after, server_time, set_redirect_aside
from klaviyo_assets.api.transport import PooledTransport
from klaviyo_assets.api.waits import duration
from klaviyo_assets.catalog.endpoint import Query, RateLimit
from klaviyo_assets.catalog.resource_type import ResourceType

_LONGEST_BACKOFF = 60.0
_BACKOFF_BASE = 0.5
_LONGEST_ERROR = 2**20
"""Bytes of an answer without success that are read."""

_LINKS_KEPT = 1_000
"""Page links of a walk that are known again."""

_FEWER = 8
"""By how much fewer records are asked for where a page is too large."""

_COMPLETE = {200, 201, 203}
"""Statuses whose body is the whole document that was asked for."""

_TIMEOUTS_AN_ANSWER = 5
"""An answer that comes in small pieces never runs into the timeout, which counts seconds without a byte; after so many times that long it is given
up."""

_log = logging.getLogger("klaviyo_assets")


@dataclass
class Traffic:
    """What a client has sent and received.

    Attributes:
        requests: Requests sent, repeated ones included.
        bytes: Bytes of answer bodies, decompressed.
        throttled: Answers with status 429.
    """

    requests: int = 0
    bytes: int = 0
    throttled: int = 0


class Page(Protocol):
    """A decoded page: anything that knows the link to the next one."""

    @property
    def next_url(self) -> str | None:
        """The answer's ``links.next``."""
        ...


T = TypeVar("T")
P = TypeVar("P", bound=Page)


@dataclass(frozen=True)
class ApiResponse(Generic[T]):
    """A successful answer.

    Attributes:
        value: What the decoder made of its body.
        requested_at: When the request was sent, on the server's clock.
    """

    value: T
    requested_at: datetime


@dataclass(frozen=True)
class _ApiRequest:
    """One request, as often as it takes to send it, and the bytes that its answer may have where the settings allow for more."""

    method: str
    url: httpx.URL
    scope: str
    body: bytes | None = None
    most_bytes: int | None = None


class KlaviyoClient:
    """An asynchronous client for Klaviyo's read endpoints.

    Use it as an asynchronous context manager.

    Args:
        key: The private API key.
        settings: How it behaves.

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

    def __init__(self, key: ApiKey, settings: ClientSettings | None = None) -> None:
        self.key = key
        self.settings = settings or ClientSettings()
        self.traffic = Traffic()
        self._base_url = _usable(self.settings)
        if self._base_url.scheme == "http" and not is_loopback(self._base_url.host):
            _log.warning("%s is not https: the API key travels to %s unencrypted.", redact(self.settings.base_url), self._base_url.host)
        self._proxy = proxy_for(self._base_url)
        self._tls = tls_context(self._base_url)
        self._headers = {
            "Accept": "application/vnd.api+json",
            "Accept-Encoding": ACCEPTED_ENCODINGS,
            "User-Agent": f"klaviyo-assets/{__version__} python-httpx/{httpx.__version__}",
            "revision": self.settings.revision,
            # A retired revision must fail loudly; without this header Klaviyo answers in the shape of another one.
            "X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1",
        }
        self._lanes = PooledTransport(self._lane)
        self._slots = asyncio.Semaphore(self.settings.concurrency)
        self._gates: dict[tuple[str, RateLimit], RateLimiter] = {}
        self._clock = ServerClock()
        self._memory = AnswerMemory()
        self._waits = RequestWaits()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        for gate in self._gates.values():
            gate.dispose()
        await self._lanes.close()

    def _lane(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._base_url,
            auth=KlaviyoAuth(self.key, self._base_url),
            headers=self._headers,
            verify=self._tls,
            proxy=self._proxy,
            # What the environment says has been read above.
            trust_env=False,
            timeout=httpx.Timeout(self.settings.timeout, pool=None),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            follow_redirects=False,
            event_hooks={"response": [set_redirect_aside]},
        )

    @property
    def seconds_waited(self) -> float:
        """Seconds that requests have waited for the rate limits, added up over all that waited at once."""
        return sum(gate.seconds_waited for gate in self._gates.values())

    @property
    def knows_the_time(self) -> bool:
        """True once the server's clock is known for sure, which may take a second answer (:mod:`klaviyo_assets.api.clock`)."""
        return self._clock.is_sure

    @property
    def clock_dispute(self) -> str | None:
        """A sentence that says how far Klaviyo's clock and this machine's are apart, where neither can be believed; else None."""
        return self._clock.dispute_in_words

    def now(self) -> datetime:
        """Return the server's clock: the first ``Date`` that is believed and what has passed since.

        Raises:
            RuntimeError: Before the first answer.
        """
        return self._clock.now()

    def catch_up(self, instant: datetime) -> None:
        """Let :meth:`now` not be before an instant.

        ``Date`` comes in whole seconds, so that two clients within a second may disagree about which came first.
        """
        self._clock.catch_up(instant)

    def chains_needed(self, entry: ResourceType) -> int:
        """Return how many cursor chains, one request after the other in each, keep the rate limit of a type's pages busy at the latency seen."""
        gate = self._gate(entry, entry.endpoint.path, entry.page_parameters)
        return min(self.settings.concurrency, gate.requests_under_way)

    async def get(self, entry: ResourceType, url: str, parameters: Mapping[str, str], decode: Callable[[bytes], T]) -> ApiResponse[T]:
        """Send one GET request, again after a transient fault, and decode its answer.

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
        question = _ApiRequest("GET", target, entry.scope_text, most_bytes=most_bytes)
        return await self._ask(question, self._gate(entry, target.path, dict(target.params)), decode, share)

    async def ask(self, query: Query, attributes: Mapping[str, object], decode: Callable[[bytes], T]) -> ApiResponse[T]:
        """Put a question to an endpoint that answers POST requests and changes nothing, so that it may be asked again after a fault.

        Args:
            query: The endpoint.
            attributes: Attributes of the question.
            decode: As for :meth:`get`.

        Raises:
            KlaviyoError: As :meth:`get` does.
        """
        body = msgspec.json.encode({"data": {"type": query.jsonapi_type, "attributes": attributes}})
        question = _ApiRequest("POST", self._own_url(query.path), query.scope, body)
        with self._memory.share() as share:
            return await self._ask(question, self._gate_of(query.path, query.limit), decode, share)

    async def _ask(self, question: _ApiRequest, gate: RateLimiter, decode: Callable[[bytes], T], share: Share) -> ApiResponse[T]:
        with self._waits.of(f"{question.method} {gate.name}") as wait:
            async for attempt in self._attempts(gate, wait):
                with attempt:
                    wait.begin("slot", None)  # until one of the requests that are under way ends; they say what they wait for
                    async with self._slots:
                        share.release()  # what an attempt that failed has received
                        return await self._send(question, gate, decode, share, wait)
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
                raise EndlessPages(f"Klaviyo's pages do not come to an end: there are more than {most}.", endpoint=f"GET {entry.endpoint.path}")
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
                _log.warning("%s: %s Pages of %s records are asked for instead of %s.", entry.name, error.message, fewer, size)
                target = target.copy_set_param("page[size]", fewer)

    def _own_url(self, url: str, relative_to: str = "/") -> httpx.URL:
        try:
            target = self._base_url.join(relative_to).join(url)
        except (httpx.InvalidURL, ValueError) as error:  # ValueError: what cannot be encoded, such as half a character
            raise BadAnswer("A link of Klaviyo's answer is not a URL.") from error
        if origin(target) != origin(self._base_url):
            raise ForeignLink(f"A link leads to {named_origin(target)}, not to {named_origin(self._base_url)}; it was not followed.")
        return target

    def _gate(self, entry: ResourceType, path: str, parameters: Mapping[str, str]) -> RateLimiter:
        endpoint = entry.endpoint
        # The children of all parents share a limit, and are not looked up one by one.
        is_lookup = entry.parent is None and path.rstrip("/") != endpoint.path
        limit = (endpoint.lookup_limit if is_lookup else None) or endpoint.limit_for(parameters)
        return self._gate_of(f"{endpoint.path}/id" if is_lookup else endpoint.path, limit)

    def _gate_of(self, name: str, limit: RateLimit) -> RateLimiter:
        if (name, limit) not in self._gates:
            self._gates[name, limit] = RateLimiter(name, limit, self.settings.rate_limit_share, self.settings.shared_limits)
        return self._gates[name, limit]

    def _attempts(self, gate: RateLimiter, request: RequestWait) -> tenacity.AsyncRetrying:
        def before_retry(state: tenacity.RetryCallState) -> None:
            error, seconds = state.outcome.exception() if state.outcome else None, state.upcoming_sleep
            if isinstance(error, RateLimited):
                # The gate makes everybody wait, this request included: each time longer, where Klaviyo asks for next to nothing again and again.
                gate.close_for(seconds := max(error.retry_after or 0.0, _backoff(state)))
            if isinstance(error, RequestFailed):
                request.retry(error, seconds, state.attempt_number + 1, most_retries(error) + 1)

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, RateLimited):
                return 0.0
            asked = (error.retry_after or 0.0) if isinstance(error, RequestFailed) else 0.0
            return asked + _backoff(state)

        def stop(state: tenacity.RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            return state.attempt_number > most_retries(error)

        def most_retries(error: BaseException | None) -> int:
            settings = self.settings
            return max(settings.max_retries, settings.max_retries_at_the_limit) if isinstance(error, RateLimited) else settings.max_retries

        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(self._is_worth_another_try),
            stop=stop,
            wait=wait,
            before_sleep=before_retry,
            reraise=True,
        )

    def _is_worth_another_try(self, error: BaseException) -> bool:
        """Whether a fault is transient and Klaviyo does not ask to come back much later."""
        return isinstance(error, RequestFailed) and (error.retry_after or 0) <= self.settings.longest_wait

    async def _send(self, question: _ApiRequest, gate: RateLimiter, decode: Callable[[bytes], T], share: Share, wait: RequestWait) -> ApiResponse[T]:
        endpoint = f"{question.method} {question.url.path}"
        wait.begin("turn", gate.obstacle)
        request = await gate.enter()
        wait.begin("answer", lambda: self._no_answer_yet(share, wait.seconds_in_phase))
        headers: Mapping[str, str] = {}
        rejected_for: float | None = None
        sent = time.monotonic()
        try:
            response = await self._receive(question, share)
            headers = response.headers
            rejected_for = _rejected_for(response)
        except httpx.TransportError as error:
            raise await _not_connected(question.url.host, error, endpoint) from _bare(error)
        except TimeoutError as error:
            seconds = _TIMEOUTS_AN_ANSWER * self.settings.timeout
            raise ConnectionFailed(f"No complete answer from {question.url.host} within {seconds:.0f} seconds.", endpoint=endpoint) from _bare(error)
        except httpx.DecodingError as error:
            raise BadAnswer(f"Klaviyo's answer could not be decompressed ({error}).", endpoint=endpoint) from _bare(error)
        except AnswerTooLarge:
            raise AnswerTooLarge(self._most_bytes(question), endpoint=endpoint) from None
        finally:
            self.traffic.requests += 1
            gate.leave(headers, request, rejected_for)
        self._take_note(response)
        value = _decoded(response, question.scope, decode)
        share.complete()
        seconds = time.monotonic() - sent
        gate.took(seconds - share.seconds_waited)
        return ApiResponse(value, self.now() - timedelta(seconds=seconds))

    def _no_answer_yet(self, share: Share, seconds: float) -> Obstacle:
        """Return what a request waits for whose answer is not complete."""
        if share.is_waiting:
            return Obstacle(logging.INFO, "the answer is received once earlier ones are stored, so that memory suffices. What to do: nothing.")
        return Obstacle(
            logging.WARNING,
            f"no complete answer for {duration(seconds)}; a request is given up after {duration(self.settings.timeout)} without a byte, then tried "
            "again. What to do: nothing yet; if it happens often, check the network and https://status.klaviyo.com.",
        )

    def _most_bytes(self, question: _ApiRequest) -> int:
        return min(self.settings.max_response_bytes, question.most_bytes or self.settings.max_response_bytes)

    async def _receive(self, question: _ApiRequest, share: Share) -> httpx.Response:
        """Send a request and return its whole answer, its bytes counted in ``share``."""
        async with self._lanes.one() as lane, asyncio.timeout(_TIMEOUTS_AN_ANSWER * self.settings.timeout):
            headers = {"Content-Type": "application/vnd.api+json"} if question.body is not None else None
            request = lane.build_request(question.method, question.url, content=question.body, headers=headers)
            received = await lane.send(request, stream=True)
            # Of an answer that is none, its beginning says enough.
            cut, limit = (False, self._most_bytes(question)) if received.is_success else (True, _LONGEST_ERROR)
            try:
                body = await received_body(received, limit, share, cut=cut)
                await share.take(size := min(limit, decompressed_size(received, body)))
            finally:
                await received.aclose()
        # The request that was sent carries the key.
        response = whole(received, body, httpx.Request(question.method, question.url), limit, cut=cut)
        if size:
            share.give_back(len(body))
        return response

    def _take_note(self, response: httpx.Response) -> None:
        self.traffic.bytes += len(response.content)
        self.traffic.throttled += response.status_code == 429
        self._clock.note(server_time(response))


def _rejected_for(response: httpx.Response) -> float | None:
    """Return the seconds that a 429 asks to wait, None for other responses. One that comes as HTML, from the edge, says nothing about the account."""
    if response.status_code != 429:
        return None
    return 0.0 if "html" in response.headers.get("content-type", "") else retry_after(response) or 0.0


def _decoded(response: httpx.Response, scope: str, decode: Callable[[bytes], T]) -> T:
    """Return what a response holds.

    Raises:
        KlaviyoError: The error that it stands for, or :class:`BadApiResponse` if it is not a complete document.
    """
    if not response.is_success:
        raise error_from(response, scope)
    facts: dict[str, Any] = {"endpoint": endpoint_of(response), "status": response.status_code}
    if response.status_code not in _COMPLETE:
        raise BadAnswer("Klaviyo's answer is not a complete document.", detail=response.reason_phrase, **facts)
    if (reported := errors_in(response)) is not None:
        raise reported
    try:
        return decode(response.content)
    # msgspec's errors are no ValueError before its version 0.21.
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        # The parser's own words may quote the body, so they stay out of the message.
        raise BadAnswer(f"Klaviyo's answer is not the JSON that was expected{_kind_of(response)}.", detail=_words_of(response), **facts) from error


def _kind_of(response: httpx.Response) -> str:
    """Say what came in place of JSON, where that is plain to see; the place of the trouble in a page is added elsewhere."""
    body = response.content.lstrip()
    if not body:
        return ": it is empty"
    return ": it is an HTML page" if body.startswith(b"<") else ""


def _words_of(response: httpx.Response) -> str | None:
    """Return the title of an HTML page, else the content type."""
    title = read_error(response).detail if response.content.lstrip().startswith(b"<") else None
    return title or response.headers.get("content-type")


def _usable(settings: ClientSettings) -> httpx.URL:
    try:
        return httpx.URL(checked_base_url(settings.base_url, allow_http=settings.allow_http))
    except InvalidBaseUrl as error:
        advice = "Use https, or set KLAVIYO_ALLOW_HTTP=true." if isinstance(error, PlainHttp) else f"Write it as {DEFAULT_BASE_URL}, or leave it out."
        raise InvalidNetworkSetting(f"KLAVIYO_BASE_URL {error}: {without_user(settings.base_url)!r}.", advice=advice) from None


def _backoff(state: tenacity.RetryCallState) -> float:
    """Exponential backoff with full jitter, in seconds."""
    return random.uniform(0.1, min(_LONGEST_BACKOFF, _BACKOFF_BASE * 2**state.attempt_number))  # noqa: S311


async def _not_connected(host: str, error: httpx.TransportError, endpoint: str) -> ConnectionFailed:
    address = await address_of_a_blocked_name(host) if isinstance(error, httpx.ConnectError) else None
    if address is None:
        return ConnectionFailed(f"No complete answer from {host} ({_reason(error)}).", endpoint=endpoint)
    return ConnectionFailed(
        f"This machine resolves {host} to {address}, where it is not.",
        endpoint=endpoint,
        advice=f"A list of trackers (Pi-hole, AdGuard, NextDNS or the like) seems to block {host}: allow it there, or use another DNS server.",
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
