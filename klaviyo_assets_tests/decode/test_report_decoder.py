"""Reports become rows without loss: groupings, statistics, days."""

import json
from datetime import date
from typing import Any

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.decode import Page, PageDecoder
from klaviyo_assets.decode.report_decoder import ReportDecoder
from klaviyo_assets_tests.contract.digest import SOURCE

FIRST, LAST = date(2026, 8, 28), date(2026, 8, 30)
DATE_TIMES = ["2026-08-28T00:00:00+00:00", "2026-08-29T00:00:00+00:00", "2026-08-30T00:00:00+00:00"]


def document(results: list[Any], date_times: list[str] | None = None, **links: str | None) -> bytes:
    attributes = {"results": results} | ({} if date_times is None else {"date_times": date_times})
    return json.dumps({"data": {"type": "report", "id": "d1a4b623-a90d-491f-89ce-56cca8464b27", "attributes": attributes}, "links": links}).encode()


def decoded(name: str, data: bytes, first: date = FIRST, last: date = LAST) -> Page:
    entry = CATALOG[name]
    window = {} if name.endswith("daily") else {"window_start": "2026-01-01"}
    decode = PageDecoder(entry, Subset(values={"conversion_metric_id": "Order1"})).linked_page
    return ReportDecoder(entry, decode, None if window else "day", first, last, window).page(data)


MESSAGE = {
    "campaign_id": "C1",
    "campaign_message_id": "M1",
    "campaign_message_name": "Größe ⚡",
    "send_channel": "email",
    "variation": None,
    "variation_name": None,
}


def test_each_result_is_a_row() -> None:
    results = [{"groupings": MESSAGE | {"variation": one}, "statistics": {"opens": 123, "open_rate": 0.8253}} for one in (None, "A")]

    page = decoded("campaign_report", document(results, self="https://a.klaviyo.com/api/campaign-values-reports", next=None, prev=None))

    rows = page.frame.to_dicts()
    assert [row["variation"] for row in rows] == ["", "A"]
    assert {row["campaign_message_name"] for row in rows} == {"Größe ⚡"}
    assert {(row["window_start"], row["conversion_metric_id"], row["opens"], row["open_rate"], row["clicks"]) for row in rows} == {
        (date(2026, 1, 1), "Order1", 123.0, 0.8253, None)
    }
    assert {row["_extra"] for row in rows} == {None}
    assert page.next_url is None
    assert len({record.id for record in page.records}) == 2


def test_a_next_link_is_followed() -> None:
    following = "https://a.klaviyo.com/api/campaign-values-reports?page_cursor=abc"

    assert decoded("campaign_report", document([], next=following)).next_url == following


def test_members_that_the_catalog_does_not_know_are_kept() -> None:
    result = {"groupings": MESSAGE | {"tag_id": "T1"}, "statistics": {"opens": 1, "shares": 18446744073709551617}, "note": "new"}

    (row,) = decoded("campaign_report", document([result])).frame.to_dicts()

    assert json.loads(row["_extra"]) == {"groupings": {"tag_id": "T1"}, "statistics": {"shares": 18446744073709551617}, "note": "new"}


def test_a_series_is_a_row_per_day_of_the_window() -> None:
    groupings = {"form_id": "F1", "form_version_id": "7"}
    series = {"groupings": groupings, "statistics": {"viewed_form": [1, 2, 3], "submit_rate": [0.5, None, 0]}}

    page = decoded("form_report_daily", document([series], DATE_TIMES))

    found = page.frame.select("day", "viewed_form", "submit_rate").rows()
    assert found == [(date(2026, 8, 28), 1.0, 0.5), (date(2026, 8, 29), 2.0, None), (date(2026, 8, 30), 3.0, 0.0)]
    assert decoded("form_report_daily", document([series], DATE_TIMES), last=date(2026, 8, 28)).count == 1, "other days belong to other requests"


def test_many_rows_are_decoded_in_parts() -> None:
    results = [{"groupings": {"form_id": f"F{number}", "form_version_id": "7"}, "statistics": {"submits": [1, 2, 3]}} for number in range(1500)]

    page = decoded("form_report_daily", document(results, DATE_TIMES))

    assert page.count == 4500
    assert page.frame.select("form_id", "day").n_unique() == 4500


@pytest.mark.parametrize(
    "data",
    [
        document([{"groupings": {}, "statistics": {"submits": [1, 2]}}], DATE_TIMES),
        document([{"groupings": {}, "statistics": {"submits": 1}}], DATE_TIMES),
        document([]),
        document([], ["tomorrow"]),
        b'{"data": []}',
        b"{}",
    ],
    ids=["too short", "no series", "no days", "not a day", "a collection", "nothing"],
)
def test_a_series_without_all_its_values_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the client reports any as a response that cannot be parsed)
        decoded("form_report_daily", data)


@pytest.mark.skipif(not SOURCE.is_dir(), reason="needs the recorded responses")
def test_recorded_reports_are_decoded_without_loss() -> None:
    names = {entry.endpoint.path: name for name, entry in CATALOG.items() if entry.replication.report is not None}
    seen = 0
    for file in sorted((SOURCE / "recorded").glob("query_*.200.json")):
        one = json.loads(file.read_text())
        name = names.get(one["request"]["path"])
        if name is None:
            continue
        seen += 1
        attributes = one["body"]["data"]["attributes"]
        page = decoded(name, json.dumps(one["body"]).encode(), first=date(2026, 1, 1), last=date(2026, 12, 31))
        assert page.count == len(attributes["results"]) * len(attributes.get("date_times", [None]))
        assert page.frame["_extra"].null_count() == page.count
        for result in attributes["results"]:
            (key, id_), *_ = result["groupings"].items()
            for statistic, values in result["statistics"].items():
                assert [row[statistic] for row in page.frame.to_dicts() if row[key] == id_] == values
    assert seen == 5
