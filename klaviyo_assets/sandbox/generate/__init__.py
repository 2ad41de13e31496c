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
from klaviyo_assets.sandbox.generate.reviews import reviewer_of
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


def stream(context: GenerationContext, catalog: Catalog) -> Iterator[tuple[str, Record]]:
    """Yield the records of an account with the names of their types, without keeping the events.

    For accounts with millions of events: the memory grows with the customers, by about 1 kB each, and not with the events. Late events, records
    with a parent and records that others include are left out.

    Args:
        context: Options, ids and random numbers.
        catalog: The resource types.

    Example:
        >>> records = stream(GenerationContext(SandboxOptions(events=10_000_000, profiles=480_000), base), CATALOG)
        >>> events = (record.raw for name, record in records if name == "events")
    """
    store = Store(catalog)
    _first(context, store)
    history, profiles = _people(context, store)
    yield from (("events", event) for event in history.events())
    yield from (("profiles", profile) for profile in profiles)
    _last(context, store)
    for name, collection in store.collections.items():
        if collection.entry.name == name and name not in _TOGETHER:
            yield from ((name, record) for record in collection)


def _generate(context: GenerationContext, catalog: Catalog) -> Store:
    store = Store(catalog)
    _first(context, store)
    if all(name in catalog for name in (*_TOGETHER, "metrics")):
        history, profiles = _people(context, store)
        store["events"].fill(history.events())
        for event, arrival in history.late_events(context.options.events // _LATE_SHARE):
            store.schedule("events", event, arrival)
        store["profiles"].fill(profiles)
        make_members(store, history.customers)
    _last(context, store)
    return store


def _first(context: GenerationContext, store: Store) -> None:
    """Make what profiles and events refer to."""
    for name in (name for name in _FIRST if name in store.catalog):
        _fill(context, store, store.catalog[name])
        if name == "flows":
            context.flow_ids = tuple(record.id for record in store["flows"])
        elif name == "tags":
            context.tag_ids = tuple(record.id for record in store["tags"])
        elif name == "catalog_variants":
            context.variant_ids = tuple(record.id for record in store["catalog_variants"])


def _last(context: GenerationContext, store: Store) -> None:
    """Make the records of all other types."""
    for name, entry in store.catalog.items():
        if name not in (*_FIRST, *_TOGETHER) and entry.host is None and entry.replication.report is None and entry.records_of is None:
            _fill(context, store, entry)


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


def _people(context: GenerationContext, store: Store) -> tuple[History, Iterator[Record]]:
    """Return what makes the events, and the profiles, to be read once all events have been made: they refer to each other."""
    rng = context.rng("profiles")
    ids = [context.ids.ulid() for _ in range(context.options.profiles)]
    of_profiles = lifetimes(context, rng, len(ids))
    inventory = Inventory(store)
    context.products = tuple(inventory.products)
    history = History(context, inventory, ids, of_profiles)
    return history, _profiles(context, store, rng, zip(ids, of_profiles, strict=True), history)


def _profiles(
    context: GenerationContext, store: Store, rng: random.Random, profiles: Iterable[tuple[str, Lifetime]], history: History
) -> Iterator[Record]:
    list_ids = tuple(record.id for record in store["lists"]) if "lists" in store.catalog else ()
    buyers = {sale.profile_id for sale in context.sales}
    for id, lifetime in profiles:
        customer = history.customers.get(id)
        seen = customer.last_event if customer is not None else None
        updated = max(lifetime.updated, seen) if seen is not None and context.options.events_move_updated else lifetime.updated
        profile = make_profile(context, rng, id, Lifetime(lifetime.created, updated, seen), list_ids, customer)
        if id in buyers and (reviewer := reviewer_of(profile)) is not None:
            context.reviewers[id] = reviewer
        yield profile
    context.sales = [sale for sale in context.sales if sale.profile_id in context.reviewers]
