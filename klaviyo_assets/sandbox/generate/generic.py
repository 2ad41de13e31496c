"""Makes records of any resource type from its columns, for types without their own maker."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from klaviyo_assets.catalog.columns import Column, ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.fields import Value
from klaviyo_assets.sandbox.generate.context import GenerationContext, Lifetime
from klaviyo_assets.sandbox.generate.likely_values import likely_value
from klaviyo_assets.sandbox.generate.words import REVIEW_TEXTS
from klaviyo_assets.sandbox.records import Record, build, target_type
from klaviyo_assets.sandbox.store import Collection, Store
from klaviyo_assets.sandbox.time_formats import written

_FREE = frozenset({ColumnType.STRING, ColumnType.JSON})

_NOTHING: Mapping[str, Any] = {}

_NULL_SHARE = 0.1
"""Share of nulls among values that Klaviyo does not guarantee."""

_LINKS_ONLY = (("coupon_codes", "profile"),)
"""Relationships that the OpenAPI description has with ids, but that were recorded with links only."""

_NEVER_NULL = frozenset({("coupon_codes", "unique_code"), ("coupon_codes", "status"), ("coupon_codes", "expires_at")})
"""Columns that Klaviyo describes as nullable, but that no coupon code lacks."""


def make_any(
    context: GenerationContext,
    store: Store,
    entry: ResourceType,
    rng: random.Random,
    lifetime: Lifetime,
    *,
    id: str | None = None,
    given: Mapping[str, Any] = _NOTHING,
    given_ids: Mapping[str, tuple[str, ...]] = _NOTHING,
    parent_id: str | None = None,
) -> Record:
    """Make a record of a type.

    As recorded, a relationship that the endpoint can include has ids only with ``include``; others with a column always have them.

    Args:
        context: The account being generated.
        store: The records that it can be related to.
        entry: The type.
        rng: Source of random numbers.
        lifetime: When it was created and last changed.
        id: Its id; a new one if None.
        given: Attributes that it must have, instead of made-up ones.
        given_ids: Ids that its relationships must have, by relationship.
        parent_id: Id of its parent, if it has one; records of a child type name it in a relationship.
    """
    linked: dict[str, Any] = {}
    related: dict[str, tuple[str, ...]] = {}
    values: dict[str, Value] = {}
    for column in entry.columns:
        if column.path[0] != "relationships":
            continue
        name, to_one = column.path[1], column.type is ColumnType.STRING
        if (entry.name, name) in _LINKS_ONLY:
            continue
        ids = given_ids.get(name)
        if ids is None:
            ids = _related_ids(context, store, name, rng, least=1 if to_one else 0, most=1 if to_one else 2)
        if name in entry.endpoint.includes:
            related[name] = ids
        else:
            found = [{"type": target_type(name), "id": one} for one in ids]
            linked[name] = found[0] if to_one else found
        if to_one:
            values |= {column.name: ids[0], f"{name}.id": ids[0]}
    attributes = {**_attributes(entry, rng, lifetime), **given}
    # Omit additional fields without a column: their type is unknown.
    extras = {name: attributes.pop(name) for name in entry.endpoint.additional_fields if name in attributes}
    extras |= {name: None for name in entry.endpoint.additional_fields if ("attributes", name) in entry.unmapped}
    links = tuple(path[1] for path in entry.unmapped if path[0] == "relationships")
    links += tuple(name for type_name, name in _LINKS_ONLY if type_name == entry.name)
    if entry.parent is not None and parent_id is not None and entry.parent.relationship is not None:
        linked[entry.parent.relationship] = {"type": entry.parent.entry.jsonapi_type, "id": parent_id}
        if entry.parent.filter is not None:
            values |= {entry.parent.filter: parent_id, entry.parent.column: parent_id}
    record = build(
        entry,
        context.ids.of_type(entry.jsonapi_type) if id is None else id,
        attributes,
        linked=linked,
        related=related,
        extras=extras,
        values=values,
        other_relationships=links,
    )
    return replace(record, volatile=tuple(column.path[1] for column in entry.columns if column.volatile))


def make_addition(entry: ResourceType, id: str, rng: random.Random, lifetime: Lifetime) -> Record:
    """Make the attributes that a child type adds to a record of another type, such as the time when a profile joined a list."""
    return build(entry, id, _attributes(entry, rng, lifetime))


def attribute_to_edit(entry: ResourceType) -> str:
    """Return an attribute that a test can set to any text: the name if there is one, otherwise the first with free text or JSON.

    Raises:
        ValueError: If there is none.
    """
    free = [
        column.path[1]
        for column in entry.columns
        if column.path[0] == "attributes" and len(column.path) == 2 and column.type in _FREE and not column.values
    ]
    if not free:
        raise ValueError(f"{entry.name} has no attribute that can hold any text")
    return "name" if "name" in free else free[0]


def _attributes(entry: ResourceType, rng: random.Random, lifetime: Lifetime) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in entry.columns:
        if column.path[0] != "attributes":
            continue
        holder = found
        for part in column.path[1:-1]:
            holder = holder.setdefault(part, {})
        holder[column.path[-1]] = _value(entry, column, rng, lifetime)
    return found


def _value(entry: ResourceType, column: Column, rng: random.Random, lifetime: Lifetime) -> Any:
    if column.type is ColumnType.TIMESTAMP:
        return written(entry.name, lifetime.updated if column.name == entry.version_column else lifetime.created)
    may_be_null = not column.required and column.path[-1] not in entry.endpoint.sorts and (entry.name, column.name) not in _NEVER_NULL
    if may_be_null and rng.random() < _NULL_SHARE:
        return None
    likely = likely_value(entry.name, column.path[1:], rng)
    match column.type:
        case _ if likely is not None:
            return likely
        case ColumnType.STRING if column.values:
            return rng.choice(column.values)
        case ColumnType.STRING:
            return f"{rng.choice(REVIEW_TEXTS)} {rng.randrange(1000)}"
        case ColumnType.BOOLEAN:
            return rng.random() < 0.5
        case ColumnType.INTEGER:
            return rng.randrange(10_000)
        case ColumnType.FLOAT:
            return rng.randrange(1_000_000) / 100
        case ColumnType.STRINGS:
            return [f"{column.name} {number}" for number in range(rng.randrange(3))]
        case _:
            return {"big": 18446744073709551617, "text": rng.choice(REVIEW_TEXTS), "nothing": None, "list": [1, {"a": []}]}


def _related_ids(context: GenerationContext, store: Store, relationship: str, rng: random.Random, *, least: int = 0, most: int) -> tuple[str, ...]:
    """Return the ids of a relationship: of existing records if the sandbox has enough of their type, otherwise made up."""
    type_name = target_type(relationship)
    collection: Collection | None = store.of_jsonapi_type(type_name)
    known = [] if collection is None else [record.id for record in collection]
    count = rng.randint(least, most)
    return tuple(rng.sample(known, count)) if len(known) >= count else tuple(context.ids.of_type(type_name) for _ in range(count))
