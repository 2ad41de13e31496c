"""Old events that an import adds, and what an audit shows of them."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import dagster as dg
import pytest

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.audit import audit
from klaviyo_assets.audit.event_counts import counts_by_day
from klaviyo_assets.catalog import Query
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query

NewAccount = Callable[..., SandboxProcess]
Run = Callable[..., Any]

REPAIR = SyncOptions(SyncMode.repair)
OLD = "datetime < now() - INTERVAL 20 DAYS AND metric_id IS NOT NULL"


def values(check: dg.AssetCheckEvaluation) -> dict[str, Any]:
    return {name: value.value for name, value in check.metadata.items()}


def days_shown(check: dg.AssetCheckEvaluation) -> list[dict[str, Any]]:
    shown = check.metadata["days"]
    assert isinstance(shown, dg.TableMetadataValue)
    return [dict(record.data) for record in shown.records]


def import_old_events(sandbox: SandboxProcess, *ages: int) -> list[datetime]:
    """Insert two events of each age, in days."""
    metric = sandbox.truth("metrics")[0]["id"]
    moments = [(sandbox.now() - timedelta(days=age)).replace(hour=12) for age in ages]
    for moment in moments:
        for later in (timedelta(), timedelta(hours=1)):
            sandbox.change("event", datetime=moment + later, metric_id=metric)  # an event without a metric would not be counted
    return moments


def some_metric_and_day(warehouse: LocalFile) -> tuple[str, date]:
    """Return a metric and a day (UTC) with events."""
    ((metric, day),) = query(warehouse, f"SELECT metric_id, (datetime AT TIME ZONE 'UTC')::DATE FROM events WHERE {OLD} ORDER BY id LIMIT 1")
    return metric, day


def count_one_more(monkeypatch: pytest.MonkeyPatch, metric: str, day: date) -> None:
    """Make Klaviyo count an event that it does not list."""

    async def counts(client: KlaviyoClient, metric_id: str, start: datetime, end: datetime, query: Query) -> dict[date, int]:
        found = await counts_by_day(client, metric_id, start, end, query)
        return {one: count + (metric_id == metric and one == day) for one, count in found.items()}

    monkeypatch.setattr(audit, "counts_by_day", counts)


def fail(*_: object, **__: object) -> None:
    """Replace a function with one that fails."""
    raise RuntimeError


def requested_windows(sandbox: SandboxProcess) -> list[str]:
    """Return the filters of the requests for pages of events, without probes."""
    queries = [unquote(one["query"]) for one in sandbox.stats()["log"] if one["path"] == "/api/events"]
    return [query.split("filter=", 1)[1].split("&", 1)[0] for query in queries if "filter=" in query and "page[cursor]" not in query]


def definitions(sandbox: SandboxProcess, folder: Path, jobs: Sequence[Any] = (), **options: Any) -> dg.Definitions:
    klaviyo = KlaviyoResource(api_key=ALL_SCOPES_KEY, base_url=sandbox.base_url, rate_limit_share=1.0, max_retries=1)
    ours = build_klaviyo_definitions(
        klaviyo, duckdb=str(folder / "klaviyo.duckdb"), resource_types=["events", "profiles"], executor=dg.in_process_executor, **options
    )
    return dg.Definitions.merge(ours, dg.Definitions(jobs=jobs))


def results_of(result: dg.ExecuteInProcessResult) -> list[dg.AssetCheckEvaluation]:
    return [one for one in result.get_asset_check_evaluations() if one.check_name == "complete"]
