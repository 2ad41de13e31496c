"""Commands that start a server: they run until it answers, and are stopped then."""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

_PATIENCE = 500.0
"""Seconds that a server may take until it answers; only a test that fails takes as long."""

_ASSETS = "{ assetNodes { assetKey { path } } repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } } } } }"


def serves(says: str) -> Callable[[str, Path, Mapping[str, str]], None]:
    """Return a function that starts a server, waits until it says that it listens, and stops it.

    Args:
        says: What it prints then.
    """

    def run(command: str, folder: Path, environment: Mapping[str, str]) -> None:
        with _started(command, folder, environment) as (server, output):
            _wait(lambda: says in output.read_text(), server)
            assert says in output.read_text()

    return run


def serves_assets(*keys: str, job: str) -> Callable[[str, Path, Mapping[str, str]], None]:
    """Return a function that starts Dagster's UI on a free port, asks it for what it has loaded until it answers, and stops it.

    Args:
        keys: Keys of some of the assets.
        job: Name of one of the jobs.
    """

    def run(command: str, folder: Path, environment: Mapping[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with _started(f"{command} --host 127.0.0.1 --port {port}", folder, environment) as (server, output):
            _wait(lambda: _loaded(port) != (set(), set()), server)
            found, jobs = _loaded(port)
            assert set(keys) <= found, output.read_text()
            assert job in jobs

    return run


@contextmanager
def _started(command: str, folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Start a server with a process group of its own; yields it and its output, and ends the group."""
    output = folder / "output"
    with output.open("w") as file:
        server = subprocess.Popen(shlex.split(command), cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield server, output
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended already, with an error
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(condition: Callable[[], bool], server: subprocess.Popen[bytes]) -> None:
    """Wait until a condition holds, or the server has ended."""
    end = time.monotonic() + _PATIENCE
    while not condition() and server.poll() is None and time.monotonic() < end:
        time.sleep(0.2)


def _loaded(port: int) -> tuple[set[str], set[str]]:
    """Return the keys of the assets, and the names of the jobs, that Dagster's UI shows; none while it starts."""
    try:
        data = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": _ASSETS}, timeout=_PATIENCE).json()["data"]
    except httpx.TransportError:
        return set(), set()
    jobs = {job["name"] for node in data["repositoriesOrError"]["nodes"] for job in node["jobs"]}
    return {"/".join(node["assetKey"]["path"]) for node in data["assetNodes"]}, jobs
