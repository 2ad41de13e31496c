"""Two clients share one rate limit: a sync and a client that uses half of the limit; two syncs on different machines."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence

import httpx

from benchmarks.measuring import Server, folder, result, serving, start, sync
from benchmarks.table import table

_LIMIT = 3500
"""Requests a minute to events."""


def report(quick: bool) -> str:
    """Run it."""
    seconds = 60 if quick else 90
    lines = [_with_other_client(share, seconds) for share in (0.9, 1.0)]
    lines.append(_two_syncs(seconds))
    head = ["clients", "our requests", "our 429s", "their requests", "their 429s", "accepted, of the limit"]
    return table(head, lines)


def _with_other_client(share: float, seconds: float) -> Sequence[object]:
    count = int(_LIMIT / 60 * 1000 * 0.5 * seconds)
    with serving("--events", str(count), "--latency", "0.08") as server, folder() as into:
        other = _Other(server, _LIMIT / 60 / 2)
        began = time.monotonic()
        run = sync(server, "events", into, share=share)
        elapsed = time.monotonic() - began
        theirs = other.stop()
    accepted = run.requests - run.throttled + theirs[200]
    return _line(f"share {share:.0%}, other client at half", run.requests, run.throttled, sum(theirs.values()), theirs[429], accepted, elapsed)


def _two_syncs(seconds: float) -> Sequence[object]:
    count = int(_LIMIT / 60 * 1000 * 0.5 * seconds)
    with serving("--events", str(count), "--latency", "0.08") as server, folder() as one, folder() as other:
        began = time.monotonic()
        # Separate folders for temporary files simulate separate machines; on one machine the two syncs would not run at the same time.
        processes = [
            start("one_sync", {"base_url": server.base_url, "name": "events", "folder": str(into), "share": 0.9}, TMPDIR=str(into))
            for into in (one, other)
        ]
        first, second = (result(process) for process in processes)
        elapsed = time.monotonic() - began
    accepted = first.requests + second.requests - first.throttled - second.throttled
    return _line("two syncs, share 90% each", first.requests, first.throttled, second.requests, second.throttled, accepted, elapsed)


def _line(clients: str, ours: int, ours_429: int, theirs: int, theirs_429: int, accepted: int, seconds: float) -> Sequence[object]:
    return [
        clients,
        ours,
        f"{ours_429} ({ours_429 / ours:.2%})",
        theirs,
        f"{theirs_429} ({theirs_429 / theirs:.2%})",
        f"{accepted * 60 / seconds / _LIMIT:.1%}",
    ]


class _Other:
    """Another client, which sends at a fixed rate.

    Args:
        server: The server.
        rate: Requests per second.
    """

    def __init__(self, server: Server, rate: float) -> None:
        command = [sys.executable, "-m", "benchmarks.shared_limit", server.base_url, str(rate)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self) -> dict[int, int]:
        """Stop it and return its number of responses by status."""
        output, _ = self._process.communicate("\n")
        ok, throttled = output.split()
        return {200: int(ok), 429: int(throttled)}


async def _send(base_url: str, rate: float) -> None:
    statuses = {200: 0, 429: 0}
    stopped = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    async with httpx.AsyncClient(base_url=base_url) as client:

        async def one() -> None:
            statuses[(await client.get("/api/events", params={"page[size]": 1})).status_code] += 1

        began, sent, tasks = time.monotonic(), 0, set()
        while not stopped.done():
            if sent < (time.monotonic() - began) * rate:
                sent += 1
                task = asyncio.create_task(one())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            else:
                await asyncio.sleep(0.005)
        await asyncio.gather(*tasks)
    print(statuses[200], statuses[429])


if __name__ == "__main__":
    asyncio.run(_send(sys.argv[1], float(sys.argv[2])))
