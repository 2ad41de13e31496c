"""Rows of reports, counted from the events of the account, deleted campaigns and flows included.

Everything that happens to a message of a campaign counts on the day on which the campaign was sent; to a message of a flow, on the day on which the
profile got it last before. Opens by machines count as opens, as in Klaviyo. Views of forms leave no events, so their numbers are made up.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from klaviyo_assets.sandbox.campaign_message_names import campaign_message_name
from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.instants import from_micros
from klaviyo_assets.sandbox.ledger import Fact, ledger_of
from klaviyo_assets.sandbox.message_counts import Counts as MessageCounts
from klaviyo_assets.sandbox.message_counts import Message, SendTimes, counted, message_of, statistics
from klaviyo_assets.sandbox.records import Record
from klaviyo_assets.sandbox.report_numbers import number
from klaviyo_assets.sandbox.report_request import Counts, Request, Row

_CHANNELS = {"push": "push-notification"}


def rows(request: Request) -> Iterator[Row]:
    """Yield the rows of a report."""
    yield from _ROWS[request.entry.jsonapi_type](request)


def _campaigns(request: Request) -> Iterator[Row]:
    found = counted(_facts(request), _conversions(request))
    for record in request.store.with_deleted("campaigns"):
        attributes = record.attributes()
        sent_at = msgspec.json.decode(attributes["send_time"], type=datetime | None)
        if sent_at is None or not request.first <= sent_at.astimezone(request.zone).date() <= request.last:
            continue
        for message in record.related.get("campaign-messages", ()):
            counts = found.get((message, None))
            if counts is not None:
                groupings = {
                    "campaign_id": record.id,
                    "campaign_message_id": message,
                    "campaign_message_name": campaign_message_name(request.store, record, message),
                    "send_channel": _CHANNELS.get(counts.channel, counts.channel),
                    "variation": None,
                    "variation_name": None,
                }
                yield groupings, _always(dict(statistics(counts)))


def _flows(request: Request) -> Iterator[Row]:
    facts, is_conversion = _facts(request), _conversions(request)
    times, by_message = SendTimes(facts), dict[Message, list[tuple[date, Fact]]]()
    for fact in facts:
        message = message_of(fact, is_conversion)
        if message is not None:
            day = from_micros(times.of(fact)).astimezone(request.zone).date()
            by_message.setdefault(message, []).append((day, fact))
    flows = {record.id: record for record in request.store.with_deleted("flows")}
    for message, dated in by_message.items():
        flow = flows.get(next((_flow_of(fact) for _, fact in dated if _flow_of(fact) is not None), None) or "")
        if flow is not None and any(request.first <= day <= request.last for day, _ in dated):
            yield _flow_groupings(request, flow, message, dated), _between(message, dated, is_conversion)


def _flow_groupings(request: Request, flow: Record, message: Message, dated: Sequence[tuple[date, Fact]]) -> dict[str, str | None]:
    (counts,) = counted((fact for _, fact in dated), lambda fact: True).values()
    message_id, variation = message
    return {
        "flow_id": flow.id,
        "flow_name": _name(flow),
        "flow_message_id": message_id,
        "flow_message_name": _message_name(request, message_id),
        "send_channel": _CHANNELS.get(counts.channel, counts.channel),
        "variation": variation,
        "variation_name": variation and _message_name(request, variation),
    }


def _between(message: Message, dated: Sequence[tuple[date, Fact]], is_conversion: Callable[[Fact], bool]) -> Callable[[date, date], Counts]:
    def counts(first: date, last: date) -> Counts:
        found = counted((fact for day, fact in dated if first <= day <= last), is_conversion)
        return dict(statistics(found.get(message, MessageCounts())))

    return counts


def _forms(request: Request) -> Iterator[Row]:
    submitted: dict[tuple[str, date], list[Fact]] = {}
    for fact in _facts(request):
        if fact.role is Role.FORM_SUBMITTED and fact.form_id is not None:
            submitted.setdefault((fact.form_id, from_micros(fact.at).astimezone(request.zone).date()), []).append(fact)
    versions = {parent: record.id for parent, record in request.store.children["form_versions"]} if "form_versions" in request.store.children else {}
    for record in request.store.with_deleted("forms") if "forms" in request.store.catalog else ():
        groupings = {"form_id": record.id, "form_version_id": versions.get(record.id, "1")}
        yield groupings, _form_counts(request, record.id, submitted)


def _form_counts(request: Request, form: str, submitted: Mapping[tuple[str, date], Sequence[Fact]]) -> Callable[[date, date], Counts]:
    def counts(first: date, last: date) -> Counts:
        facts, closed = list[Fact](), 0
        for offset in range((last - first).days + 1):
            day = first + timedelta(days=offset)
            facts.extend(submitted.get((form, day), ()))
            closed += int(number("views", day, form) % 30 * request.share_of(day))
        submits, people = len(facts), len({fact.profile_id for fact in facts})
        views = submits + closed
        return {
            "viewed_form": views,
            "viewed_form_uniques": people + closed * 9 // 10,
            "viewed_form_step": views + submits,
            "viewed_form_step_uniques": people + closed * 9 // 10,
            "closed_form": closed,
            "closed_form_uniques": closed * 9 // 10,
            "submits": submits,
            "submit_rate": round(submits / views, 6) if views else 0.0,
            "submitted_form_step": submits,
            "submitted_form_step_uniques": people,
            "qualified_form": views + closed // 2,
            "qualified_form_uniques": people + closed,
        }

    return counts


def _segments(request: Request) -> Iterator[Row]:
    for record in request.store["segments"]:
        if request.segments is None or record.id in request.segments:
            members = request.store.children["segment_members"].of(record.id) if "segment_members" in request.store.children else ()
            joined = [one.values["joined_group_at"] for one in members]
            days = sorted(from_micros(at).astimezone(request.zone).date() for at in joined if isinstance(at, int))
            yield {"segment_id": record.id}, _member_counts(days, request.today)


def _member_counts(joined: Sequence[date], today: date) -> Callable[[date, date], Counts]:
    """Return the counts of a segment's members: those of today, by the day on which each joined."""

    def counts(first: date, last: date) -> Counts:
        added = sum(first <= day <= last for day in joined)
        total = sum(day <= last for day in joined) if first <= today else 0
        return {"total_members": total, "members_added": added, "members_removed": 0, "net_members_changed": added}

    return counts


def _facts(request: Request) -> list[Fact]:
    return list(ledger_of(request.store).facts(request.now_micros))


def _conversions(request: Request) -> Callable[[Fact], bool]:
    """Return whether an event is a conversion: one of the metric, or of the metrics of the custom metric."""
    id, wanted = request.asked.conversion_metric_id, {request.asked.conversion_metric_id}
    custom = request.store["custom_metrics"].get(id) if "custom_metrics" in request.store.collections else None
    if custom is not None:
        definition: dict[str, Any] = msgspec.json.decode(custom.attributes()["definition"])
        wanted = {group["metric_id"] for group in definition["metric_groups"]}
    return lambda fact: fact.metric_id in wanted


def _flow_of(fact: Fact) -> str | None:
    return fact.flow_id or (fact.attributed.flow_id if fact.attributed is not None else None)


def _name(record: Record) -> str:
    return msgspec.json.decode(record.attributes()["name"], type=str)


def _message_name(request: Request, id: str) -> str:
    """Return the name of a flow's message; that of a deleted one is no longer known."""
    messages: Iterable[Record | None] = (request.store["flow_messages"].get(id),) if "flow_messages" in request.store.collections else ()
    names = [msgspec.json.decode(one.attributes()["definition"], type=dict[str, Any]).get("name") for one in messages if one is not None]
    return str(names[0]) if names else f"Message {id}"


def _always(counts: Counts) -> Callable[[date, date], Counts]:
    return lambda first, last: counts


_ROWS: Mapping[str, Callable[[Request], Iterator[Row]]] = {
    "campaign-values-report": _campaigns,
    "flow-values-report": _flows,
    "flow-series-report": _flows,
    "form-series-report": _forms,
    "segment-series-report": _segments,
}
