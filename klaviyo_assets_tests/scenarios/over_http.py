"""A world with nothing replaced: a sandbox in its own process, real requests, threads and a DuckDB file."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import ConnectionFailed
from klaviyo_assets.audit.audit import request_rereads
from klaviyo_assets.audit.audit_store import AuditStore
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sync.sync_runner import SyncRunner as LibrarySync
from klaviyo_assets.warehouse.local_file import LocalFile
from klaviyo_assets.warehouse.tuning import CONNECTION_CONFIG
from klaviyo_assets_tests.forked_sandbox import ForkedSandbox
from klaviyo_assets_tests.scenarios.account_options import options_of
from klaviyo_assets_tests.scenarios.auditing import MetricDay, audit
from klaviyo_assets_tests.scenarios.rows import key_of
from klaviyo_assets_tests.scenarios.scenario import Scenario, Sync, Wait
from klaviyo_assets_tests.scenarios.world import SCHEMA, AfterResponse, Killed, entry_for, query, sync_options


def without_jumps(scenario: Scenario) -> Scenario:
    """Return a scenario without time jumps during a sync: the client's clock is real."""
    steps = (
        replace(step, tick=0, edges=(None, None), meanwhile=tuple(one for one in step.meanwhile if not isinstance(one[1], Wait)))
        if isinstance(step, Sync)
        else step
        for step in scenario.steps
    )
    return replace(scenario, steps=tuple(steps))


class _Network(httpx.AsyncHTTPTransport):
    """The network, with actions before requests and with failures after a number of responses."""

    def __init__(self, step: Sync, before_request: Callable[[int], None]) -> None:
        super().__init__()
        self._max_responses = step.interruption.after if step.interruption and step.interruption.kind == "refuse" else None
        self._before_request = before_request
        self._requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, unless the network is down."""
        self._requests += 1
        if self._max_responses is not None and self._requests > self._max_responses:
            raise httpx.ConnectError("connection refused")
        self._before_request(self._requests)
        return await super().handle_async_request(request)


class _File(LocalFile):
    """The database file; simulates that the process dies when it opens it."""

    connections_left: int | None = None

    @contextmanager
    def connection(self) -> Iterator[DuckDBPyConnection]:
        """Open it, unless the process is dead."""
        if self.connections_left is not None:
            self.connections_left -= 1
            if self.connections_left < 0:
                raise Killed
        with super().connection() as connection:
            yield connection


class OverHttp:
    """A world of real processes and files; use it as a context manager.

    Args:
        scenario: Defines the account and the switches.
        folder: Empty folder for the database.
    """

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self._sandbox = ForkedSandbox(options_of(scenario))
        self._file = _File(DuckDBResource(database=str(folder / "klaviyo.duckdb"), connection_config=dict(CONNECTION_CONFIG)))
        self._stack = ExitStack()

    def __enter__(self) -> "OverHttp":
        """Start the sandbox."""
        self._stack.enter_context(self._sandbox)
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop the sandbox."""
        self._stack.close()

    def now(self) -> datetime:
        """Return the sandbox's time."""
        return self._sandbox.now()

    def advance(self, by: timedelta) -> None:
        """Advance the sandbox's clock."""
        self._sandbox.advance(by)

    def change(self, kind: str, **details: Any) -> list[str]:
        """Change the account."""
        return self._sandbox.change(kind, **details)

    def records(self, name: str) -> dict[str, bytes]:
        """Return every record of a type as the API shows it now."""
        lines = self._sandbox.truth_lines(name, CATALOG[name].requested_fields)
        return {key_of(CATALOG[name], line): line for line in lines}

    def reported(self, name: str, first: date, last: date) -> dict[tuple[str, ...], tuple[float, ...]]:
        """Fail: scenarios of reports run in this process only, where the clock does not advance during a sync."""
        raise NotImplementedError

    def sync(self, name: str, step: Sync, before_request: Callable[[int], None], after_response: AfterResponse) -> bool:
        """Sync without calling ``after_response``: this world's clock keeps running, so the version in a response is unknown."""
        self._file.connections_left = step.interruption.after if step.interruption and step.interruption.kind == "kill" else None
        sizes = {
            "klaviyo_assets.staging.staging.ROWS_PER_FILE": step.rows_per_file,
            "klaviyo_assets.staging.background_writer.ROWS_PER_LOAD": step.rows_per_load,
            "klaviyo_assets.extract.strategies.verification.FEW": step.few,
        }
        with ExitStack() as stack:
            for target, value in sizes.items():
                stack.enter_context(mock.patch(target, value))
            try:
                asyncio.run(self._sync(name, step, before_request))
            except (ConnectionFailed, Killed):
                if step.interruption is None:
                    raise
                return False
            finally:
                self._file.connections_left = None
        return True

    def _client(self, step: Sync, before_request: Callable[[int], None]) -> KlaviyoClient:
        settings = ClientSettings(base_url=self._sandbox.base_url, concurrency=step.workers, max_retries=0)
        return KlaviyoClient(parse_api_key(self._sandbox.keys.all_scopes), settings, transport=_Network(step, before_request))

    async def _sync(self, name: str, step: Sync, before_request: Callable[[int], None]) -> None:
        async with self._client(step, before_request) as client:
            if step.mode == "repair":
                await request_rereads(client, AuditStore(self._file, SCHEMA))
            log = logging.getLogger("klaviyo_assets_tests.scenarios")
            options = sync_options(step, self.now(), self.records("metrics"))
            await LibrarySync(entry_for(name, step.page_size), options, client, self._file, SCHEMA, None, log, account_id="AbCdEf").run()

    def audit(self) -> set[MetricDay]:
        """Compare the events with Klaviyo's counts and return the days that differ."""
        return asyncio.run(self._audit())

    async def _audit(self) -> set[MetricDay]:
        async with self._client(Sync(), lambda number: None) as client:
            return await audit(client, self._file, SCHEMA)

    def query(self, table: str, columns: str, rest: str = "") -> list[tuple[Any, ...]]:
        """Return rows of a table."""
        with self._file.connection() as connection:
            return query(connection, table, columns, rest)
