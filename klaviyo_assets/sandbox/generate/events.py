"""Makes events."""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from klaviyo_assets.sandbox.fields import Value
from klaviyo_assets.sandbox.generate.context import GenerationContext
from klaviyo_assets.sandbox.instants import DAY, HOUR, MINUTE, SECOND
from klaviyo_assets.sandbox.records import SITE, Record, encode, relationship_links

_ATTRIBUTIONS = re.compile(rb',"attributions":\{.*?\}\}')
"""The relationship in an event's JSON, after its attributes."""

_END_OF_RELATIONSHIPS = b'},"links":{"self":"https://a.klaviyo.com/api/events/'

_ARRIVAL_GRID = 10 * MINUTE
"""Late events arrive at multiples of ten minutes after the base instant, so the records do not depend on how fast a test runs."""


def event_record(context: GenerationContext, when: int, metric_id: str | None, profile_id: str | None, text: str) -> Record:
    """Make an event.

    Args:
        context: The account being generated.
        when: The event's time: whole seconds, as microseconds.
        metric_id: Its metric; None if the metric has been deleted.
        profile_id: Its profile; None if the profile has been deleted.
        text: Its properties as JSON text.
    """
    id, seconds = context.ids.event(), when // SECOND
    moment = datetime.fromtimestamp(seconds, UTC).isoformat()
    head = (
        f'{{"type":"event","id":"{id}","attributes":{{"timestamp":{seconds},"event_properties":{text},"datetime":"{moment}",'
        f'"uuid":"{context.ids.uuid()}"'
    ).encode()
    url = f"{SITE}/api/events/{id}"
    tail = (
        f'}},"relationships":{{"profile":{_relationship(url, "profile", profile_id)},'
        f'"metric":{_relationship(url, "metric", metric_id)}}},"links":{{"self":"{url}/"}}}}'
    ).encode()
    values: dict[str, Value] = {"id": id, "datetime": when, "metric_id": metric_id, "profile_id": profile_id}
    return Record(id, head + tail, len(head), values, _NO_EXTRAS, _NOT_ATTRIBUTED)


_NO_EXTRAS: dict[str, bytes] = {}
_NOT_ATTRIBUTED: dict[str, tuple[str, ...]] = {"attributions": ()}


def with_attributions(event: Record, resources: Mapping[str, bytes], *, inline: bool) -> Record:
    """Return an event with other attributions; without attributions it has no such relationship.

    Args:
        event: The event.
        resources: The attributions by id.
        inline: Whether the event's own JSON contains the ids; otherwise they are sent with ``include`` only.
    """
    ids = tuple(resources)
    tail = _ATTRIBUTIONS.sub(b"", event.raw[event.cut :], count=1)
    if ids:
        data = encode([{"type": "attribution", "id": id} for id in ids]) if inline else None
        relationship = b',"attributions":{' + (b'"data":%b,' % data if data else b"")
        relationship += b'"links":%b}' % encode(relationship_links("/api/events", event.id, "attributions"))
        # The record's own links come last; the links of its relationships start the same way.
        before, end, after = tail.rpartition(_END_OF_RELATIONSHIPS)
        tail = before + relationship + end + after
    raw = event.raw[: event.cut] + tail
    return replace(event, raw=raw, related={**event.related, "attributions": ids}, resources=resources)


def profile_identifier(id: str) -> bytes:
    """Return the resource identifier of an event's profile, as in the event's JSON."""
    return f'{{"type":"profile","id":"{id}"}}'.encode()


def _relationship(url: str, name: str, id: str | None) -> str:
    data = "" if id is None else f'"data":{{"type":"{name}","id":"{id}"}},'
    return f'{{{data}"links":{{"self":"{url}/relationships/{name}/","related":"{url}/{name}/"}}}}'


def late_moments(context: GenerationContext, rng: random.Random, count: int) -> Iterator[tuple[int, int]]:
    """Return the time and the arrival of events that arrive after the base instant."""
    base = context.base - context.base % SECOND
    for number in range(count):
        longest = (HOUR, HOUR, HOUR, 3 * HOUR, DAY, 7 * DAY, 17 * DAY)[number % 7]
        arrival = base + _ARRIVAL_GRID * (1 + int(rng.random() * (longest // _ARRIVAL_GRID)))
        moment = base - int(rng.random() * longest)
        yield moment - moment % SECOND, arrival
