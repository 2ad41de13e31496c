"""Small sandbox accounts, warehouses and syncs for the tests."""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import polars as pl
from dagster_duckdb import DuckDBResource

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.audit.audit import request_rereads
from klaviyo_assets.audit.audit_store import AuditStore
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.endpoint import TIER_XL, PageSize
from klaviyo_assets.catalog.resource_type import ResourceType, Subset
from klaviyo_assets.decode import EXTRA, SYNCED_AT, PageDecoder
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.keys import Keys
from klaviyo_assets.sandbox.options import SandboxOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.sync.sync_report import SyncReport
from klaviyo_assets.sync.sync_runner import SyncRunner
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.tuning import CONNECTION_CONFIG
from klaviyo_assets_tests.event_columns import with_event_columns
from klaviyo_assets_tests.forked_sandbox import ForkedSandbox

COLLECTIONS = {name: entry for name, entry in CATALOG.items() if entry.replication.report is None}
"""The resource types whose records the API lists: all except reports."""

SMALL = SandboxOptions(
    seed=0, events=3_000, profiles=600, campaigns=40, flows=12, lists=12, segments=14, metrics=15, reviews=250, history_days=200, limits=False
)
"""An account that syncs in a second or two."""


def small(**changes: Any) -> SandboxProcess:
    """Return a small sandbox, not started yet."""
    return ForkedSandbox(replace(SMALL, **changes))


def started_elsewhere(base_url: str) -> SandboxProcess:
    """Return a handle for :func:`sync` to a small sandbox that another process started with the same seed."""
    return cast(SandboxProcess, SimpleNamespace(base_url=base_url, options=SMALL, keys=Keys(SMALL.seed)))


def local_file(folder: Path, name: str = "klaviyo.duckdb") -> LocalFile:
    """Return a warehouse in a folder."""
    return LocalFile(DuckDBResource(database=str(folder / name), connection_config=dict(CONNECTION_CONFIG)))


def sync(
    name: str | ResourceType,
    sandbox: SandboxProcess,
    warehouse: LocalFile,
    request: SyncOptions | None = None,
    *,
    key: str | None = None,
    schema: str = "klaviyo",
    account_id: str | None = None,
    accept_other_account: bool = False,
    catalog: Catalog = CATALOG,
    **settings: Any,
) -> SyncReport:
    """Run one sync against a sandbox."""

    async def run() -> SyncReport:
        settings_ = ClientSettings(base_url=sandbox.base_url, rate_limit_share=1.0, **{"max_retries": 2, **settings})
        async with KlaviyoClient(parse_api_key(key or sandbox.keys.all_scopes), settings_) as client:
            log = logging.getLogger("klaviyo_assets_tests")
            entry = CATALOG[name] if isinstance(name, str) else name
            if not sandbox.options.limits:
                entry = _without_limit(entry)
            if request is not None and request.mode is SyncMode.repair:
                await request_rereads(client, AuditStore(warehouse, schema, catalog))
            return await SyncRunner(
                entry,
                request or SyncOptions(),
                client,
                warehouse,
                schema,
                "a-run",
                log,
                account_id=account_id,
                accept_other_account=accept_other_account,
                catalog=catalog,
            ).run()

    return asyncio.run(run())


def with_parents(name: str) -> list[str]:
    """Return the types to sync for a resource type, parents first."""
    parent = CATALOG[name].parent
    return [name] if parent is None else [*with_parents(parent.type_name), name]


def _without_limit(entry: ResourceType) -> ResourceType:
    """Return a resource type with the highest rate limit, so that tests do not wait."""
    parent = entry.parent and replace(entry.parent, entry=_without_limit(entry.parent.entry))
    host = entry.host and replace(entry.host, entry=_without_limit(entry.host.entry))
    return replace(entry, endpoint=replace(entry.endpoint, limit=TIER_XL, lookup_limit=TIER_XL, reduced_limits=()), parent=parent, host=host)


def in_small_pages(name: str, records: int = 50) -> ResourceType:
    """Return a resource type with small pages, so that even a small account has long page chains."""
    entry = CATALOG[name]
    size = entry.endpoint.page_size
    return replace(entry, endpoint=replace(entry.endpoint, page_size=PageSize(10, min(records, size.maximum)))) if size else entry


def truth(sandbox: SandboxProcess, name: str | ResourceType) -> pl.DataFrame:
    """Return the sandbox's current records in the columns of the table."""
    entry = CATALOG[name] if isinstance(name, str) else name
    lines = sandbox.truth_lines(entry.name, entry.requested_fields)
    if entry.host is not None:  # the decoder takes computed values from the record
        return _frame(entry, {}, [line.replace(b',"meta":', b',"derived":') for line in lines]).sort(entry.primary_key)
    has_meta = entry.parent is not None or bool(entry.requested_includes) or any(subset.values for subset in entry.subsets)
    by_meta: dict[bytes, list[bytes]] = {b"{}": []}
    for line in lines:
        record, meta = _divided(line) if has_meta else (line, b"{}")
        by_meta.setdefault(meta, []).append(record)
    frame = pl.concat(_frame(entry, msgspec.json.decode(meta), records) for meta, records in by_meta.items()).sort(entry.primary_key)
    return with_event_columns(frame).select(*(column.name for column in entry.columns), EXTRA) if entry.name == "events" else frame


def without_meta(line: bytes) -> bytes:
    """Return a line of the truth as the API sends the record."""
    return _divided(line)[0]


def _divided(line: bytes) -> tuple[bytes, bytes]:
    """Return a line of the truth as the API sends the record, and ``meta``, which the sandbox appends."""
    if "meta" not in json.loads(line):  # msgspec does not accept lone surrogates
        return line, b"{}"
    record, _, meta = line.rpartition(b',"meta":')
    return record + b"}", meta[:-1]


def _frame(entry: ResourceType, meta: dict[str, Any], records: list[bytes]) -> pl.DataFrame:
    included = [one for name, contents in meta.pop("included", {}).items() for one in _resources(records[0], name, contents)]
    page = PageDecoder(entry, Subset(values=meta)).page(b'{"data":[' + b",".join(records) + b'],"included":' + msgspec.json.encode(included) + b"}")
    frame = (page if entry.parent is None else page.of_parent(meta.get(entry.parent.column, ""))).frame
    # The truth has all attributes; a sync with sparse fields does not know the others.
    return frame.with_columns(pl.lit(None, pl.String).alias(EXTRA)) if entry.only_fields else frame


def _resources(record: bytes, name: str, contents: list[Any]) -> list[dict[str, Any]]:
    """Return the included resources of a record, given the relationships of each."""
    identifiers = json.loads(record)["relationships"][name]["data"]  # msgspec does not accept lone surrogates
    return [identifier | {"relationships": one} for identifier, one in zip(identifiers, contents, strict=True)]


def table(warehouse: LocalFile, name: str, *, key: Sequence[str] = (), deleted: bool = False, schema: str = "klaviyo") -> pl.DataFrame:
    """Return a table without our own columns, sorted by its key; only the deleted rows, or only the others."""
    with warehouse.connection() as connection:
        where, rows = "IS NOT NULL" if deleted else "IS NULL", warehouse.qualified(schema, name)
        frame: pl.DataFrame = connection.sql(f"SELECT * EXCLUDE (_deleted_at, {SYNCED_AT}) FROM {rows} WHERE _deleted_at {where}").pl()
    return frame.sort(key or (CATALOG[name].primary_key if name in CATALOG else "id"))


def query(warehouse: LocalFile, sql: str) -> list[tuple[Any, ...]]:
    """Run a query; tables need no schema."""
    with warehouse.connection() as connection:
        connection.execute(f"USE {warehouse.database}.klaviyo")
        return connection.execute(sql).fetchall()
