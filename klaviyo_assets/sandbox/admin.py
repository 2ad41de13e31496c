"""The sandbox's own endpoints: records, clock, changes, faults and statistics. They need no key and have no rate limits."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from klaviyo_assets.sandbox import instants
from klaviyo_assets.sandbox.faults import Fault
from klaviyo_assets.sandbox.scripted import apply_change
from klaviyo_assets.sandbox.shop_truth import shop_truth
from klaviyo_assets.sandbox.state import State
from klaviyo_assets.sandbox.truth import true_records

_Handler = Callable[[Request], Awaitable[Response]]


def admin_routes(state: State) -> list[Route]:
    """Return the routes under ``/sandbox/``."""
    admin = _Admin(state)
    return [
        Route("/sandbox/truth/{name}", _checked(admin.truth)),
        Route("/sandbox/shop", _checked(admin.shop)),
        Route("/sandbox/counts", _checked(admin.counts)),
        Route("/sandbox/clock", _checked(admin.clock), methods=["GET"]),
        Route("/sandbox/clock", _checked(admin.move_clock), methods=["POST"]),
        Route("/sandbox/changes", _checked(admin.changes), methods=["POST"]),
        Route("/sandbox/faults", _checked(admin.faults), methods=["GET"]),
        Route("/sandbox/faults", _checked(admin.add_faults), methods=["POST"]),
        Route("/sandbox/stats", _checked(admin.stats)),
        Route("/sandbox/stats/reset", _checked(admin.reset_stats), methods=["POST"]),
    ]


class _Admin:
    def __init__(self, state: State) -> None:
        self._state = state

    async def truth(self, request: Request) -> Response:
        """Return every record of a type as it is now, one resource object per line; see :func:`~klaviyo_assets.sandbox.truth.true_records`."""
        name = request.path_params["name"]
        if name not in self._state.catalog:
            raise LookupError(f"no such type: {name}")
        given = request.query_params.get("additional-fields")
        self._state.account.settle()
        found = true_records(self._state, name, None if given is None else tuple(given.split(",")))
        return Response(b"".join(raw + b"\n" for _, raw in found), media_type="application/x-ndjson")

    async def shop(self, request: Request) -> Response:
        """Return the figures of the shop; see :func:`~klaviyo_assets.sandbox.shop_truth.shop_truth`."""
        return JSONResponse(shop_truth(self._state))

    async def counts(self, request: Request) -> Response:
        self._state.account.settle()
        store = self._state.account.store
        return JSONResponse(store.counts() | {"coming": store.scheduled})

    async def clock(self, request: Request) -> Response:
        return JSONResponse(self._now())

    async def move_clock(self, request: Request) -> Response:
        command = await _object(request)
        if set(command) not in ({"advance"}, {"set"}):
            raise ValueError("give advance (seconds) or set (an instant)")
        if "advance" in command:
            self._state.clock.advance(round(float(command["advance"]) * instants.SECOND))
        else:
            self._state.clock.set(instants.parse(command["set"]))
        self._state.account.settle()
        return JSONResponse(self._now())

    async def changes(self, request: Request) -> Response:
        change = await _object(request)
        now = self._state.account.settle()
        ids = apply_change(self._state.account, change, now)
        return JSONResponse({"ids": ids, "now": instants.render(now)})

    async def faults(self, request: Request) -> Response:
        return JSONResponse([msgspec.to_builtins(fault) for fault in self._state.faults.pending])

    async def add_faults(self, request: Request) -> Response:
        """Add faults: one object or a list of them; an empty list removes all faults."""
        given = msgspec.json.decode(await request.body())
        faults = [Fault.from_mapping(one) for one in (given if isinstance(given, list) else [given])]
        if not faults:
            self._state.faults.clear()
        for fault in faults:
            self._state.faults.add(fault)
        return await self.faults(request)

    async def stats(self, request: Request) -> Response:
        applied = {str(kind): count for kind, count in sorted(self._state.faults.applied.items())}
        return JSONResponse(self._state.stats.as_json() | {"faults": applied})

    async def reset_stats(self, request: Request) -> Response:
        self._state.stats.reset()
        self._state.faults.applied.clear()
        return JSONResponse({})

    def _now(self) -> dict[str, Any]:
        return {"now": instants.render(self._state.clock.now())}


async def _object(request: Request) -> dict[str, Any]:
    return msgspec.json.decode(await request.body(), type=dict[str, Any])


def _checked(handler: _Handler) -> _Handler:
    """Respond to an invalid request with the reason."""

    async def checked(request: Request) -> Response:
        try:
            return await handler(request)
        except LookupError as error:
            return JSONResponse({"error": str(error.args[0]) if error.args else "not found"}, 404)
        except (ValueError, TypeError, msgspec.MsgspecError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return checked
