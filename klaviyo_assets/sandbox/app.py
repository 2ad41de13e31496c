"""The server: Klaviyo's endpoints as the catalog describes them, and the sandbox's own under ``/sandbox/``."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from klaviyo_assets.catalog.endpoint import RateLimit
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.metric_aggregates import METRIC_AGGREGATES
from klaviyo_assets.sandbox import faulty_responses
from klaviyo_assets.sandbox.access import authenticate, check_permission, check_revision
from klaviyo_assets.sandbox.admin import admin_routes
from klaviyo_assets.sandbox.aggregates import aggregate
from klaviyo_assets.sandbox.errors import JSONAPI, THROTTLED, ApiError, HtmlError
from klaviyo_assets.sandbox.faults import Fault, FaultKind
from klaviyo_assets.sandbox.query import read_query
from klaviyo_assets.sandbox.related import scope_for
from klaviyo_assets.sandbox.reports import report
from klaviyo_assets.sandbox.responses import Oddity, collection, lookup
from klaviyo_assets.sandbox.state import State

_ODDITIES = {FaultKind.EMPTY_PAGE: Oddity.EMPTY, FaultKind.OVERLAP: Oddity.OVERLAP, FaultKind.REPEATED_CURSOR: Oddity.REPEATED}


def build_app(state: State) -> ASGIApp:
    """Return the server's application."""
    routes: list[BaseRoute] = [*admin_routes(state)]
    for entry in state.catalog.values():
        if entry.records_of is not None and entry.records_of.name in state.catalog:
            continue
        if entry.replication.report is not None:
            routes.append(Route(entry.endpoint.path, _Report(state, entry), methods=["POST"]))
            continue
        if entry.host is None:
            routes.append(Route(entry.endpoint.path, _Records(state, entry, lookup=False), methods=["GET"]))
        if entry.endpoint.lookup_limit is not None:
            routes.append(Route(entry.endpoint.path + "/{id}", _Records(state, entry, lookup=True), methods=["GET"]))
    routes.append(Route(METRIC_AGGREGATES.path, _Aggregates(state), methods=["POST"]))
    routes.append(Route("/{path:path}", _not_found))
    return _DateHeader(Starlette(routes=routes), state)


async def _not_found(request: Request) -> Response:
    error = ApiError(404, "not_found", "Not found.", "The path you requested does not exist in the sandbox.")
    return Response(error.body(), error.status, media_type=JSONAPI)


class _DateHeader:
    """Sets the ``Date`` header of every response to the sandbox's time."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_date(message: MutableMapping[str, Any]) -> None:
            off_by = scope.get("sandbox.date_off_by", 0)
            if message["type"] == "http.response.start" and off_by is not None:
                message["headers"] = [*message["headers"], (b"date", self._state.clock.http_date(off_by).encode())]
            await send(message)

        scope["sandbox.send"] = send
        await self._app(scope, receive, send_with_date)


class _Endpoint(ABC):
    """Serves one endpoint.

    Args:
        state: The running sandbox.
        name: Its name for faults, limits and statistics.
    """

    def __init__(self, state: State, name: str) -> None:
        self._state = state
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        state = self._state
        fault = state.faults.next_for(self._name, has_cursor=not {"page[cursor]", "page_cursor"}.isdisjoint(request.query_params))
        if state.options.latency:
            await asyncio.sleep(state.options.latency)
        response = await self._respond(request, fault)
        sent = await faulty_responses.send_response(response, fault, scope, receive, send)
        state.stats.record(self._name, request.url.path, request.url.query, response.status_code if sent else None, len(response.body))

    async def _respond(self, request: Request, fault: Fault | None) -> Response:
        headers: dict[str, str] = {}
        try:
            faulty_responses.raise_error(fault, request.headers)
            headers |= self._check_access(request)
            check_permission(request.headers, self._scopes(request), self._state.keys)
            return Response(await self._document(request, fault), headers=headers, media_type=JSONAPI)
        except ApiError as error:
            # Every response to a counted request has the rate limit headers; a 429 has no content type.
            return Response(error.body(), error.status, {**headers, **error.headers}, None if error.status == THROTTLED else JSONAPI)
        except HtmlError as error:
            return Response(error.body(), error.status, error.headers, "text/html")

    def _check_access(self, request: Request) -> dict[str, str]:
        """Check the key, the revision and the rate limits; return the rate limit headers."""
        state = self._state
        authenticate(request.headers, state.keys, state.options)
        check_revision(request.headers, state.clock.now())
        return dict(state.limits.enter(self._name, *self._limits(dict(request.query_params)))) if state.options.limits else {}

    @abstractmethod
    def _scopes(self, request: Request) -> frozenset[str]:
        """The scopes that the request needs."""

    @abstractmethod
    def _limits(self, parameters: dict[str, str]) -> tuple[RateLimit, ...]:
        """The limits that a request with these query parameters counts against."""

    @abstractmethod
    async def _document(self, request: Request, fault: Fault | None) -> bytes:
        """The response's body; some faults change it."""


class _Records(_Endpoint):
    """Serves a resource type.

    Args:
        state: The running sandbox.
        entry: The type.
        lookup: True for one record by its id, False for the collection.
    """

    def __init__(self, state: State, entry: ResourceType, *, lookup: bool) -> None:
        super().__init__(state, entry.endpoint.path + ("/{id}" if lookup else ""))
        self._entry = entry
        self._lookup = lookup

    def _scopes(self, request: Request) -> frozenset[str]:
        entry = self._entry
        included = request.query_params.get("include", "").split(",") if self._state.options.includes_need_scope else []
        extra = {scope_for(name, self._state.account.store) for name in included if name in entry.endpoint.includes} - {None}
        extra |= {scope for include in entry.requested_includes if include.relationship in included for scope in include.scopes}
        return frozenset({*entry.scopes, *(str(scope) for scope in extra)})

    def _limits(self, parameters: dict[str, str]) -> tuple[RateLimit, ...]:
        """The endpoint's own limit and the lower one that some parameters activate: a request counts against both."""
        endpoint = self._entry.endpoint
        own = (endpoint.lookup_limit if self._lookup else None) or endpoint.limit
        reduced = endpoint.limit_for(parameters, lookup=self._lookup)
        return (own,) if reduced == endpoint.limit else (own, reduced)

    async def _document(self, request: Request, fault: Fault | None) -> bytes:
        state, entry = self._state, self._entry
        query = read_query(state.account.store, entry, request.query_params.multi_items(), lookup=self._lookup)
        now = state.account.settle()
        id = request.path_params.get("id")
        if self._lookup:
            return lookup(state.account.store, entry, query, str(id), now, _origin(request), bare=state.options.bare_lookups)
        oddity = _ODDITIES.get(fault.kind) if fault is not None else None
        return collection(state.account.store, entry, query, state.options, now, _origin(request), oddity, id)


class _Aggregates(_Endpoint):
    """Serves Klaviyo's own counts of events."""

    def __init__(self, state: State) -> None:
        super().__init__(state, METRIC_AGGREGATES.path)

    def _scopes(self, request: Request) -> frozenset[str]:
        return frozenset({METRIC_AGGREGATES.scope})

    def _limits(self, parameters: dict[str, str]) -> tuple[RateLimit, ...]:
        return (METRIC_AGGREGATES.limit,)

    async def _document(self, request: Request, fault: Fault | None) -> bytes:
        self._state.account.settle()
        return aggregate(self._state.account.store, await request.body(), _origin(request), request.url.query)


class _Report(_Endpoint):
    """Serves a report.

    Args:
        state: The running sandbox.
        entry: Its type.
    """

    def __init__(self, state: State, entry: ResourceType) -> None:
        super().__init__(state, entry.endpoint.path)
        self._entry = entry

    def _scopes(self, request: Request) -> frozenset[str]:
        return frozenset(self._entry.scopes)

    def _limits(self, parameters: dict[str, str]) -> tuple[RateLimit, ...]:
        return (self._entry.endpoint.limit,)

    async def _document(self, request: Request, fault: Fault | None) -> bytes:
        state, url = self._state, f"{_origin(request)}{self._entry.endpoint.path}"
        body, now = await request.body(), state.account.settle()
        options = state.options
        return report(state.account.store, self._entry, body, url, request.query_params, now, options.report_page, made_up=options.made_up_reports)


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"
