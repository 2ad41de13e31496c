"""A sandbox, a client and a database in this process, so that thousands of scenarios take minutes.

The client, the sandbox's application and every step of the sync are real. These parts are replaced: the network by direct calls of the application,
the clock by a manual one, the rate limiter by an unlimited one, threads by plain calls, and the DuckDB file by an in-memory database.
"""

import asyncio
import json
import logging
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ParamSpec, Protocol, TypeVar
from unittest import mock

import duckdb
import httpx

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.clock import ServerClock
from klaviyo_assets.api.klaviyo_errors import ConnectionFailed
from klaviyo_assets.api.rate_limit.usage import SentRequest
from klaviyo_assets.audit.audit import request_rereads
from klaviyo_assets.audit.audit_store import AuditStore
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.endpoint import PageSize, RateLimit
from klaviyo_assets.catalog.replication import ReportWindows
from klaviyo_assets.catalog.report_columns import groupings_of, statistics_of
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.metric_selection import MetricRules
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox import instants
from klaviyo_assets.sandbox.app import build_app
from klaviyo_assets.sandbox.clock import Clock
from klaviyo_assets.sandbox.keys import Keys
from klaviyo_assets.sandbox.reports import report as report_document
from klaviyo_assets.sandbox.scripted import apply_change
from klaviyo_assets.sandbox.state import begin
from klaviyo_assets.sandbox.truth import true_records
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.sync.sync_runner import SyncRunner as LibrarySync
from klaviyo_assets.warehouse.interface import Capabilities, Warehouse
from klaviyo_assets_tests.scenarios.account_options import BASE, options_of
from klaviyo_assets_tests.scenarios.auditing import MetricDay, audit
from klaviyo_assets_tests.scenarios.report_rows import rows_of
from klaviyo_assets_tests.scenarios.scenario import Scenario, Sync
from klaviyo_assets_tests.scenarios.with_host import sync_with_host

SCHEMA = "klaviyo"
_ACCOUNT = "AbCdEf"

P = ParamSpec("P")
T = TypeVar("T")


class Killed(BaseException):
    """Simulates the death of the process: the library must not catch it."""


AfterResponse = Callable[[httpx.URL, bytes], None]
"""Receives the requested URL and the response body."""


class World(Protocol):
    """The environment of a scenario."""

    def now(self) -> datetime:
        """Return the sandbox's time."""

    def advance(self, by: timedelta) -> None:
        """Advance the sandbox's clock."""

    def change(self, kind: str, **details: Any) -> list[str]:
        """Change the account; see :func:`klaviyo_assets.sandbox.scripted.apply_change`."""

    def records(self, name: str) -> dict[str, bytes]:
        """Return every record of a type as the API shows it now, by id."""

    def reported(self, name: str, first: date, last: date) -> dict[tuple[str, ...], tuple[float, ...]]:
        """Return the rows that a report has now; see :func:`klaviyo_assets_tests.scenarios.reports.rows_of`."""

    def sync(self, name: str, step: Sync, before_request: Callable[[int], None], after_response: "AfterResponse") -> bool:
        """Sync and return whether it succeeded; a sync with an interruption may not."""

    def audit(self) -> set[MetricDay]:
        """Compare the events with Klaviyo's counts and return the days that differ."""

    def query(self, table: str, columns: str, rest: str = "") -> list[tuple[Any, ...]]:
        """Return rows of a table; none if it does not exist yet."""


def entry_for(name: str, page_size: int) -> ResourceType:
    """Return a resource type with smaller pages."""
    entry = CATALOG[name]
    if entry.host is not None:
        return replace(entry, host=replace(entry.host, entry=entry_for(entry.host.entry.name, page_size)))
    bounds = entry.endpoint.page_size
    if bounds is None:
        return entry
    return replace(entry, endpoint=replace(entry.endpoint, page_size=PageSize(default=bounds.default, maximum=min(page_size, bounds.maximum))))


def sync_options(step: Sync, now: datetime, metrics: Collection[str]) -> SyncOptions:
    """Return the sync options of a step, given the ids of the account's metrics."""
    window = TimeWindow(now - timedelta(seconds=step.since), now - timedelta(seconds=step.until)) if step.mode == "range" else None
    chosen = step.metrics.ids(metrics) if step.metrics is not None else ()
    rules = MetricRules(exclude=chosen) if step.metrics is not None and step.metrics.excluded else MetricRules(include=chosen)
    return SyncOptions(mode=SyncMode(step.mode), window=window, metrics=rules)


class ManualClock(Clock):
    """A clock that moves only when a test advances it."""

    def __init__(self, start: int) -> None:
        super().__init__(start)
        self._now = start

    def now(self) -> int:
        """Return the current time."""
        return self._now

    def advance(self, micros: int) -> None:
        """Advance the clock."""
        self._now += micros


class _UnlimitedLimiter:
    """An endpoint's limiter that never waits."""

    name = "any"
    seconds_waited = 0.0

    def __init__(self, workers: int) -> None:
        self.target_in_flight = workers

    async def acquire(self) -> None: ...

    def release(self, headers: Mapping[str, str], request: SentRequest | None = None, rejected_for: float | None = None) -> None: ...

    def observe_latency(self, seconds: float) -> None: ...

    def close_for(self, seconds: float) -> None: ...

    def wait_reason(self) -> None: ...

    def dispose(self) -> None: ...


class _Client(KlaviyoClient):
    """The client with a replaced network and no rate limits."""

    def __init__(self, transport: httpx.AsyncBaseTransport, workers: int, clock: ManualClock, key: str) -> None:
        settings = ClientSettings(base_url="http://sandbox", allow_http=True, concurrency=workers, max_retries=0)
        super().__init__(parse_api_key(key), settings, transport=transport)
        self._clock = ServerClock(machine=lambda: instants.from_micros(clock.now()), ticks=lambda: clock.now() / instants.SECOND)

    def _limiter_of(self, name: str, limit: RateLimit) -> Any:
        return _UnlimitedLimiter(self.settings.concurrency)


@dataclass
class _Network(httpx.AsyncBaseTransport):
    """Calls the application; fails after a number of responses, if there is one."""

    app: httpx.ASGITransport
    before_request: Callable[[int], None]
    after_response: AfterResponse
    max_responses: int | None
    requests: int = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.max_responses is not None and self.requests > self.max_responses:
            raise httpx.ConnectError("connection refused")
        self.before_request(self.requests)
        response = await self.app.handle_async_request(request)
        sent = b"".join([piece async for piece in response.aiter_raw()])
        status, headers = response.status_code, response.headers
        self.after_response(request.url, httpx.Response(status, headers=headers, content=sent).content)
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(sent))


class InMemoryWarehouse(Warehouse):
    """An in-memory database that is opened and closed like a file."""

    capabilities = Capabilities(exclusive_writer=True, rowid=True, alter_type_using=True)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._database = duckdb.connect(":memory:", config={"threads": 1})
        self.database = "memory"
        self.connections_left: int | None = None

    @property
    def state_dir(self) -> Path:
        """Return the folder for locks and staged files."""
        return self._folder

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open it, unless the process is dead."""
        if self.connections_left is not None:
            self.connections_left -= 1
            if self.connections_left < 0:
                raise Killed
        with self._database.cursor() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection

    def close(self) -> None:
        """Close the database."""
        self._database.close()


async def _run_inline(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    return work(*arguments, **named)


class InProcess:
    """A world in this process; use it as a context manager.

    Args:
        scenario: Defines the account and the switches.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._state = begin(options_of(scenario))
        self._key = Keys(scenario.seed).all_scopes
        self._clock = ManualClock(instants.to_micros(BASE))
        self._state.clock = self._state.account.clock = self._clock
        self._app = httpx.ASGITransport(build_app(self._state), raise_app_exceptions=True)
        self._stack = ExitStack()

    def __enter__(self) -> "InProcess":
        """Create the database and replace the clocks."""
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="klaviyo-scenario-", dir=memory))
        self._warehouse = InMemoryWarehouse(Path(folder))
        self._stack.callback(self._warehouse.close)
        patched = {
            "klaviyo_assets.api.client.time": SimpleNamespace(monotonic=lambda: self._clock.now() / instants.SECOND),
            "klaviyo_assets._internal.machine_folder.tempfile": SimpleNamespace(gettempdir=lambda: folder),
            "klaviyo_assets.audit.audit.in_thread": _run_inline,
            "klaviyo_assets.sync.sync_runner.in_thread": _run_inline,
            "klaviyo_assets.sync.pipeline.in_thread": _run_inline,
            "klaviyo_assets.sync.planning.in_thread": _run_inline,
            "klaviyo_assets.sync.missing_resources.in_thread": _run_inline,
            "klaviyo_assets.sync.completion.in_thread": _run_inline,
            "klaviyo_assets.sync.children.in_thread": _run_inline,
            "klaviyo_assets.staging.background_writer.in_thread": _run_inline,
        }
        for target, value in patched.items():
            self._stack.enter_context(mock.patch(target, value))
        return self

    def __exit__(self, *exception: object) -> None:
        """Clean up."""
        self._stack.close()

    def now(self) -> datetime:
        """Return the sandbox's time."""
        return instants.from_micros(self._clock.now())

    def advance(self, by: timedelta) -> None:
        """Advance the sandbox's clock."""
        self._clock.advance(by // timedelta(microseconds=1))
        self._state.account.settle()

    def change(self, kind: str, **details: Any) -> list[str]:
        """Change the account."""
        plain = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in details.items()}
        return apply_change(self._state.account, {"kind": kind, **plain}, self._state.account.settle())

    def records(self, name: str) -> dict[str, bytes]:
        """Return every record of a type as the API shows it now."""
        return dict(true_records(self._state, name, CATALOG[name].requested_fields))

    def reported(self, name: str, first: date, last: date) -> dict[tuple[str, ...], tuple[float, ...]]:
        """Return the rows that a report has now."""
        entry, store = CATALOG[name], self._state.account.store
        report = entry.replication.report
        assert report is not None
        first = max(first, report.not_before or first)
        attributes: dict[str, Any] = {
            "statistics": statistics_of(entry),
            "timeframe": {"start": f"{first}T00:00:00Z", "end": f"{last}T23:59:59Z"},
            **({"group_by": groupings_of(entry)} if report.has_group_by else {}),
            **({"conversion_metric_id": self._metric} if report.by_conversion_metric else {}),
            **({"interval": "daily"} if report.windows is ReportWindows.DAYS else {}),
        }
        body = json.dumps({"data": {"type": entry.jsonapi_type, "attributes": attributes}}).encode()
        document = json.loads(report_document(store, entry, body, "http://sandbox", {}, self._state.account.settle(), made_up=True))
        return rows_of(name, document["data"]["attributes"], first)

    @property
    def _metric(self) -> str:
        return next(record.id for record in self._state.account.store["metrics"])

    def sync(self, name: str, step: Sync, before_request: Callable[[int], None], after_response: AfterResponse) -> bool:
        """Sync."""
        interruption = step.interruption
        refuse = interruption.after if interruption and interruption.kind == "refuse" else None
        self._warehouse.connections_left = interruption.after if interruption and interruption.kind == "kill" else None
        network = _Network(self._app, before_request, after_response, refuse)
        sizes = {
            "klaviyo_assets.staging.staging.ROWS_PER_FILE": step.rows_per_file,
            "klaviyo_assets.staging.background_writer.ROWS_PER_LOAD": step.rows_per_load,
            "klaviyo_assets.extract.strategies.verification.FEW": step.few,
        }
        with ExitStack() as stack:
            for target, value in sizes.items():
                stack.enter_context(mock.patch(target, value))
            try:
                metrics = [record.id for record in self._state.account.store["metrics"]]
                options = replace(
                    sync_options(step, self.now(), metrics), conversion_metrics=(self._metric,) if CATALOG[name].access_shown_by else ()
                )
                asyncio.run(self._sync(entry_for(name, step.page_size), options, network, step))
            except (ConnectionFailed, Killed):
                if interruption is None:
                    raise
                return False
            finally:
                self._warehouse.connections_left = None
        return True

    async def _sync(self, entry: ResourceType, request: SyncOptions, network: _Network, step: Sync) -> None:
        log = logging.getLogger("klaviyo_assets_tests.scenarios")
        async with _Client(network, step.workers, self._clock, self._key) as client:
            if request.mode is SyncMode.repair:
                await request_rereads(client, AuditStore(self._warehouse, SCHEMA))

            async def run(one: ResourceType, **feeds: Any) -> None:
                await LibrarySync(one, request, client, self._warehouse, SCHEMA, None, log, account_id=_ACCOUNT, **feeds).run()

            await (sync_with_host(entry, run) if step.with_host else run(entry))

    def audit(self) -> set[MetricDay]:
        """Compare the events with Klaviyo's counts and return the days that differ."""
        return asyncio.run(self._audit())

    async def _audit(self) -> set[MetricDay]:
        network = _Network(self._app, lambda number: None, lambda url, body: None, None)
        async with _Client(network, 1, self._clock, self._key) as client:
            return await audit(client, self._warehouse, SCHEMA)

    def query(self, table: str, columns: str, rest: str = "") -> list[tuple[Any, ...]]:
        """Return rows of a table."""
        with self._warehouse.connection() as connection:
            return query(connection, table, columns, rest)


def query(connection: duckdb.DuckDBPyConnection, table: str, columns: str, rest: str) -> list[tuple[Any, ...]]:
    """Return rows of a table; none if it does not exist yet."""
    found = connection.execute("SELECT database_name FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?", [SCHEMA, table]).fetchall()
    return connection.execute(f'SELECT {columns} FROM "{found[0][0]}"."{SCHEMA}"."{table}" {rest}').fetchall() if found else []
