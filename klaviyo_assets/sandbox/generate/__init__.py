"""Generates the account: every record depends only on the seed, the counts and the base instant."""

import gc
from collections.abc import Iterator
from typing import Any

from klaviyo_assets.catalog import Catalog
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.generate.attributions import Attributor
from klaviyo_assets.sandbox.generate.context import GenerationContext, Lifetime
from klaviyo_assets.sandbox.generate.events import is_attributed, late_moments, make_event, moments, with_attributions
from klaviyo_assets.sandbox.generate.hosted import make_hosted
from klaviyo_assets.sandbox.generate.makers import make_children, make_numbered
from klaviyo_assets.sandbox.generate.profiles import lifetimes, make_profile
from klaviyo_assets.sandbox.generate.subjects import Subjects
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
)
"""Types with ids that other types refer to, in the order of their generation; profiles and events follow, then everything else."""

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
        store[name].fill(_records(context, store, catalog[name]))
        _hosted(context, store, catalog[name])
        if name == "flows":
            context.flow_ids = tuple(record.id for record in store["flows"])
        elif name == "tags":
            context.tag_ids = tuple(record.id for record in store["tags"])
        elif name == "catalog_variants":
            context.variant_ids = tuple(record.id for record in store["catalog_variants"])
    if all(name in catalog for name in (*_TOGETHER, "metrics")):
        _profiles_and_events(context, store)
    for name, entry in catalog.items():
        if entry.parent is not None:
            for parent_id, record in make_children(context, store, entry, context.rng(name)):
                store.children[name].of(parent_id).put(record)
        elif entry.host is None and name not in (*_FIRST, *_TOGETHER) and entry.replication.report is None and entry.records_of is None:
            store[name].fill(_records(context, store, entry))
            _hosted(context, store, entry)
    return store


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
    options, rng = context.options, context.rng("events")
    ids = [context.ids.ulid() for _ in range(options.profiles)]
    subjects = Subjects(store, ids, rng)
    last: dict[str | None, int] = {}
    attributor = Attributor(store)
    touches: dict[str | None, tuple[int, str]] = {}
    events: list[Record] = []
    for number, moment in enumerate(moments(context, rng, options.events)):
        subject = subjects.choose()
        event = make_event(context, rng, moment, subject, number)
        if is_attributed(subject.template, moment):
            touched, touch = touches.get(subject.profile_id, (moment, None))
            resources = attributor.make(event.id, (f"at{event.id}",), touch if touched < moment else None)
            event = with_attributions(event, resources, inline=options.attributions_without_include)
        elif subject.template == 0 and subject.profile_id is not None:
            touches[subject.profile_id] = moment, event.id
        events.append(event)
        person: Any = event.values["profile_id"]
        if moment <= context.base and moment > last.get(person, 0):
            last[person] = moment
    store["events"].fill(events)
    for moment, arrival in late_moments(context, rng, options.events // _LATE_SHARE):
        store.schedule("events", make_event(context, rng, moment, subjects.choose()), arrival)
    store["profiles"].fill(_profiles(context, store, ids, last))


def _profiles(context: GenerationContext, store: Store, ids: list[str], last: dict[str | None, int]) -> Iterator[Record]:
    rng = context.rng("profiles")
    list_ids = tuple(record.id for record in store["lists"]) if "lists" in store.catalog else ()
    for id, lifetime in zip(ids, lifetimes(context, rng, len(ids)), strict=True):
        seen = last.get(id)
        updated = max(lifetime.updated, seen) if seen is not None and context.options.events_move_updated else lifetime.updated
        yield make_profile(context, rng, id, Lifetime(lifetime.created, updated, seen), list_ids)
