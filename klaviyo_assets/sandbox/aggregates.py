"""Responses to ``POST /api/metric-aggregates``: the number of events of a metric per day.

Only the audit's requests are supported: the measurement ``count`` by ``day`` or ``hour``, without grouping. Everything else is rejected, so no
user mistakes a made-up number for Klaviyo's. Source: https://developers.klaviyo.com/en/reference/query_metric_aggregates .
"""

import re
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from klaviyo_assets.catalog.types.metric_aggregates import METRIC_AGGREGATES
from klaviyo_assets.sandbox import instants
from klaviyo_assets.sandbox.errors import ApiError
from klaviyo_assets.sandbox.records import encode
from klaviyo_assets.sandbox.store import Store

_FILTER = re.compile(r"(greater-or-equal|less-than)\(datetime,([0-9T:.+Z-]+)\)")
_LEAP_DAY = timedelta(days=1)
_STEPS = {"day": timedelta(days=1), "hour": timedelta(hours=1)}


class Attributes(msgspec.Struct):
    """Attributes of a request."""

    metric_id: str
    measurements: list[Literal["count"]]
    filter: list[str]
    interval: Literal["day", "hour"] = "day"
    timezone: str = "UTC"
    page_size: int = 500


class _Data(msgspec.Struct):
    type: Literal["metric-aggregate"]
    attributes: Attributes


class _Document(msgspec.Struct):
    data: _Data


def aggregate(store: Store, body: bytes, origin: str, query: str = "") -> bytes:
    """Return the document with the counts that a request asks for.

    Args:
        store: The account's records.
        body: The request's body.
        origin: The sandbox's own origin, for links.
        query: The request's query string, which the document's ``self`` link repeats.

    Raises:
        ApiError: 400, if Klaviyo would reject the request or the sandbox does not support it; 404, if there is no such metric.
    """
    try:
        request = msgspec.json.decode(body, type=_Document).data.attributes
    except msgspec.MsgspecError as error:
        raise _invalid(str(error)) from error
    if store["metrics"].get(request.metric_id) is None:
        raise ApiError(404, "not_found", "Not found.", f"A metric with id {request.metric_id} does not exist.")
    zone = _zone(request.timezone)
    since, until = _time_range(request.filter, zone)
    starts = _starts(_floor(since, request.interval), until, _STEPS[request.interval], zone)
    counts = _counts(store, request, since, until, zone)
    link = {"self": f"{origin}{METRIC_AGGREGATES.path}/"}
    measured = {"dimensions": [], "measurements": {"count": [counts[start] for start in starts]}}
    data = {
        "type": METRIC_AGGREGATES.jsonapi_type,
        "id": str(uuid.uuid4().int % 10**18),
        "attributes": {"dates": [start.isoformat() for start in starts], "data": [measured]},
        "links": link,
    }
    return encode({"data": data, "links": {"self": f"{origin}{METRIC_AGGREGATES.path}" + (f"?{query}" if query else ""), "next": None, "prev": None}})


def _counts(store: Store, request: Attributes, since: datetime, until: datetime, zone: ZoneInfo) -> Counter[datetime]:
    first, last = instants.to_micros(since), instants.to_micros(until)
    found: Counter[datetime] = Counter()
    for record in store["events"].walk("datetime", descending=False, low=(1, first, ""), high=(1, last, "")):
        moment = record.values["datetime"]
        if record.values["metric_id"] == request.metric_id and isinstance(moment, int):
            found[_floor(instants.from_micros(moment).astimezone(zone), request.interval)] += 1
    return found


def _floor(moment: datetime, interval: str) -> datetime:
    whole = moment.replace(minute=0, second=0, microsecond=0)
    return whole.replace(hour=0) if interval == "day" else whole


def _starts(since: datetime, until: datetime, step: timedelta, zone: ZoneInfo) -> list[datetime]:
    starts, start = [], since
    while start < until:
        starts.append(start)
        # Days follow the wall clock: a day on which daylight saving time begins or ends has 23 or 25 hours.
        start = start + step if step == _STEPS["day"] else (start.astimezone(UTC) + step).astimezone(zone)
    return starts


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise _invalid(f"'{name}' is not a valid timezone.") from error


def _time_range(filters: list[str], zone: ZoneInfo) -> tuple[datetime, datetime]:
    bounds: dict[str, datetime] = {}
    for text in filters:
        match = _FILTER.fullmatch(text)
        if match is None:
            raise _invalid(f"The filter '{text}' is not supported by the sandbox.")
        bounds[match[1]] = _instant(match[2], zone)
    if set(bounds) != {"greater-or-equal", "less-than"}:
        raise _invalid("A time range must be given: greater-or-equal and less-than on datetime.")
    since, until = bounds["greater-or-equal"], bounds["less-than"]
    if since >= until:
        raise _invalid("The time range is empty.")
    if until - since > METRIC_AGGREGATES.longest_span + _LEAP_DAY:
        raise _invalid("The time range must not be longer than one year.")
    return since, until


def _instant(text: str, zone: ZoneInfo) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid(f"'{text}' is not a valid datetime.") from error
    return value.astimezone(zone) if value.tzinfo else value.replace(tzinfo=zone)


def _invalid(detail: str) -> ApiError:
    return ApiError(400, "invalid", "Invalid input.", detail)
