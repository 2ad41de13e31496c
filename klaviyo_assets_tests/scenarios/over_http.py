"""The same lives with nothing replaced: a sandbox in a process of its own, real requests, threads, a DuckDB file."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.errors import ConnectionFailed
from klaviyo_assets.api.options import ClientSettings
from klaviyo_assets.audit.audit import request_rereads
from klaviyo_assets.audit.store import AuditStore
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sync.runner import SyncRunner as LibrarySync
from klaviyo_assets.warehouse.local_file import LocalFile
from klaviyo_assets.warehouse.tuning import CONNECTION_CONFIG
from klaviyo_assets_tests.forked_sandbox import ForkedSandbox
from klaviyo_assets_tests.scenarios.auditing import MetricDay, audit
from klaviyo_assets_tests.scenarios.histories import Life, Sync, Wait
from klaviyo_assets_tests.scenarios.rows import key_of
from klaviyo_assets_tests.scenarios.world import SCHEMA, AfterAnswer, Killed, ask, entry_for, options_of, request_of


def without_jumps(life: Life) -> Life:
    """Return a life in which no time is skipped while a sync reads: the clock of the client is a real one."""
    steps = (
        replace(step, tick=0, edges=(None, None), meanwhile=tuple(one for one in step.meanwhile if not isinstance(one[1], Wait)))
        if isinstance(step, Sync)
        else step
        for step in life.steps
    )
    return replace(life, steps=tuple(steps))


class _Network(httpx.AsyncHTTPTransport):
    """The network; before each request something may happen, and from a request on it may get no answer."""

    def __init__(self, order: Sync, before_request: Callable[[int], None]) -> None:
        super().__init__()
        self._last = order.broken.after if order.broken and order.broken.kind == "refuse" else None
        self._before_request = before_request
        self._requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, unless the network is down by now."""
        self._requests += 1
        if self._last is not None and self._requests > self._last:
            raise httpx.ConnectError("no answer any more")
        self._before_request(self._requests)
        return await super().handle_async_request(request)


class _File(LocalFile):
    """The file; the process may die as it opens it once more."""

    openings: int | None = None

    @contextmanager
    def connection(self) -> Iterator[DuckDBPyConnection]:
        """Open it, unless the process is dead by now."""
        if self.openings is not None:
            self.openings -= 1
            if self.openings < 0:
                raise Killed
        with super().connection() as connection:
            yield connection


class OverHttp:
    """A world of real processes and files; use it as a context manager.

    Args:
        life: Gives the account and the switches.
        folder: For the database; empty.
    """

    def __init__(self, life: Life, folder: Path) -> None:
        self._sandbox = ForkedSandbox(options_of(life))
        self._file = _File(DuckDBResource(database=str(folder / "klaviyo.duckdb"), connection_config=dict(CONNECTION_CONFIG)))
        self._stack = ExitStack()

    def __enter__(self) -> "OverHttp":
        """Start the sandbox."""
        self._stack.enter_context(self._sandbox)
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop it."""
        self._stack.close()

    def now(self) -> datetime:
        """The sandbox's clock."""
        return self._sandbox.now()

    def advance(self, by: timedelta) -> None:
        """Move it."""
        self._sandbox.advance(by)

    def change(self, kind: str, **details: Any) -> list[str]:
        """Change the account."""
        return self._sandbox.change(kind, **details)

    def records(self, name: str) -> dict[str, bytes]:
        """Every record of a type as the API shows it now."""
        lines = self._sandbox.truth_lines(name, CATALOG[name].requested_fields)
        return {key_of(CATALOG[name], line): line for line in lines}

    def sync(self, name: str, order: Sync, before_request: Callable[[int], None], after_answer: AfterAnswer) -> bool:
        """Sync; the clock of this world runs on, so that nobody knows which version an answer has caught: nothing is told of answers."""
        self._file.openings = order.broken.after if order.broken and order.broken.kind == "kill" else None
        sizes = {
            "klaviyo_assets.staging.staging.ROWS_PER_FILE": order.rows_per_file,
            "klaviyo_assets.staging.writer.ROWS_PER_LOAD": order.rows_per_load,
        }
        with ExitStack() as stack:
            for target, value in sizes.items():
                stack.enter_context(mock.patch(target, value))
            try:
                asyncio.run(self._sync(name, order, before_request))
            except (ConnectionFailed, Killed):
                if order.broken is None:
                    raise
                return False
            finally:
                self._file.openings = None
        return True

    def _client(self, order: Sync, before_request: Callable[[int], None]) -> KlaviyoClient:
        settings = ClientSettings(base_url=self._sandbox.base_url, concurrency=order.workers, max_retries=0)
        return KlaviyoClient(parse_api_key(self._sandbox.keys.all_scopes), settings, transport=_Network(order, before_request))

    async def _sync(self, name: str, order: Sync, before_request: Callable[[int], None]) -> None:
        async with self._client(order, before_request) as client:
            if order.mode == "repair":
                await request_rereads(client, AuditStore(self._file, SCHEMA))
            log = logging.getLogger("klaviyo_assets_tests.scenarios")
            await LibrarySync(
                entry_for(name, order.page_size), request_of(order, self.now()), client, self._file, SCHEMA, None, log, account_id="AbCdEf"
            ).run()

    def audit(self) -> set[MetricDay]:
        """Compare the events with Klaviyo's own counts, and return the days that differ."""
        return asyncio.run(self._audit())

    async def _audit(self) -> set[MetricDay]:
        async with self._client(Sync(), lambda number: None) as client:
            return await audit(client, self._file, SCHEMA)

    def ask(self, table: str, columns: str, rest: str = "") -> list[tuple[Any, ...]]:
        """Return rows of a table."""
        with self._file.connection() as connection:
            return ask(connection, table, columns, rest)
