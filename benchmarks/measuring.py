"""Runs the server and measured processes, such as a sync, and returns their measurements."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from klaviyo_assets.catalog import CATALOG

PER_SECOND = {name: CATALOG[name].endpoint.limit.steady / 60 * int(CATALOG[name].page_parameters["page[size]"]) for name in ("events", "profiles")}
"""Records per second that Klaviyo's steady limit allows with the largest pages."""


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        base_url: Its address.
    """

    base_url: str

    def stats(self) -> dict[str, Any]:
        """Return its counts of responses and its CPU seconds."""
        stats: dict[str, Any] = httpx.get(f"{self.base_url}/stats", timeout=60).json()
        return stats

    def reset(self, latency: float) -> None:
        """Set the latency (seconds) and reset the counts."""
        httpx.get(f"{self.base_url}/latency/{latency}", timeout=60).raise_for_status()

    def responses(self, name: str) -> dict[str, int]:
        """Return its number of responses for a resource type, by status."""
        return dict(self.stats()["statuses"].get(f"/api/{name}", {}))


@contextmanager
def serving(*arguments: str, module: str = "server") -> Iterator[Server]:
    """Run :mod:`benchmarks.server`, or another module that prints its address."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError("the server did not start")
        try:
            yield Server(address)
        finally:
            process.kill()


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder for a database."""
    with tempfile.TemporaryDirectory(prefix="klaviyo-benchmark-") as name:
        yield Path(name)


@dataclass(frozen=True)
class Run:
    """Measurements of a process.

    Attributes:
        rows: Rows of the table afterwards.
        seconds: Wall time of the work, without start-up.
        cpu_seconds: CPU time of the process during the work, all threads.
        peak_mb: Peak resident memory of the process in MB, interpreter and libraries included.
        requests: Requests sent.
        throttled: Requests rejected with 429.
        read: Records received.
        database_mb: Size of the database file in MB.
    """

    rows: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    requests: int = 0
    throttled: int = 0
    read: int = 0
    database_mb: float = 0.0

    @property
    def per_second(self) -> float:
        """Rows per second of wall time."""
        return self.rows / self.seconds

    @property
    def per_cpu_second(self) -> float:
        """Rows per second of CPU time."""
        return self.rows / self.cpu_seconds


def start(module: str, options: dict[str, Any], **environment: str) -> subprocess.Popen[str]:
    """Start ``python -m benchmarks.<module>`` with options as JSON."""
    command = [sys.executable, "-m", f"benchmarks.{module}", json.dumps(options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})


def json_output(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a process from :func:`start` and return the JSON object that it printed last."""
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a measured process failed with status {process.returncode}")
    printed: dict[str, Any] = json.loads(output.splitlines()[-1])
    return printed


def result(process: subprocess.Popen[str]) -> Run:
    """Wait for a process from :func:`start` and return its measurements."""
    return Run(**json_output(process))


def sync(server: Server, name: str, into: Path, **options: Any) -> Run:
    """Sync a resource type in its own process; see :mod:`benchmarks.one_sync` for the options."""
    return result(start("one_sync", {"base_url": server.base_url, "name": name, "folder": str(into), **options}))


def wait_for(condition: Callable[[], bool], seconds: float = 600) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def cpu_seconds() -> float:
    """Return the CPU seconds of this process so far, all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
