"""A server for big accounts, lean enough not to be what is measured: ``python -m benchmarks.server --events 1000000``.

It speaks the part of Klaviyo's API that syncs of events and profiles use, with the sandbox's rate limits, and compresses responses as Klaviyo does.
It prints its address, and ends when its standard input is closed.
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
_NOBODY = "subscriptions."
"""What filters by the consent that profiles have taken back begin with; no one here has."""

_PACKED = ("events",)
"""Types that are compressed beforehand: those whose pages are big and many."""


class Server:
    """The ASGI application.

    Args:
        collections: What it serves.
        latency: Seconds that each response takes at least.
        limits: Klaviyo's rate limits, or None.
        packed: Types that are compressed beforehand.

    The latency can be changed while it runs: ``PUT /latency/0.3``.
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
            status, body, headers = self._answer(scope)
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

    def _answer(self, scope: Any) -> tuple[int, bytes, dict[str, str]]:
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
            place = collection.first_from(microseconds(text) + (operator in ("greater-than", "less-or-equal")))
            first, end = (max(first, place), end) if operator.startswith("greater") else (first, min(end, place))
        if _NOBODY in query.get("filter", ""):
            end = first
        first = max(first, int(query.get("page[cursor]", 0)))
        size = int(query.get("page[size]", 20))
        last = min(end, first + size)
        self._records[scope["path"]] += max(0, last - first)
        following = None
        if last < end:
            host = dict(scope["headers"])[b"host"].decode()
            following = f"http://{host}{scope['path']}?{urlencode({**query, 'page[cursor]': last})}"
        head = b'{"links":%s,"data":[' % json.dumps({"self": "", "next": following}).encode()
        if (packed := self._packed.get(scope["path"])) is not None and first < last:
            return packed.page(head, first, last)
        return gzipped(b"".join([head, *collection.json(first, last), b"]}"]))

    def _stats(self) -> bytes:
        used = os.times()
        return json.dumps({"statuses": self._statuses, "records": self._records, "cpu_seconds": used.user + used.system}).encode()


def _end_with_the_parent() -> None:
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
        threading.Thread(target=_end_with_the_parent, daemon=True).start()
        config = uvicorn.Config(app, log_level="error", access_log=False, date_header=False, server_header=False)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
