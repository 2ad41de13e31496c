"""The relationships of the product catalog: a variant belongs to one item, an item to any number of categories."""

from dataclasses import replace

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.filters import Condition, Filter
from klaviyo_assets.sandbox.records import Record
from klaviyo_assets.sandbox.store import Store

_ITEMS, _VARIANTS, _LINKS = "catalog_items", "catalog_variants", "catalog_category_items"


def adopt(store: Store, variant: Record) -> None:
    """Make a new variant one of an item, if there are any items."""
    items = list(store[_ITEMS])
    if items:
        item = items[len(store[_VARIANTS]) % len(items)]
        store[_ITEMS].put(replace(item, related={**item.related, "variants": (*_variants_of(item), variant.id)}))


def abandon(store: Store, variant_id: str) -> None:
    """Remove a deleted variant from its item."""
    for item in [item for item in store[_ITEMS] if variant_id in _variants_of(item)]:
        kept = tuple(id for id in _variants_of(item) if id != variant_id)
        store[_ITEMS].put(replace(item, related={**item.related, "variants": kept}))


def resolved(store: Store, entry: ResourceType, filter_: Filter) -> Filter:
    """Replace conditions on related records, such as ``equals(category.id,…)`` of items, with conditions on ids."""
    return Filter(tuple(_resolved(store, entry, condition) for condition in filter_.conditions))


def _resolved(store: Store, entry: ResourceType, condition: Condition) -> Condition:
    match entry.jsonapi_type, condition.field:
        case "catalog-item", "category.id":
            return Condition("id", "any", frozenset(record.id for parent, record in store.children[_LINKS] if parent == condition.operand))
        case "catalog-category", "item.id":
            return Condition("id", "any", frozenset(parent for parent, record in store.children[_LINKS] if record.id == condition.operand))
        case "catalog-variant", "item.id":
            item = store[_ITEMS].get(str(condition.operand))
            return Condition("id", "any", frozenset(() if item is None else _variants_of(item)))
    return condition


def _variants_of(item: Record) -> tuple[str, ...]:
    return item.related.get("variants", ())
