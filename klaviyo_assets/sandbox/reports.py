"""Responses to the reporting API: campaign, flow, form and segment reports.

Rows come from the sandbox's own campaigns, flows, forms and segments, deleted ones included; their numbers from ``report_numbers``. Requests that
Klaviyo would refuse are refused. Sources: OpenAPI ``CampaignValuesRequestDTO`` and its siblings, and recorded responses.
"""

import random
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from klaviyo_assets.catalog.replication import ReportWindows
from klaviyo_assets.catalog.report_columns import groupings_of, statistics_of
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.errors import ApiError
from klaviyo_assets.sandbox.instants import from_micros
from klaviyo_assets.sandbox.records import encode
from klaviyo_assets.sandbox.report_numbers import Counts, form_counts, message_counts, number, segment_counts, sent_on, with_rates
from klaviyo_assets.sandbox.store import Store

_DAY = timedelta(days=1)
_LONGEST, _LONGEST_DAILY = timedelta(days=366), timedelta(days=60)
_MAX_IDS = 100
_ANY = re.compile(r"any\((\w+),(\[.*\])\)")
_REQUIRED = {"campaign-values-report": 2, "flow-values-report": 2, "flow-series-report": 2}
"""How many of ``campaign_id, campaign_message_id`` and ``flow_id, flow_message_id`` a request must group by."""

Row = tuple[Mapping[str, str | None], Callable[[date], Counts], date, date]
"""Groupings, a function that returns the counts of a day, and the first and the last day that may have any."""


class Timeframe(msgspec.Struct):
    """A custom time frame."""

    start: datetime
    end: datetime


class Attributes(msgspec.Struct, forbid_unknown_fields=True):
    """Attributes of a request."""

    statistics: list[str]
    timeframe: Timeframe
    conversion_metric_id: str = ""
    group_by: list[str] | None = None
    interval: str | None = None
    filter: str | None = None


class _Data(msgspec.Struct):
    type: str
    attributes: Attributes


class _Document(msgspec.Struct):
    data: _Data


@dataclass(frozen=True)
class _Request:
    """A checked request.

    Attributes:
        store: The account's records.
        entry: The report.
        asked: Its attributes.
        zone: The account's time zone.
        first: First day of the time frame.
        last: Last day of the time frame.
        now: The sandbox's time.
    """

    store: Store
    entry: ResourceType
    asked: Attributes
    zone: ZoneInfo
    first: date
    last: date
    now: datetime

    @property
    def days(self) -> list[date]:
        return [self.first + number * _DAY for number in range((self.last - self.first).days + 1)]

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def hours_since(self, day: date) -> float:
        """Return the hours since noon of a day; negative before."""
        return (self.now - datetime.combine(day, time(12), self.zone)).total_seconds() / 3600

    def share_of(self, day: date) -> float:
        """Return the share of a day that has passed."""
        passed = self.now - datetime.combine(day, time(), self.zone)
        return max(0.0, min(1.0, passed / _DAY))


def report(store: Store, entry: ResourceType, body: bytes, url: str, query: Mapping[str, str], now: int, page_rows: int = 0) -> bytes:
    """Return the document that a request asks for.

    Args:
        store: The account's records.
        entry: The report.
        body: The request's body.
        url: The request's URL without its query, for links.
        query: The request's query parameters.
        now: The sandbox's time.
        page_rows: Results of a page; 0 for all.

    Raises:
        ApiError: 400, if Klaviyo would reject the request; 404, if there is no such conversion metric.
    """
    request = _checked(store, entry, body, from_micros(now))
    is_series = request.asked.interval is not None
    rows = list(_ROWS[entry.jsonapi_type](request))
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


def _checked(store: Store, entry: ResourceType, body: bytes, now: datetime) -> _Request:
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
    return _Request(store, entry, asked, zone, first, last, now)


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


def _result(request: _Request, row: Row) -> dict[str, Any]:
    groupings, counts_on, first, last = row
    asked = request.asked
    names = asked.group_by if asked.group_by is not None else groupings_of(request.entry)
    if asked.interval is not None:
        days = [_finished(request, counts_on(day)) for day in request.days]
        statistics: dict[str, Any] = {name: [day[name] for day in days] for name in asked.statistics}
    else:
        total: Counts = {}
        for day in (day for day in request.days if first <= day <= last):
            for name, count in counts_on(day).items():
                total[name] = total.get(name, 0) + count
        finished = _finished(request, total)
        statistics = {name: finished[name] for name in asked.statistics}
    return {"groupings": {name: groupings[name] for name in names}, "statistics": statistics}


def _finished(request: _Request, counts: Counts) -> Counts:
    return with_rates(counts) if "recipients" in counts else counts


def _campaigns(request: _Request) -> Iterator[Row]:
    """Yield the messages that were sent in the time frame; a campaign counts on the day on which it was sent."""
    for record in request.store.with_deleted("campaigns"):
        attributes = record.attributes()
        status, name = (msgspec.json.decode(attributes[one], type=str) for one in ("status", "name"))
        sent_at = msgspec.json.decode(attributes["send_time"], type=datetime | None)
        if status != "Sent" or sent_at is None or sent_at > request.now:
            continue
        sent_on_day = sent_at.astimezone(request.zone).date()
        if not request.first <= sent_on_day <= request.last:
            continue
        hours = (request.now - sent_at).total_seconds() / 3600
        channel = {"mobile_push": "push-notification"}.get(str(record.values["messages.channel"]), str(record.values["messages.channel"]))
        for message in record.related.get("campaign-messages", ()):
            for variation in _variations(message):
                groupings = {
                    "campaign_id": record.id,
                    "campaign_message_id": message,
                    "campaign_message_name": name,
                    "send_channel": channel,
                    "variation": variation,
                    "variation_name": variation and f"Variation {variation[-1]}",
                }
                yield groupings, _once(sent_on_day, hours, request.asked.conversion_metric_id, message, variation), sent_on_day, sent_on_day


def _once(day: date, hours: float, metric: str, message: str, variation: str | None) -> Callable[[date], Counts]:
    sent = 100 + number("recipients", message, variation) % 5000
    counts = message_counts(sent, hours, metric, message, variation)
    nothing = dict.fromkeys(counts, 0.0)
    return lambda asked: counts if asked == day else nothing


def _variations(message: str) -> Sequence[str | None]:
    return (f"{message}A", f"{message}B") if number("variations", message) % 4 == 0 else (None,)


def _flows(request: _Request) -> Iterator[Row]:
    """Yield the messages of flows that sent any in the time frame: one for each action of the flow."""
    for record in request.store.with_deleted("flows"):
        attributes = record.attributes()
        status, name = (msgspec.json.decode(attributes[one], type=str) for one in ("status", "name"))
        begin = msgspec.json.decode(attributes["created"], type=datetime).astimezone(request.zone).date()
        if status == "draft" or begin > request.last:
            continue
        for action in record.related.get("flow-actions", ()):
            message = f"M{action}"
            for variation in _variations(message):
                groupings = {
                    "flow_id": record.id,
                    "flow_name": name,
                    "flow_message_id": message,
                    "flow_message_name": f"{name}, message {action[-2:]}",
                    "send_channel": "sms" if number("channel", message) % 5 == 0 else "email",
                    "variation": variation,
                    "variation_name": variation and f"Variation {variation[-1]}",
                }
                yield groupings, _daily(request, begin, message, variation), begin, max(begin, request.today)


def _daily(request: _Request, begin: date, message: str, variation: str | None) -> Callable[[date], Counts]:
    def counts(day: date) -> Counts:
        hours = request.hours_since(day)
        sent = sent_on(day, message, variation) if begin <= day and hours >= 0 else 0
        return message_counts(sent, hours, request.asked.conversion_metric_id, message, variation, day)

    return counts


def _forms(request: _Request) -> Iterator[Row]:
    for record in request.store.with_deleted("forms") if "forms" in request.store.catalog else ():
        for version in ("1", "2")[: 1 + number("versions", record.id) % 2]:
            groupings = {"form_id": record.id, "form_version_id": str(1000 + number("version", record.id, version) % 9000)}
            yield groupings, _of_day(request, form_counts, record.id, version), request.first, request.last


def _segments(request: _Request) -> Iterator[Row]:
    wanted = _ids(request.asked.filter)
    for record in request.store["segments"]:
        if wanted is None or record.id in wanted:
            yield {"segment_id": record.id}, _of_day(request, segment_counts, record.id), request.first, request.last


def _of_day(request: _Request, counts: Callable[..., Counts], *parts: str) -> Callable[[date], Counts]:
    return lambda day: counts(day, request.share_of(day), *parts)


def _ids(text: str | None) -> set[str] | None:
    if text is None:
        return None
    found = _ANY.fullmatch(text)
    if found is None or found[1] != "segment_id":
        raise _invalid(f"The filter '{text}' is not supported by the sandbox.")
    ids = msgspec.json.decode(found[2], type=list[str])
    if len(ids) > _MAX_IDS:
        raise _invalid("Max of 100 messages per ANY filter.")
    return {*ids}


_ROWS: Mapping[str, Callable[[_Request], Iterator[Row]]] = {
    "campaign-values-report": _campaigns,
    "flow-values-report": _flows,
    "flow-series-report": _flows,
    "form-series-report": _forms,
    "segment-series-report": _segments,
}


def _invalid(detail: str) -> ApiError:
    return ApiError(400, "invalid", "Invalid input.", detail)
