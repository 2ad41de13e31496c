"""A record in the sandbox: its JSON, ready to send, and the values to filter and sort by.

The JSON is generated once. A page then only joins bytes, and numbers that no Python type can hold are sent exactly as written.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import msgspec

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.fields import Value, values_of
from klaviyo_assets.sandbox.instants import render
from klaviyo_assets.sandbox.json_members import members_of

SITE = "https://a.klaviyo.com"
"""Origin in the links of records: Klaviyo's own, because a record's bytes must not depend on the sandbox's port."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT")

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Record:
    """One resource object.

    Attributes:
        id: Its id.
        raw: Its JSON without additional fields.
        cut: Offset in ``raw`` of the closing brace of the attributes.
        values: Values to filter and sort by; also ``id``.
        extras: JSON of the additional fields, by attribute.
        related: Ids of related records that are only sent with ``include``, by relationship.
        volatile: Attributes that differ in every response although nothing has changed.
        resources: Resource objects of related records that no collection has, by id.
    """

    id: str
    raw: bytes
    cut: int
    values: Mapping[str, Value]
    extras: Mapping[str, bytes] = field(default_factory=dict)
    related: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    volatile: tuple[str, ...] = ()
    resources: Mapping[str, bytes] = field(default_factory=lambda: _NOTHING)

    def rendered(self, additional: tuple[str, ...] = ()) -> bytes:
        """Return the record's JSON with these additional fields."""
        found = [b',"%b":%b' % (name.encode(), self.extras[name]) for name in additional if name in self.extras]
        return b"".join((self.raw[: self.cut], *found, self.raw[self.cut :])) if found else self.raw

    def attributes(self) -> dict[str, msgspec.Raw]:
        """Return the attributes as raw JSON."""
        return members_of(members_of(self.raw)["attributes"])


def encode(value: Any) -> bytes:
    """Return a value as JSON; raw JSON in it (``msgspec.Raw``) stays unchanged."""
    return msgspec.json.encode(value)


def identifier(entry: ResourceType, record: Record) -> bytes:
    """Return a record's resource identifier: type and id."""
    return encode({"type": entry.jsonapi_type, "id": record.id})


_TARGETS = {"flow-triggers": "flow", "variants": "catalog-variant", "current-schema": "object-schema", "draft-schema": "object-schema"}
"""Types that differ from the name of the relationship."""


def target_type(relationship: str) -> str:
    """Return the JSON:API type of a relationship's records."""
    return _TARGETS.get(relationship, relationship.removesuffix("s"))


_WITHOUT_LINKS = frozenset({"webhook-topics"})
"""Relationships that Klaviyo sends without links, as recorded."""


def links_only(path: str, id: str, relationship: str) -> dict[str, Any]:
    """Return a relationship object with links but no ids, as Klaviyo sends it without ``include``."""
    return {"links": relationship_links(path, id, relationship)}


def own_link(path: str, id: str) -> str:
    """Return the link of a record, without the last slash; the ``$`` and ``:`` of compound ids are not escaped, as recorded."""
    return f"{SITE}{path}/{quote(id, safe='$:')}"


def relationship_links(path: str, id: str, relationship: str) -> dict[str, str]:
    """Return the links of a relationship."""
    url = own_link(path, id)
    return {"self": f"{url}/relationships/{relationship}/", "related": f"{url}/{relationship}/"}


def own_path(entry: ResourceType) -> str:
    """Return the path in the links of a type's records: also records that are listed per parent have a path of their own."""
    path = entry.endpoint.path
    return f"/api/{path.rsplit('/', 1)[1]}" if "{id}" in path else path


def build(
    entry: ResourceType,
    id: str,
    attributes: dict[str, Any],
    *,
    linked: Mapping[str, Any] = _NOTHING,
    related: Mapping[str, tuple[str, ...]] = _NOTHING,
    extras: Mapping[str, Any] = _NOTHING,
    values: Mapping[str, Value] = _NOTHING,
    other_relationships: tuple[str, ...] = (),
    includable: tuple[str, ...] | None = None,
    volatile: tuple[str, ...] = (),
) -> Record:
    """Build a record of a type.

    Args:
        entry: The type.
        id: The id.
        attributes: Its attributes; ``msgspec.Raw`` for JSON that must stay unchanged.
        linked: Resource identifiers that its relationships always contain, by relationship.
        related: Ids that its relationships contain with ``include`` only.
        extras: Additional fields.
        values: Values to filter by that are not in the attributes.
        other_relationships: Relationships with links that cannot be included.
        includable: Relationships with links that can be included; those of the endpoint if None.
        volatile: Attributes that differ in every response although nothing has changed.
    """
    path = own_path(entry)
    names = dict.fromkeys((*linked, *(entry.endpoint.includes if includable is None else includable), *other_relationships))
    relationships = {
        name: ({"data": linked[name]} if name in linked else {}) | ({} if name in _WITHOUT_LINKS else {"links": relationship_links(path, id, name)})
        for name in names
    }
    tail: dict[str, Any] = {"relationships": relationships} if relationships else {}
    tail["links"] = {"self": f"{own_link(path, id)}/"}
    raw, cut = _assemble(entry, id, attributes, b"}," + encode(tail)[1:])
    encoded = {name: encode(value) for name, value in extras.items()}
    return Record(id, raw, cut, {"id": id, **values_of(entry, attributes), **values}, encoded, related, volatile)


def joined(record: Record, addition: Record) -> Record:
    """Return a record as another endpoint returns it: with the attributes of ``addition``, which has the same id."""
    added = members_of(addition.raw)["attributes"]
    attributes = bytes(added)[1:-1]
    raw = record.raw[: record.cut] + (b"," + attributes if attributes else b"")
    return replace(
        record, raw=raw + not_by_itself(record.raw[record.cut :]), cut=len(raw), values={**record.values, **addition.values}, related=_NOTHING
    )


def refreshed(record: Record, raw: bytes, now: int) -> bytes:
    """Return a record's JSON with the volatile attributes as a response at this time has them: an instant is now, a URL is signed now."""
    members = members_of(raw)
    attributes: dict[str, Any] = {**members_of(members["attributes"])}
    for name in record.volatile:
        if isinstance(before := _text(attributes.get(name)), str):
            attributes[name] = render(now) if _INSTANT.match(before) else f"{before}?signed_at={now}"
    return encode({**members, "attributes": attributes})


def _text(raw: msgspec.Raw | None) -> Any:
    return None if raw is None else msgspec.json.decode(raw)


def relinked(record: Record, relationship: str, type_name: str, ids: Sequence[str]) -> Record:
    """Return the record with other ids in a relationship, in the included linkage and in one that its responses always contain."""
    head = b'{"attributes":{'
    members = members_of(head + record.raw[record.cut :])
    relationships: dict[str, Any] = msgspec.json.decode(members["relationships"], type=dict[str, dict[str, msgspec.Raw]])
    if "data" in relationships[relationship]:
        relationships[relationship] = {**relationships[relationship], "data": [{"type": type_name, "id": id} for id in ids]}
    tail = encode({**members, "relationships": relationships})[len(head) :]
    return replace(record, raw=record.raw[: record.cut] + tail, related={**record.related, relationship: tuple(ids)})


def with_id(record: Record, id: str) -> Record:
    """Return the record with another id."""
    raw = record.raw.replace(b'"id":"%b"' % record.id.encode(), b'"id":"%b"' % id.encode(), 1)
    raw = raw.replace(b"/%b/" % record.id.encode(), b"/%b/" % id.encode())
    return replace(record, id=id, raw=raw, cut=record.cut + len(id) - len(record.id), values={**record.values, "id": id})


def not_by_itself(tail: bytes) -> bytes:
    """Return what follows the attributes as other endpoints than the type's own send it: there a profile has one ``conversation``, as recorded."""
    return tail.replace(b"conversations", b"conversation")


def changed(entry: ResourceType, record: Record, attributes: Mapping[str, Any], values: Mapping[str, Value] = _NOTHING) -> Record:
    """Return the record with some attributes or additional fields replaced; all other bytes stay the same."""
    extras = {name: encode(value) for name, value in attributes.items() if name in record.extras}
    now: dict[str, Any] = {**record.attributes(), **{name: value for name, value in attributes.items() if name not in extras}}
    raw, cut = _assemble(entry, record.id, now, record.raw[record.cut :])
    merged = {**record.values, **values_of(entry, now), **values}
    return replace(record, raw=raw, cut=cut, values=merged, extras={**record.extras, **extras})


def _assemble(entry: ResourceType, id: str, attributes: Mapping[str, Any], tail: bytes) -> tuple[bytes, int]:
    head = b'{"type":"%b","id":%b,"attributes":%b' % (entry.jsonapi_type.encode(), encode(id), encode(attributes)[:-1])
    return head + tail, len(head)
