"""One connection for each request that is under way."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx


class PooledTransport:
    """Hands out HTTP clients of one connection each, the one that was used last first.

    A pool of httpx looks at every idle connection whenever a request begins or ends: with 24 connections that takes as long as all the rest of a
    request. A lane has but one to look at.

    Args:
        build: Makes a client; called when more are needed than there are.
    """

    def __init__(self, build: Callable[[], httpx.AsyncClient]) -> None:
        self._build = build
        self._all: list[httpx.AsyncClient] = []
        self._free: list[httpx.AsyncClient] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[httpx.AsyncClient]:
        """Borrow a client for one request and its answer."""
        if not self._free:
            self._all.append(self._build())
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
