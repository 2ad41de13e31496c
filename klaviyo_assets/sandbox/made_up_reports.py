"""Rows of reports with made-up numbers: for accounts with few events, as tests of reports have them; they grow with the clock.

Rows come from the sandbox's own campaigns, flows, forms and segments, deleted ones included; their numbers from ``report_numbers``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime

import msgspec

from klaviyo_assets.sandbox.campaign_message_names import campaign_message_name
from klaviyo_assets.sandbox.report_numbers import form_counts, message_counts, number, segment_counts, sent_on
from klaviyo_assets.sandbox.report_request import DAY, Counts, Request, Row

_DayRow = tuple[Mapping[str, str | None], Callable[[date], Counts], date, date]
"""Groupings, a function that returns the counts of a day, and the first and the last day that may have any."""


def made_up_rows(request: Request) -> Iterator[Row]:
    """Yield the rows of a report."""
    for groupings, counts_on, first, last in _ROWS[request.entry.jsonapi_type](request):
        yield groupings, _added_up(counts_on, first, last)


def _added_up(counts_on: Callable[[date], Counts], first: date, last: date) -> Callable[[date, date], Counts]:
    def counts(since: date, until: date) -> Counts:
        if since == until:
            return counts_on(since)
        total: Counts = {}
        day = max(since, first)
        while day <= min(until, last):
            for name, count in counts_on(day).items():
                total[name] = total.get(name, 0) + count
            day += DAY
        return total

    return counts


def _campaigns(request: Request) -> Iterator[_DayRow]:
    """Yield the messages that were sent in the time frame; a campaign counts on the day on which it was sent."""
    for record in request.store.with_deleted("campaigns"):
        attributes = record.attributes()
        status = msgspec.json.decode(attributes["status"], type=str)
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
                    "campaign_message_name": campaign_message_name(request.store, record, message),
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


def _flows(request: Request) -> Iterator[_DayRow]:
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


def _daily(request: Request, begin: date, message: str, variation: str | None) -> Callable[[date], Counts]:
    def counts(day: date) -> Counts:
        hours = request.hours_since(day)
        sent = sent_on(day, message, variation) if begin <= day and hours >= 0 else 0
        return message_counts(sent, hours, request.asked.conversion_metric_id, message, variation, day)

    return counts


def _forms(request: Request) -> Iterator[_DayRow]:
    for record in request.store.with_deleted("forms") if "forms" in request.store.catalog else ():
        for version in ("1", "2")[: 1 + number("versions", record.id) % 2]:
            groupings = {"form_id": record.id, "form_version_id": str(1000 + number("version", record.id, version) % 9000)}
            yield groupings, _of_day(request, form_counts, record.id, version), request.first, request.last


def _segments(request: Request) -> Iterator[_DayRow]:
    for record in request.store["segments"]:
        if request.segments is None or record.id in request.segments:
            yield {"segment_id": record.id}, _of_day(request, segment_counts, record.id), request.first, request.last


def _of_day(request: Request, counts: Callable[..., Counts], *parts: str) -> Callable[[date], Counts]:
    return lambda day: counts(day, request.share_of(day), *parts)


_ROWS: Mapping[str, Callable[[Request], Iterator[_DayRow]]] = {
    "campaign-values-report": _campaigns,
    "flow-values-report": _flows,
    "flow-series-report": _flows,
    "form-series-report": _forms,
    "segment-series-report": _segments,
}
