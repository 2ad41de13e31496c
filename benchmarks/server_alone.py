"""The throughput of the test server alone, to show that it is not the bottleneck."""

import asyncio
import time

import httpx

from benchmarks.measuring import serving
from benchmarks.table import table

_CLIENTS = 8


def report(quick: bool) -> str:
    """Run it."""
    pages = 100 if quick else 600
    lines = []
    for name, size in (("events", 1000), ("profiles", 100)):
        with serving(f"--{name}", "200000", "--no-limits") as server:
            began, before = time.perf_counter(), server.stats()["cpu_seconds"]
            page_bytes = asyncio.run(_read(f"{server.base_url}/api/{name}", size, pages))
            seconds, cpu = time.perf_counter() - began, server.stats()["cpu_seconds"] - before
        lines.append([name, pages / seconds, 1000 * cpu / pages, page_bytes / 1000])
    return table(["type", "pages/s to a client that discards them", "CPU ms/page", "kB on the wire"], lines)


async def _read(url: str, size: int, pages: int) -> float:
    async with httpx.AsyncClient(timeout=60) as client:

        async def read(first: int) -> int:
            received = 0
            for cursor in range(first, pages, _CLIENTS):
                async with client.stream("GET", url, params={"page[size]": size, "page[cursor]": cursor * size % 190_000}) as response:
                    received += sum([len(piece) async for piece in response.aiter_raw()])
            return received

        return sum(await asyncio.gather(*(read(first) for first in range(_CLIENTS)))) / pages
