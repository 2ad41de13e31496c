"""Responses to the reporting API: campaign, flow, form and segment reports.

Rows are counted from the account's events, or made up, as an option says. Requests that Klaviyo would refuse are
refused. Sources: OpenAPI ``CampaignValuesRequestDTO`` and its siblings, and recorded responses.
"""

import random
import re
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from klaviyo_assets.catalog.replication import ReportWindows
from klaviyo_assets.catalog.report_columns import groupings_of, statistics_of
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.errors import ApiError
from klaviyo_assets.sandbox.instants import from_micros
from klaviyo_assets.sandbox.made_up_reports import made_up_rows
from klaviyo_assets.sandbox.records import encode
from klaviyo_assets.sandbox.report_numbers import with_rates
from klaviyo_assets.sandbox.report_request import Attributes, Counts, Request, Row
from klaviyo_assets.sandbox.report_rows import rows as counted_rows
from klaviyo_assets.sandbox.store import Store

_LONGEST, _LONGEST_DAILY = timedelta(days=366), timedelta(days=60)
_MAX_IDS = 100
_ANY = re.compile(r"any\((\w+),(\[.*\])\)")
_REQUIRED = {"campaign-values-report": 2, "flow-values-report": 2, "flow-series-report": 2}
"""How many of ``campaign_id, campaign_message_id`` and ``flow_id, flow_message_id`` a request must group by."""


class _Data(msgspec.Struct):
    type: str
    attributes: Attributes


class _Document(msgspec.Struct):
    data: _Data


def report(
    store: Store,
    entry: ResourceType,
    body: bytes,
    url: str,
    query: Mapping[str, str],
    now: int,
    page_rows: int = 0,
    *,
    made_up: bool = False,
) -> bytes:
    """Return the document that a request asks for.

    Args:
        store: The account's records.
        entry: The report.
        body: The request's body.
        url: The request's URL without its query, for links.
        query: The request's query parameters.
        now: The sandbox's time.
        page_rows: Results of a page; 0 for all.
        made_up: Whether the numbers are made up, and not counted from the events.

    Raises:
        ApiError: 400, if Klaviyo would reject the request; 404, if there is no such conversion metric.
    """
    request = _checked(store, entry, body, from_micros(now))
    is_series = request.asked.interval is not None
    rows = list(made_up_rows(request) if made_up else counted_rows(request))
    random.Random(str(request.first)).shuffle(rows)  # noqa: S311 (recorded results are in no order)
    offset = int(query.get("page_cursor", "0"))
    page = rows[offset : offset + page_rows] if page_rows else rows
    attributes: dict[str, Any] = {"results": [_result(request, one) for one in page]}
    if is_series:
        attributes["date_times"] = [f"{day}T00:00:00+00:00" for day in request.days]
    links: dict[str, str | None] = {"self": url}
    if entry.jsonapi_type in _REQUIRED:
        more = page_rows and offset + page_rows < len(rows)
        links |= {"next": f"{url}?page_cursor={offset + page_rows}" if more else None, "prev": None}
    return encode({"data": {"type": entry.jsonapi_type, "id": str(uuid.uuid4()), "attributes": attributes}, "links": links})


def _checked(store: Store, entry: ResourceType, body: bytes, now: datetime) -> Request:
    try:
        data = msgspec.json.decode(body, type=_Document).data
    except msgspec.MsgspecError as error:
        raise _invalid(str(error)) from error
    asked, facts = data.attributes, entry.replication.report
    assert facts is not None
    if data.type != entry.jsonapi_type:
        raise _invalid(f"'{data.type}' is not a valid type.")
    if unknown := {*asked.statistics} - {*statistics_of(entry)}:
        raise _invalid(f"{sorted(unknown)} are not valid statistics.")
    _check_groupings(entry, asked, has_group_by=facts.has_group_by)
    # The offset is ignored: both are times of the company.
    first, last = asked.timeframe.start.date(), asked.timeframe.end.date()
    span = asked.timeframe.end - asked.timeframe.start
    if span <= timedelta() or span > (_LONGEST_DAILY if asked.interval else _LONGEST):
        raise _invalid("The timeframe is empty or too long.")
    if (facts.windows is ReportWindows.DAYS) != (asked.interval == "daily"):
        raise _invalid("The interval is missing, or not supported by the sandbox.")
    if facts.not_before is not None and first < facts.not_before:
        raise _invalid("Data is unavailable before June 1st, 2023.")
    if facts.by_conversion_metric and not _is_metric(store, asked.conversion_metric_id):
        raise ApiError(404, "not_found", "Not found.", f"A metric with id {asked.conversion_metric_id} does not exist.")
    (account,) = store["accounts"]
    zone = ZoneInfo(msgspec.json.decode(account.attributes()["timezone"], type=str))
    return Request(store, entry, asked, zone, first, last, now, _segments(asked.filter))


def _check_groupings(entry: ResourceType, asked: Attributes, *, has_group_by: bool) -> None:
    grouped = asked.group_by or []
    if grouped and not has_group_by:
        raise _invalid("group_by is not a valid field.")
    if unknown := {*grouped} - {*groupings_of(entry)}:
        raise _invalid(f"{sorted(unknown)} are not valid group-bys, or not supported by the sandbox.")
    required = [name for name in groupings_of(entry) if name.endswith("_id")][: _REQUIRED.get(entry.jsonapi_type, 0)]
    if missing := [name for name in required if name not in grouped]:
        raise _invalid(f"The group-bys {missing} are required.")


def _is_metric(store: Store, id: str) -> bool:
    return any(store.has(name, id) for name in ("metrics", "custom_metrics") if name in store.catalog)


def _result(request: Request, row: Row) -> dict[str, Any]:
    groupings, counts = row
    asked = request.asked
    names = asked.group_by if asked.group_by is not None else groupings_of(request.entry)
    if asked.interval is not None:
        days = [_finished(counts(day, day)) for day in request.days]
        statistics: dict[str, Any] = {name: [day[name] for day in days] for name in asked.statistics}
    else:
        finished = _finished(counts(request.first, request.last))
        statistics = {name: finished[name] for name in asked.statistics}
    return {"groupings": {name: groupings[name] for name in names}, "statistics": statistics}


def _finished(counts: Counts) -> Counts:
    return with_rates(counts) if "recipients" in counts else counts


def _segments(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    found = _ANY.fullmatch(text)
    if found is None or found[1] != "segment_id":
        raise _invalid(f"The filter '{text}' is not supported by the sandbox.")
    ids = msgspec.json.decode(found[2], type=list[str])
    if len(ids) > _MAX_IDS:
        raise _invalid("Max of 100 messages per ANY filter.")
    return frozenset(ids)


def _invalid(detail: str) -> ApiError:
    return ApiError(400, "invalid", "Invalid input.", detail)
