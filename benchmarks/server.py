"""A server for big accounts, fast enough not to be the bottleneck: ``python -m benchmarks.server --events 1000000``.

It implements the part of Klaviyo's API that syncs of events and profiles use, with the sandbox's rate limits, and compresses responses as Klaviyo
does. It prints its address and exits when its standard input is closed.
"""

import argparse
import asyncio
import gzip
import json
import os
import re
import socket
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, urlencode

import uvicorn

from benchmarks.account import DENSITIES, Collection, build, microseconds
from benchmarks.packed import PackedRecords, gzipped
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox.errors import JSONAPI, ApiError
from klaviyo_assets.sandbox.limits import Limits, RateLimitHeaders

_BOUND = re.compile(r"(greater-or-equal|greater-than|less-or-equal|less-than)\(\w+,([^)]+)\)")
_CONSENT_FILTER = "subscriptions."
"""Prefix of the fields in filters by withdrawn consent, which match no profile here."""

_PACKED = ("events",)
"""Precompressed types: those with many big pages."""


class Server:
    """The ASGI application.

    Args:
        collections: The records, by type.
        latency: Minimum duration of each response in seconds.
        limits: Klaviyo's rate limits, or None.
        packed: Precompressed types.

    ``GET /latency/0.3`` changes the latency while it runs and resets the counts of ``/stats``.
    """

    def __init__(self, collections: dict[str, Collection], latency: float, limits: Limits | None, packed: Sequence[str] = _PACKED) -> None:
        self._collections = {f"/api/{name}": collection for name, collection in collections.items()}
        self._latency = latency
        self._limits = limits
        self._statuses: dict[str, Counter[int]] = {}
        self._records: Counter[str] = Counter()
        self._packed = {
            f"/api/{name}": PackedRecords(lambda first, end, of=collection: b"".join(of.json(first, end)), len(collection))  # type: ignore[misc]
            for name, collection in collections.items()
            if name in packed
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Respond to a request."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        headers: dict[str, str] = {}
        if path == "/stats":
            status, body = 200, gzip.compress(self._stats())
        elif path.startswith("/latency/"):
            self._latency, self._statuses, self._records = float(path.removeprefix("/latency/")), {}, Counter()
            status, body = 200, gzip.compress(b"{}")
        else:
            if self._latency:
                await asyncio.sleep(self._latency)
            status, body, headers = self._respond(scope)
            self._statuses.setdefault(path, Counter())[status] += 1
        headers = {
            **headers,
            "Content-Encoding": "gzip",
            "Content-Type": JSONAPI,
            "Content-Length": str(len(body)),
            "Date": formatdate(usegmt=True),
        }
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    def _respond(self, scope: Any) -> tuple[int, bytes, dict[str, str]]:
        path = scope["path"]
        try:
            if path not in self._collections:
                raise ApiError(403, "permission_denied", "Permission denied.", "You do not have permission to perform this action.")
            headers = self._limits.enter(path, CATALOG[path.removeprefix("/api/")].endpoint.limit) if self._limits else {}
            return 200, self._page(scope, self._collections[path]), dict(headers)
        except ApiError as error:
            return error.status, gzip.compress(error.body()), dict(error.headers)

    def _page(self, scope: Any, collection: Collection) -> bytes:
        query = dict(parse_qsl(scope["query_string"].decode()))
        first, end = 0, len(collection)
        for operator, text in _BOUND.findall(query.get("filter", "")):
            index = collection.first_from(microseconds(text) + (operator in ("greater-than", "less-or-equal")))
            first, end = (max(first, index), end) if operator.startswith("greater") else (first, min(end, index))
        if _CONSENT_FILTER in query.get("filter", ""):
            end = first
        first = max(first, int(query.get("page[cursor]", 0)))
        size = int(query.get("page[size]", 20))
        last = min(end, first + size)
        self._records[scope["path"]] += max(0, last - first)
        next_url = None
        if last < end:
            host = dict(scope["headers"])[b"host"].decode()
            next_url = f"http://{host}{scope['path']}?{urlencode({**query, 'page[cursor]': last})}"
        head = b'{"links":%s,"data":[' % json.dumps({"self": "", "next": next_url}).encode()
        if (packed := self._packed.get(scope["path"])) is not None and first < last:
            return packed.page(head, first, last)
        return gzipped(b"".join([head, *collection.json(first, last), b"]}"]))

    def _stats(self) -> bytes:
        cpu = os.times()
        return json.dumps({"statuses": self._statuses, "records": self._records, "cpu_seconds": cpu.user + cpu.system}).encode()


def _exit_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """Serve until standard input is closed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--profiles", type=int, default=0)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--density", choices=DENSITIES, default="uniform")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    parser.add_argument("--no-limits", action="store_true")
    parser.add_argument("--rate-limit-headers", choices=[form.value for form in RateLimitHeaders], default=RateLimitHeaders.RECORDED.value)
    options = parser.parse_args()
    collections = build({"events": options.events, "profiles": options.profiles}, options.density, options.days)
    limits = None if options.no_limits else Limits(headers=RateLimitHeaders(options.rate_limit_headers))
    serve(Server(collections, options.latency, limits))


def serve(app: Server) -> None:
    """Print the address and serve until standard input is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        threading.Thread(target=_exit_with_the_parent, daemon=True).start()
        config = uvicorn.Config(app, log_level="error", access_log=False, date_header=False, server_header=False)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
