"""Attributions of events: resources that the pages of events include."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.api.klaviyo_errors import ConnectionFailed
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.checks import asset_checks
from klaviyo_assets.checks.table_checks import TableChecks
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.staging import background_writer, staging
from klaviyo_assets.state.unanswered import ASKED_AGAIN_AFTER
from klaviyo_assets.sync import missing_resources
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth
from klaviyo_assets_tests.sandbox.helpers import BASE

pytestmark = pytest.mark.duckdb

NewAccount = Callable[..., SandboxProcess]

EVENTS = CATALOG["events"]

MISSING = "SELECT count(*) FROM events WHERE len(attribution_ids) > 0 AND attributions IS NULL"


def included_complete(warehouse: LocalFile) -> dg.AssetCheckResult:
    (found,) = TableChecks(warehouse, EVENTS, "klaviyo", dg.AssetKey(["klaviyo", "events"])).run([asset_checks.INCLUDED_COMPLETE], None).results
    return found


def before_attributions() -> ResourceType:
    """Return events as in versions without the include and its columns."""
    newer = {*(column.name for column in EVENTS.included_columns), "attributed_message_id"}
    return replace(EVENTS, columns=tuple(column for column in EVENTS.columns if column.name not in newer), requested_includes=())


def test_each_relationship_of_an_attribution_is_a_column() -> None:
    named = {
        "event": ("event", "E2"),
        "attributed-event": ("event", "E1"),
        "campaign": ("campaign", "C1"),
        "campaign-message": ("campaign-message", "M1"),
        "flow": ("flow", "F1"),
        "flow-message": ("flow-message", "FM1"),
        "flow-message-variation": ("flow-message", "V1"),
    }
    relationships = {name: {"data": {"type": type_, "id": id_}} for name, (type_, id_) in named.items()}
    event = {"type": "event", "id": "E2", "relationships": {"attributions": {"data": [{"type": "attribution", "id": "A1"}]}}}
    included = [{"type": "attribution", "id": "A1", "relationships": relationships}]

    (row,) = PageDecoder(EVENTS).page(msgspec.json.encode({"data": [event], "included": included})).frame.to_dicts()

    assert {name: value for name, value in row.items() if name.startswith("attributed_") and value is not None} == {
        "attributed_event_id": "E1",
        "attributed_campaign_id": "C1",
        "attributed_campaign_message_id": "M1",
        "attributed_flow_id": "F1",
        "attributed_flow_message_id": "FM1",
        "attributed_flow_message_variation_id": "V1",
    }


@pytest.mark.long
def test_the_variation_of_an_attribution_is_the_one_that_the_attributed_event_names(new_account: NewAccount, warehouse: LocalFile) -> None:
    # Few conversions follow a message with a variation: the account is bigger than others, and its base instant is fixed, so that it always has some.
    sync("events", new_account(base=BASE, events=20_000, flows=12), warehouse)

    found = query(
        warehouse,
        "SELECT count(*), count(*) FILTER (e.attributed_flow_message_variation_id = (t.event_properties ->> '$.\"$variation\"')) "
        "FROM events AS e JOIN events AS t ON t.id = e.attributed_event_id "
        "WHERE e.attributed_flow_message_variation_id IS NOT NULL OR (t.event_properties ->> '$.\"$variation\"') IS NOT NULL",
    )
    ((with_variation, equal),) = found
    assert with_variation == equal > 0


@pytest.mark.long
def test_attributions_lead_to_the_campaigns_flows_and_events_of_the_account(account: SandboxProcess, warehouse: LocalFile) -> None:
    for name in ("campaigns", "campaign_messages", "flows", "flow_messages", "events"):
        sync(name, account, warehouse)

    found = query(
        warehouse,
        "SELECT count(*), count(c.id), count(f.id), count(attributed_campaign_message_id), count(attributed_flow_message_id), count(attributions) "
        "FROM events AS e LEFT JOIN campaigns AS c ON c.id = attributed_campaign_id LEFT JOIN flows AS f ON f.id = attributed_flow_id "
        "WHERE len(attribution_ids) > 0",
    )[0]
    assert min(found) > 0
    assert found[1] + found[2] == found[0] == found[5]
    assert found[3:5] == found[1:3]
    earlier = query(warehouse, "SELECT count(*), bool_and(t.datetime < e.datetime) FROM events AS e JOIN events AS t ON t.id = e.attributed_event_id")
    assert earlier[0][0] > 0
    assert earlier[0][1]
    for kind in ("campaign", "flow"):
        id_ = f"attributed_{kind}_message_id"
        assert query(warehouse, f"SELECT DISTINCT {id_} FROM events WHERE {id_} NOT IN (SELECT id FROM {kind}_messages)") == []
    own = query(warehouse, "SELECT bool_and(attributions ->> '$[0].event.data.id' = id) FROM events WHERE attributions IS NOT NULL")
    assert own == [(True,)]
    assert included_complete(warehouse).passed


@pytest.mark.long
@pytest.mark.parametrize("mode", [SyncMode.incremental, SyncMode.full])
def test_resources_that_a_page_lacks_are_fetched(mode: SyncMode, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(max_included=3)

    report = sync("events", sandbox, warehouse, SyncOptions(mode=mode))

    assert report.row.fetched_by_id is not None
    assert report.row.fetched_by_id > 0
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))
    found = included_complete(warehouse)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"lacked the attributions of {report.row.fetched_by_id} events" in str(found.description)


@pytest.mark.long
def test_what_could_not_be_fetched_is_reported_and_fetched_later(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(max_included=3)
    sandbox.faults({"path": "/api/events/{id}", "kind": "503", "rate": 1.0})

    report = sync("events", sandbox, warehouse, max_retries=0)

    ((missing,),) = query(warehouse, MISSING)
    assert missing > 0
    assert "requesting them by id failed after 0" in " ".join(report.notes)
    assert f"{missing} rows name attributions that are not stored" in str(included_complete(warehouse).description)

    sandbox.clear_faults()
    sandbox.advance(timedelta(minutes=1))  # each sync reads Klaviyo's clock to the second: what is read in the same one may count as earlier
    sync("events", sandbox, warehouse)

    assert query(warehouse, MISSING) == [(0,)]
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))


@pytest.mark.long
def test_a_connection_that_fails_while_resources_are_fetched_fails_the_sync_and_loses_nothing(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(max_included=3)
    sandbox.faults({"path": "/api/events/{id}", "kind": "drop", "times": None})

    with pytest.raises(ConnectionFailed):
        sync("events", sandbox, warehouse, max_retries=0)

    assert query(warehouse, "SELECT outcome, error_class FROM _syncs") == [("failed", "ConnectionFailed")]
    sandbox.clear_faults()
    report = sync("events", sandbox, warehouse)
    assert report.resumed
    assert report.row.records_read < report.row_count
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))


@pytest.mark.long
def test_single_values_of_included_resources_need_no_list(account: SandboxProcess, warehouse: LocalFile) -> None:
    entry = replace(EVENTS, columns=tuple(column for column in EVENTS.columns if column.name != "attributions"))

    report = sync(entry, account, warehouse)

    assert (report.row.fetched_by_id, report.notes) == (0, ())
    expected = truth(account, "events").drop("attributions")
    assert_frame_equal(table(warehouse, "events").select(expected.columns), expected)
    checks = TableChecks(warehouse, entry, "klaviyo", dg.AssetKey(["klaviyo", "events"]))
    (found,) = checks.run([asset_checks.INCLUDED_COMPLETE], None).results
    assert (found.passed, found.description) == (True, "The responses for events included all attributions that they name.")


def test_one_sync_fetches_a_bounded_number(new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missing_resources, "MAX_FETCHED", 2)
    sandbox = new_account(max_included=3)

    assert sync("events", sandbox, warehouse).row.fetched_by_id == 2
    ((missing,),) = query(warehouse, MISSING)
    assert missing > 0
    assert f"{missing} rows name" in str(included_complete(warehouse).description)


@pytest.mark.long
def test_what_klaviyo_never_includes_is_requested_once_a_week(new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missing_resources, "MAX_FETCHED", 5)
    sandbox = new_account(base=BASE, events=9_000, max_included=3, bare_lookups=True)  # how many events have attributions depends on the base instant

    def requested() -> list[str]:
        sandbox.reset_stats()
        sync("events", sandbox, warehouse)
        return [path for one in sandbox.stats()["log"] if (path := one["path"]).startswith("/api/events/")]

    first, second = requested(), requested()
    assert len(first) == len(second) == 5
    assert not {*first} & {*second}, "those that are never answered do not keep others from being requested"
    monkeypatch.setattr(missing_resources, "MAX_FETCHED", 10_000)
    ((missing,),) = query(warehouse, MISSING)
    assert len(requested()) >= missing - 10
    assert requested() == []
    assert f"{missing} rows name attributions that are not stored" in str(included_complete(warehouse).description)
    sandbox.advance(ASKED_AGAIN_AFTER)
    assert {*first} <= {*requested()}


@pytest.mark.long
def test_attributions_are_fetched_while_the_last_pages_are_being_written(
    new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is written slowly, as on a busy disk: neither its rows nor those that are fetched by id are lost."""
    write_parquet = staging._write_parquet

    def write_slowly(frame: pl.DataFrame, path: Path) -> int:
        time.sleep(1)
        return write_parquet(frame, path)

    monkeypatch.setattr(staging, "_write_parquet", write_slowly)
    monkeypatch.setattr(background_writer, "_SECONDS_PER_FILE", 0.0)
    sandbox = new_account(base=BASE, events=1_500, max_included=1)

    report = sync("events", sandbox, warehouse)

    assert report.row.fetched_by_id
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))


@pytest.mark.long
def test_an_upgrade_reads_events_again_or_keeps_them_as_they_are(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync(before_attributions(), account, warehouse)
    assert query(warehouse, "SELECT count(attribution_ids) FROM events") == [(0,)]
    unknown = included_complete(warehouse)
    assert unknown.passed
    assert unknown.description == "Nothing to check. No successful sync of events has recorded yet what the responses lacked."

    kept = sync("events", account, warehouse, SyncOptions(accept_changed_options=True))
    assert kept.row.records_read < kept.row_count / 2

    report = sync("events", account, warehouse)

    assert report.row.records_read >= report.row_count
    assert_frame_equal(table(warehouse, "events"), truth(account, "events"), check_column_order=False)
