"""What an audit says about days and metrics that it cannot compare, and about itself."""

import io
import logging
import tarfile
from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest

from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.audit import audit
from klaviyo_assets.audit.audit_store import AuditStore
from klaviyo_assets.audit.event_counts import counts_by_day
from klaviyo_assets.catalog import Query
from klaviyo_assets.extract.metric_selection import MetricRules
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync
from klaviyo_assets_tests.audit.old_imports import some_metric_and_day
from klaviyo_assets_tests.audit.test_selected_metrics import audited
from klaviyo_assets_tests.state.test_layout_migration import FILE

pytestmark = [pytest.mark.usefixtures("unpaced"), pytest.mark.long]


@pytest.fixture
def shop(new_account: Callable[..., SandboxProcess], warehouse: LocalFile) -> SandboxProcess:
    """An account whose events are in the table."""
    found = new_account(metrics=3, events=200, profiles=60)
    found.advance(timedelta(days=40))
    sync("events", found, warehouse)
    return found


def test_a_day_that_klaviyos_counts_lack_is_excluded_and_no_difference(
    shop: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric, lacking = some_metric_and_day(warehouse)

    async def counts(client: KlaviyoClient, metric_id: str, start: datetime, end: datetime, query: Query) -> dict[date, int]:
        found = await counts_by_day(client, metric_id, start, end, query)
        return {day: count for day, count in found.items() if (metric_id, day) != (metric, lacking)}

    monkeypatch.setattr(audit, "counts_by_day", counts)

    record, found = audited(shop, warehouse, MetricRules())

    assert found == []
    assert record.excluded["Klaviyo's response lacks days"] == [f"{metric}: 1 days from {lacking} on"]


def test_a_name_that_no_metric_has_is_a_note(shop: SandboxProcess, warehouse: LocalFile, caplog: pytest.LogCaptureFixture) -> None:
    record, found = audited(shop, warehouse, MetricRules(exclude=("Bought a boat",)))

    assert (found, record.metrics) == ([], len(shop.truth("metrics")))
    (note,) = [message for message in caplog.messages if message.startswith("audit: ") and "Bought a boat" in message]
    assert "KLAVIYO_EXCLUDE_EVENT_METRICS" in note


def test_the_progress_of_a_long_audit_is_logged(
    shop: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit, "_SECONDS_BETWEEN", 0.0)
    caplog.set_level(logging.INFO)

    audited(shop, warehouse, MetricRules())

    count = len(shop.truth("metrics"))
    assert [message for message in caplog.messages if "metrics compared" in message and " of " in message][:count] == [
        f"audit: {number} of {count} metrics compared" for number in range(1, count + 1)
    ]


@pytest.mark.duckdb
def test_an_audit_that_migrates_the_tables_says_which_view_reads_them(warehouse: LocalFile, caplog: pytest.LogCaptureFixture) -> None:
    with tarfile.open(fileobj=io.BytesIO(FILE.read_bytes()), mode="r:gz") as tar:
        tar.extractall(warehouse.path.parent, filter="data")
    query(warehouse, "CREATE VIEW ages AS SELECT resource_type, span_end FROM _coverage")

    assert AuditStore(warehouse, "klaviyo").coverage()

    (note,) = caplog.messages
    assert note.startswith("The view klaviyo.ages reads klaviyo._coverage, whose names have changed with this version: ")
    assert "span_end is now window_end" in note
