"""Compound documents: the resource objects of a record's relationships, for ``include``.

Types in the catalog come from the store. The others (tags, messages, flow actions, …) are rendered as minimal valid objects, since only their ids
are stored.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.json_members import members_of
from klaviyo_assets.sandbox.records import SITE, Record, encode, links_only, not_by_itself, target_type
from klaviyo_assets.sandbox.store import Store

_EPOCH = "2024-01-01T00:00:00+00:00"


def scope_for(relationship: str, store: Store) -> str | None:
    """Return the scope of the included type, if the sandbox has an endpoint for it."""
    collection = store.of_jsonapi_type(target_type(relationship))
    return None if collection is None else collection.entry.scope


def _push_token(id: str, owner: str) -> dict[str, Any]:
    return {
        "created": _EPOCH,
        "token": f"made-up-{id}",
        "enablement_status": "AUTHORIZED",
        "platform": "ios",
        "vendor": "apns",
        "background": "AVAILABLE",
        "recorded_date": _EPOCH,
    }


def _object_schema(id: str, owner: str) -> dict[str, Any]:
    return {
        "title": f"schema {id[:4]}",
        "description": "",
        "status": "active",
        "properties": [],
        "required": [],
        "published_at": _EPOCH,
        "visibility": "private",
    }


_MINOR: dict[str, tuple[str, Callable[[str, str], dict[str, Any]]]] = {
    "campaign-message": ("campaign-messages", lambda id, owner: {"definition": None, "send_times": None}),
    "conversation": ("conversations", lambda id, owner: {"channel": "sms"}),
    "flow-action": ("flow-actions", lambda id, owner: {"created": _EPOCH, "updated": _EPOCH, "definition": None}),
    "object-schema": ("object-schemas", _object_schema),
    "push-token": ("push-tokens", _push_token),
    "tag": ("tags", lambda id, owner: {"name": f"tag {id[:4]}"}),
}

_RELATIONSHIPS: dict[str, tuple[str, ...]] = {
    "campaign-message": ("campaign", "template", "image"),
    "flow-action": ("flow", "flow-messages"),
    "tag": ("tag-group", "lists", "segments", "campaigns", "flows"),
}
"""Relationships of these types; one that points back to the record that includes them contains its id."""


def _minor(type_name: str, id: str, owner: str, owner_type: str) -> bytes:
    path, attributes = _MINOR.get(type_name, (f"{type_name}s", lambda id, owner: {}))
    resource: dict[str, Any] = {"type": type_name, "id": id, "attributes": attributes(id, owner)}
    if type_name in _RELATIONSHIPS:
        resource["relationships"] = {
            name: ({"data": {"type": name, "id": owner}} if name == owner_type else {}) | links_only(f"/api/{path}", id, name)
            for name in _RELATIONSHIPS[type_name]
        }
    resource["links"] = {"self": f"{SITE}/api/{path}/{id}/"}
    return encode(resource)


def related_ids(record: Record, relationship: str) -> tuple[str, ...]:
    """Return the ids in a relationship of a record."""
    if relationship in record.related:
        return record.related[relationship]
    id = record.values.get(f"{relationship.replace('-', '_')}_id")
    return () if id is None else (str(id),)


def resource(store: Store, type_name: str, id: str, owner: Record, owner_type: str) -> bytes | None:
    """Return an included resource object, or None if the record has been deleted.

    Args:
        store: The account.
        type_name: JSON:API type.
        id: Its id.
        owner: The record that includes it.
        owner_type: JSON:API type of that record.
    """
    if id in owner.resources:
        return owner.resources[id]
    collection = store.of_jsonapi_type(type_name)
    found = None if collection is None else collection.get(id)
    if found is not None:
        return found.raw[: found.cut] + not_by_itself(found.raw[found.cut :])
    return None if collection is not None and type_name not in _MINOR else _minor(type_name, id, owner.id, owner_type)


def with_linkage(entry: ResourceType, record: Record, raw: bytes, include: tuple[str, ...]) -> bytes:
    """Return a record's JSON in which the included relationships contain their ids."""
    tail = raw[record.cut :]
    missing = [name for name in include if name in record.related and f'"{name}":'.encode() in tail]
    alone = [column.path[1] for column in entry.columns if column.path[0] == "relationships" and column.type is ColumnType.STRING]
    # Recorded for a message without a template or an image.
    without = [name for name in include if name in alone] if entry.host is not None else []
    if not missing and not without:
        return raw
    to_one = {column.path[1] for column in entry.columns if column.path[0] == "relationships" and column.type is ColumnType.STRING}
    members = members_of(raw)
    relationships: dict[str, Any] = msgspec.json.decode(members["relationships"], type=dict[str, dict[str, msgspec.Raw]])
    for name in (name for name in missing if name in relationships):
        data: Any = [{"type": target_type(name), "id": id} for id in record.related[name]]
        if name in to_one:
            data = data[0] if data else None
        relationships[name] = {"data": data, **relationships[name]}
    for name in without:
        relationships[name] = {"data": None, **relationships[name]}  # unless it names a record
    return encode({**members, "relationships": relationships})
