"""Generates the account: every record depends only on the seed, the counts and the base instant."""

import gc
import random
from collections.abc import Iterable, Iterator

from klaviyo_assets.catalog import Catalog
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.generate.context import GenerationContext, Lifetime
from klaviyo_assets.sandbox.generate.hosted import make_hosted
from klaviyo_assets.sandbox.generate.makers import make_children, make_numbered
from klaviyo_assets.sandbox.generate.members import make_members
from klaviyo_assets.sandbox.generate.profiles import lifetimes, make_profile
from klaviyo_assets.sandbox.generate.shop.history import History
from klaviyo_assets.sandbox.generate.shop.inventory import Inventory
from klaviyo_assets.sandbox.records import Record
from klaviyo_assets.sandbox.store import Store

_LATE_SHARE = 200
"""One event in this many arrives after the base instant."""

_FIRST = (
    "accounts",
    "tag_groups",
    "tags",
    "flows",
    "metrics",
    "lists",
    "segments",
    "campaigns",
    "custom_metrics",
    "catalog_variants",
    "catalog_items",
    "coupons",
    "coupon_codes",
    "forms",
)
"""Types that other types refer to, in the order of their generation; profiles and events follow, then everything else."""

_TOGETHER = ("profiles", "events")


def generate(context: GenerationContext, catalog: Catalog) -> Store:
    """Return the account as it is at the base instant.

    Args:
        context: Options, ids and random numbers.
        catalog: The resource types; a type without its own maker is generated from its columns.
    """
    was_on = gc.isenabled()
    gc.disable()  # Hundreds of thousands of long-lived objects and no garbage: collection would only take time.
    try:
        return _generate(context, catalog)
    finally:
        if was_on:
            gc.enable()


def _generate(context: GenerationContext, catalog: Catalog) -> Store:
    store = Store(catalog)
    for name in (name for name in _FIRST if name in catalog):
        _fill(context, store, catalog[name])
        if name == "flows":
            context.flow_ids = tuple(record.id for record in store["flows"])
        elif name == "tags":
            context.tag_ids = tuple(record.id for record in store["tags"])
        elif name == "catalog_variants":
            context.variant_ids = tuple(record.id for record in store["catalog_variants"])
    if all(name in catalog for name in (*_TOGETHER, "metrics")):
        _profiles_and_events(context, store)
    for name, entry in catalog.items():
        if name not in (*_FIRST, *_TOGETHER) and entry.host is None and entry.replication.report is None and entry.records_of is None:
            _fill(context, store, entry)
    return store


def _fill(context: GenerationContext, store: Store, entry: ResourceType) -> None:
    """Make the records of a type, and those that they include."""
    if entry.parent is not None:
        for parent_id, record in make_children(context, store, entry, context.rng(entry.name)):
            children = store.children[entry.name].of(parent_id)
            if children.get(record.id) is None:
                children.put(record)
        return
    store[entry.name].fill(_records(context, store, entry))
    _hosted(context, store, entry)


def _hosted(context: GenerationContext, store: Store, host: ResourceType) -> None:
    """Make the records that the records of a host include."""
    rng = context.rng(f"{host.name}/included")
    for record in list(store[host.name]):
        make_hosted(context, store, host, record, rng, Lifetime(*context.lifetime(rng)))


def _records(context: GenerationContext, store: Store, entry: ResourceType) -> Iterator[Record]:
    rng = context.rng(entry.name)
    for number in range(entry.fixed_records or context.options.count_of(entry.name)):
        yield make_numbered(context, store, entry, rng, Lifetime(*context.lifetime(rng)), number)


def _profiles_and_events(context: GenerationContext, store: Store) -> None:
    """Make profiles and events together, because they refer to each other."""
    rng = context.rng("profiles")
    ids = [context.ids.ulid() for _ in range(context.options.profiles)]
    of_profiles = lifetimes(context, rng, len(ids))
    inventory = Inventory(store)
    context.products = tuple(inventory.products)
    history = History(context, inventory, ids, of_profiles)
    store["events"].fill(history.events())
    for event, arrival in history.late_events(context.options.events // _LATE_SHARE):
        store.schedule("events", event, arrival)
    store["profiles"].fill(_profiles(context, store, rng, zip(ids, of_profiles, strict=True), history))
    make_members(store, history.customers)


def _profiles(
    context: GenerationContext, store: Store, rng: random.Random, profiles: Iterable[tuple[str, Lifetime]], history: History
) -> Iterator[Record]:
    list_ids = tuple(record.id for record in store["lists"]) if "lists" in store.catalog else ()
    for id, lifetime in profiles:
        customer = history.customers.get(id)
        seen = customer.last_event if customer is not None else None
        updated = max(lifetime.updated, seen) if seen is not None and context.options.events_move_updated else lifetime.updated
        yield make_profile(context, rng, id, Lifetime(lifetime.created, updated, seen), list_ids, customer)
