"""Reports in the table equal what Klaviyo reports: after each sync, for every window that the sync must have read."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from klaviyo_assets.api.klaviyo_errors import NotFound, RateLimited
from klaviyo_assets.api.rate_limit.daily import DailyLimitReached
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.endpoint import RateLimit
from klaviyo_assets.catalog.report_columns import groupings_of, statistics_of
from klaviyo_assets.errors import InvalidRange, SyncError
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions, conversion_metrics
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.sync import request_report_facts
from klaviyo_assets.sync.sync_report import SyncReport
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, small, sync

BASE = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
REPORTS = [name for name, entry in CATALOG.items() if entry.replication.report is not None]


@pytest.fixture
def shop() -> Iterator[SandboxProcess]:
    with small(base=BASE, made_up_reports=True, events=10, profiles=5, history_days=500) as sandbox:
        yield sandbox


def metric_of(shop: SandboxProcess, number: int = 0) -> str:
    return str(shop.truth("metrics")[number]["id"])


def synced(name: str, shop: SandboxProcess, warehouse: LocalFile, mode: SyncMode = SyncMode.incremental, **settings: Any) -> SyncReport:
    return sync(name, shop, warehouse, SyncOptions(mode=mode, conversion_metrics=(metric_of(shop),)), **settings)


def reported(shop: SandboxProcess, name: str, first: str, last: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return the statistics that the sandbox reports now, by groupings and (of a series) day."""
    entry = CATALOG[name]
    report = entry.replication.report
    assert report is not None
    attributes: dict[str, Any] = {"statistics": statistics_of(entry), "timeframe": {"start": f"{first}T00:00:00Z", "end": f"{last}T23:59:59Z"}}
    attributes |= {"group_by": groupings_of(entry)} if report.has_group_by else {}
    attributes |= {"conversion_metric_id": metric_of(shop)} if report.by_conversion_metric else {}
    attributes |= {"interval": "daily"} if name.endswith("daily") else {}
    headers = {"Authorization": f"Klaviyo-API-Key {shop.keys.all_scopes}", "revision": "2026-07-15"}
    body = {"data": {"type": entry.jsonapi_type, "attributes": attributes}}
    response = httpx.post(f"{shop.base_url}{entry.endpoint.path}", json=body, headers=headers)
    found = response.raise_for_status().json()["data"]["attributes"]
    rows = {}
    for result in found["results"]:
        key = tuple(result["groupings"][one] or "" for one in groupings_of(entry))
        values = [result["statistics"][one] for one in statistics_of(entry)]
        if "date_times" in found:
            rows |= {(*key, day[:10]): of_day for day, *of_day in zip(found["date_times"], *values, strict=True)}
        else:
            rows[key] = values
    return {key: tuple(map(float, values)) for key, values in rows.items()}


def stored(warehouse: LocalFile, name: str, where: str = "_deleted_at IS NULL") -> dict[tuple[Any, ...], tuple[Any, ...]]:
    entry = CATALOG[name]
    keys = [*groupings_of(entry), *(["day::VARCHAR"] if name.endswith("daily") else [])]
    rows = query(warehouse, f"SELECT {', '.join((*keys, *statistics_of(entry)))} FROM {name} WHERE {where}")
    found = {row[: len(keys)]: row[len(keys) :] for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.long
@pytest.mark.parametrize("name", ["flow_report_daily", "form_report_daily", "segment_report_daily"])
def test_a_series_has_a_row_for_each_day(name: str, shop: SandboxProcess, warehouse: LocalFile) -> None:
    report = synced(name, shop, warehouse)

    for first, last in (("2026-01-10", "2026-03-10"), ("2025-12-01", "2026-01-09"), ("2024-12-10", "2025-01-20")):
        truth = reported(shop, name, first, last)
        assert any(map(any, truth.values()))
        held = stored(warehouse, name, f"day BETWEEN '{first}' AND '{last}'")
        # A segment has no rows from before it existed; whether days without a message have rows depends on the requested window.
        due = held if name == "segment_report_daily" else truth
        assert {key: values for key, values in held.items() if any(values)} == {key: truth[key] for key in due if any(truth[key])}
    assert report.row.rows_inserted == query(warehouse, f"SELECT count(*) FROM {name}")[0][0]
    assert synced(name, shop, warehouse).row.records_read == 0


@pytest.mark.long
def test_numbers_mature_until_they_no_longer_change(shop: SandboxProcess, warehouse: LocalFile) -> None:
    synced("campaign_report", shop, warehouse)
    before = stored(warehouse, "campaign_report")
    assert before == reported(shop, "campaign_report", "2026-01-01", "2026-12-31") | reported(shop, "campaign_report", "2025-01-01", "2025-12-31") | (
        reported(shop, "campaign_report", "2024-01-01", "2024-12-31")
    )
    for _ in range(3):
        shop.advance(DAY)
        report = synced("campaign_report", shop, warehouse)
        assert report.slices == tuple(f"metric {metric_of(shop)} {year}-01-01 to {year}-12-31" for year in (2026, 2025))
        this_year = reported(shop, "campaign_report", "2026-01-01", "2026-12-31")
        assert stored(warehouse, "campaign_report", "window_start = '2026-01-01'") == this_year
    after = stored(warehouse, "campaign_report")
    assert after != before
    assert all(sum(after[key][9:12]) >= sum(before[key][9:12]) for key in before), "opens and clicks only grow"


@pytest.mark.long
def test_deleted_campaigns_keep_their_rows_and_renamed_messages_get_new_ones(shop: SandboxProcess, warehouse: LocalFile) -> None:
    synced("campaign_report", shop, warehouse)
    last_year = "FROM campaign_report WHERE window_start = '2025-01-01'"
    # Only e-mails have a name of their own.
    kept, renamed = query(warehouse, f"SELECT campaign_id, campaign_message_id {last_year} AND send_channel = 'email' ORDER BY ALL")[0]
    deleted, *_ = query(warehouse, f"SELECT campaign_id {last_year} AND campaign_id <> '{kept}' ORDER BY ALL")[0]
    shop.change("delete", type="campaigns", id=deleted)
    shop.change("rename", type="campaign_messages", id=renamed, name="Another name")
    shop.advance(DAY)

    synced("campaign_report", shop, warehouse)

    assert stored(warehouse, "campaign_report", "window_start = '2025-01-01' AND _deleted_at IS NULL") == reported(
        shop, "campaign_report", "2025-01-01", "2025-12-31"
    )
    assert query(warehouse, f"SELECT count(*) > 0 FROM campaign_report WHERE campaign_id = '{deleted}' AND _deleted_at IS NULL") == [(True,)]
    names = dict(
        query(
            warehouse,
            f"SELECT campaign_message_name = 'Another name', bool_and(_deleted_at IS NULL) FROM campaign_report "
            f"WHERE campaign_message_id = '{renamed}' GROUP BY 1",
        )
    )
    assert names == {True: True, False: False}, "the row with the earlier name keeps its last value, marked"


@pytest.mark.long
def test_rows_of_a_deleted_segment_are_marked(shop: SandboxProcess, warehouse: LocalFile) -> None:
    first = synced("segment_report_daily", shop, warehouse)
    deleted, kept = (str(record["id"]) for record in shop.truth("segments")[:2])
    shop.change("delete", type="segments", id=deleted)
    shop.advance(DAY)

    second = synced("segment_report_daily", shop, warehouse)

    marked = query(warehouse, "SELECT segment_id, count(*) FROM segment_report_daily WHERE _deleted_at IS NOT NULL GROUP BY 1")
    assert marked == [(deleted, second.row.rows_deleted)]
    assert query(warehouse, f"SELECT count(*) FROM segment_report_daily WHERE segment_id = '{deleted}' AND _deleted_at IS NULL") == [(0,)]
    assert query(warehouse, f"SELECT count(*) > 60 FROM segment_report_daily WHERE segment_id = '{kept}' AND _deleted_at IS NULL") == [(True,)]
    assert query(warehouse, f"SELECT count(*) FROM _coverage WHERE resource_type = 'segment_report_daily' AND parent = '{deleted}'") == [(0,)]
    assert first.row.rows_deleted == synced("segment_report_daily", shop, warehouse).row.rows_deleted == 0


@pytest.mark.long
def test_an_empty_list_of_segments_marks_no_rows(shop: SandboxProcess, warehouse: LocalFile) -> None:
    synced("segment_report_daily", shop, warehouse)
    rows = query(warehouse, "SELECT count(*) FROM segment_report_daily")
    for record in shop.truth("segments"):
        shop.change("delete", type="segments", id=record["id"])

    report = synced("segment_report_daily", shop, warehouse)

    assert "Klaviyo listed no segments at all" in "".join(report.notes)
    assert query(warehouse, "SELECT count(*) FROM segment_report_daily WHERE _deleted_at IS NULL") == rows


@pytest.fixture
def young_shop() -> Iterator[SandboxProcess]:
    with small(base=BASE, made_up_reports=True, events=0, profiles=5, history_days=40) as sandbox:
        yield sandbox


@pytest.mark.long
def test_history_has_the_numbers_of_each_day(young_shop: SandboxProcess, warehouse: LocalFile) -> None:
    shop = young_shop
    observed = []
    for _ in range(3):
        synced("campaign_report_history", shop, warehouse)
        today = shop.now().date()
        truth = reported(shop, "campaign_report_history", str(today - 29 * DAY), str(today))
        observed.append((today, truth))
        assert truth
        assert synced("campaign_report_history", shop, warehouse).row.records_read == 0
        shop.advance(DAY)

    for day, truth in observed:
        assert stored(warehouse, "campaign_report_history", f"observed_on = '{day}' AND _deleted_at IS NULL") == truth
    assert observed[0][1] != observed[2][1]
    assert query(warehouse, "SELECT count(DISTINCT observed_on) FROM campaign_report_history WHERE _deleted_at IS NULL") == [(3,)]
    synced("campaign_report_history", shop, warehouse, SyncMode.full)
    assert query(warehouse, "SELECT count(DISTINCT observed_on) FROM campaign_report_history WHERE _deleted_at IS NULL") == [(4,)]


@pytest.mark.long
def test_pages_of_a_report_are_followed(warehouse: LocalFile) -> None:
    with small(base=BASE, made_up_reports=True, events=0, report_page=7, history_days=300) as shop:
        report = synced("campaign_report", shop, warehouse)
        posts = [one for one in shop.stats()["log"] if one["endpoint"] == "/api/campaign-values-reports"]
    with small(base=BASE, made_up_reports=True, events=0, history_days=300) as shop:
        truth = reported(shop, "campaign_report", "2026-01-01", "2026-12-31") | reported(shop, "campaign_report", "2025-01-01", "2025-12-31")

    assert len(posts) > len(report.slices) == 2
    assert {one["status"] for one in posts} == {200}
    assert stored(warehouse, "campaign_report") == truth


@pytest.mark.long
def test_an_exhausted_day_keeps_what_was_read_and_the_next_day_continues(shop: SandboxProcess, warehouse: LocalFile) -> None:
    shop.faults({"path": "/api/form-series-reports", "kind": "429", "seconds": 7200, "after": 3, "times": None})
    with pytest.raises(RateLimited, match=r"Klaviyo's rate limit is used up\. The server asks to wait 2 hours"):
        synced("form_report_daily", shop, warehouse, concurrency=1)

    assert query(warehouse, "SELECT outcome, error_class FROM _syncs") == [("failed", "RateLimited")]
    covered = "SELECT (min(window_start) AT TIME ZONE 'Europe/Berlin')::DATE::VARCHAR, count(DISTINCT field) FROM _coverage"
    assert query(warehouse, "SELECT min(day)::VARCHAR, max(day)::VARCHAR FROM form_report_daily") == [("2025-11-05", "2026-03-10")]
    assert query(warehouse, covered) == [("2025-11-05", 1)]

    shop.clear_faults()
    report = synced("form_report_daily", shop, warehouse)
    assert max(name.split(" to ")[1] for name in report.slices) == "2025-11-04"
    assert synced("form_report_daily", shop, warehouse).slices == ()


@pytest.mark.long
def test_our_own_daily_limit_keeps_what_was_read(shop: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    scarce = RateLimit(350, 3500, daily=2)
    monkeypatch.setattr("klaviyo_assets_tests.accounts.TIER_XL", scarce)

    with pytest.raises(DailyLimitReached, match="The 2 requests that may be sent to this endpoint in 24 hours are used up"):
        synced("form_report_daily", shop, warehouse, concurrency=1)

    (first, last), *_ = query(warehouse, "SELECT min(day)::VARCHAR, max(day)::VARCHAR FROM form_report_daily")
    assert (first, last) == ("2026-01-04", "2026-03-10")


@pytest.mark.long
def test_two_conversion_metrics_have_rows_of_their_own(shop: SandboxProcess, warehouse: LocalFile) -> None:
    metrics = (metric_of(shop), metric_of(shop, 1))
    sync("flow_report", shop, warehouse, SyncOptions(conversion_metrics=metrics))

    rows = dict(query(warehouse, "SELECT conversion_metric_id, count(*) FROM flow_report GROUP BY 1"))
    assert set(rows) == {*metrics}
    assert len({*rows.values()}) == 1
    differing = query(
        warehouse,
        "SELECT count(*) FROM flow_report AS a JOIN flow_report AS b USING (flow_message_id, variation, window_start) "
        "WHERE a.conversion_metric_id < b.conversion_metric_id AND a.conversion_value <> b.conversion_value",
    )
    assert differing[0][0] > 0


@pytest.mark.long
def test_the_revenue_metric_of_the_account_is_used(shop: SandboxProcess, warehouse: LocalFile) -> None:
    sync("campaign_report", shop, warehouse)

    (revenue,) = [one for one in shop.truth("mapped_metrics") if one["id"] == "revenue"]
    used = query(warehouse, "SELECT DISTINCT conversion_metric_id FROM campaign_report")
    assert used == [(next(one["data"]["id"] for one in revenue["relationships"].values() if one.get("data")),)]


@pytest.mark.long
@pytest.mark.parametrize("name", ["mapped_metrics", "metrics"])
def test_facts_of_a_report_are_requested_as_the_catalog_in_use_says(name: str, shop: SandboxProcess, warehouse: LocalFile) -> None:
    elsewhere = replace(CATALOG[name], endpoint=replace(CATALOG[name].endpoint, path="/api/elsewhere"))

    with pytest.raises(NotFound, match="/api/elsewhere"):
        sync("flow_report", shop, warehouse, catalog=CATALOG.updated({name: elsewhere}))


@pytest.mark.long
def test_without_a_revenue_metric_the_error_says_what_to_do(warehouse: LocalFile) -> None:
    # The sandbox maps revenue to a custom metric, and there is none.
    with (
        small(base=BASE, made_up_reports=True, events=0, metrics=0, others=0) as empty,
        pytest.raises(SyncError, match=r"No metric of the account is mapped as its revenue.*KLAVIYO_CONVERSION_METRIC_IDS"),
    ):
        sync("campaign_report", empty, warehouse)


@pytest.mark.long
def test_without_the_scope_accounts_read_the_error_says_what_to_do(shop: SandboxProcess, warehouse: LocalFile) -> None:
    key = shop.keys.recommended_scopes
    with pytest.raises(SyncError, match=r"its time zone is not known.*accounts:read"):
        sync("form_report_daily", shop, warehouse, key=key, account_id="AbCdEf")


@pytest.mark.long
@pytest.mark.parametrize(
    ("zone", "words", "advice"),
    [
        (
            "Mars/Olympus",
            "This machine does not know the account's time zone 'Mars/Olympus', by which reports count days.",
            "pip install --upgrade tzdata",
        ),
        (None, "Klaviyo does not name the account's time zone, by which reports count days.", "Set it in Klaviyo: Settings > Account."),
        ("", "Klaviyo does not name the account's time zone, by which reports count days.", "Set it in Klaviyo: Settings > Account."),
    ],
    ids=["unknown", "null", "empty"],
)
def test_a_time_zone_that_cannot_be_used_is_an_error_that_says_what_to_do(
    zone: str | None, words: str, advice: str, young_shop: SandboxProcess, warehouse: LocalFile
) -> None:
    (account,) = young_shop.truth("accounts")
    young_shop.change("update", type="accounts", id=account["id"], attributes={"timezone": zone})

    with pytest.raises(SyncError) as caught:
        synced("form_report_daily", young_shop, warehouse)

    assert words in str(caught.value)
    assert advice in str(caught.value)
    assert query(warehouse, "SELECT outcome, error_class FROM _syncs") == [("failed", "SyncError")]
    assert not [one for one in young_shop.stats()["log"] if one["endpoint"] == "/api/form-series-reports"]


@pytest.mark.long
def test_a_window_that_klaviyo_suddenly_reports_as_empty_marks_no_rows(shop: SandboxProcess, warehouse: LocalFile) -> None:
    synced("campaign_report", shop, warehouse)
    before = stored(warehouse, "campaign_report")
    with small(base=BASE, made_up_reports=True, events=10, profiles=5, history_days=500, campaigns=0) as emptied:
        emptied.advance(DAY)
        report = sync(
            "campaign_report", emptied, warehouse, SyncOptions(conversion_metrics=(metric_of(shop),)), account_id=shop.truth("accounts")[0]["id"]
        )

    assert report.notes == tuple(
        f"Klaviyo returned no campaign_report from {year}-01-01 to {year}-12-31, though some are known: none was marked as deleted."
        for year in (2026, 2025)
    )
    assert report.row.rows_deleted == 0
    assert stored(warehouse, "campaign_report") == before


@pytest.mark.long
def test_without_the_scope_metrics_read_the_whole_history_is_requested(
    young_shop: SandboxProcess, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_report_facts, "_FOUNDED", date(2025, 6, 1))  # so that the test requests less
    key = young_shop.keys.lacking("metrics:read")

    report = sync("form_report_daily", young_shop, warehouse, key=key, account_id=young_shop.truth("accounts")[0]["id"])

    assert min(report.slices).startswith("2025-06-01 to ")
    found, expected = (
        stored(warehouse, "form_report_daily", "day >= '2026-01-10'"),
        reported(young_shop, "form_report_daily", "2026-01-10", "2026-03-10"),
    )
    assert any(map(any, expected.values()))
    assert {key: values for key, values in found.items() if any(values)} == {key: values for key, values in expected.items() if any(values)}


@pytest.mark.long
def test_the_time_zone_is_kept(shop: SandboxProcess, warehouse: LocalFile) -> None:
    synced("form_report_daily", shop, warehouse)
    requests = [one for one in shop.stats()["log"] if "timezone" in one["query"]]
    assert len(requests) == 1
    shop.advance(timedelta(hours=10))
    synced("flow_report", shop, warehouse)
    assert len([one for one in shop.stats()["log"] if "timezone" in one["query"]]) == 1
    shop.faults({"path": "/api/accounts", "kind": "503", "times": None})
    shop.advance(2 * DAY)
    synced("flow_report", shop, warehouse, max_retries=0)


def test_a_report_has_no_ranges(shop: SandboxProcess, warehouse: LocalFile) -> None:
    with pytest.raises(InvalidRange, match="form_report_daily has no mode range"):
        sync("form_report_daily", shop, warehouse, SyncOptions(mode=SyncMode.range))


@pytest.mark.long
def test_a_sync_probes_no_report(shop: SandboxProcess, warehouse: LocalFile) -> None:
    synced("form_report_daily", shop, warehouse)

    posts: Sequence[dict[str, Any]] = [one for one in shop.stats()["log"] if one["endpoint"] == "/api/form-series-reports"]
    assert len(posts) == len(json.loads(query(warehouse, "SELECT slices FROM _syncs")[0][0]))


@pytest.mark.parametrize(("text", "expected"), [(None, ()), ("", ()), ("RESQ6t", ("RESQ6t",)), (" a, b ,a,", ("a", "b"))])
def test_ids_of_conversion_metrics(text: str | None, expected: tuple[str, ...]) -> None:
    assert conversion_metrics(text) == expected


def test_text_that_is_no_id_is_refused() -> None:
    with pytest.raises(ValueError, match="'Placed Order' is not the id of a metric"):
        conversion_metrics("RESQ6t, Placed Order")
