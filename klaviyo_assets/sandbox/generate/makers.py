"""Chooses the maker for the records of a type: the type's own or the generic one."""

import random
from collections.abc import Callable, Iterator, Mapping

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.campaigns import CHANNELS
from klaviyo_assets.sandbox.generate.account import make_account
from klaviyo_assets.sandbox.generate.audiences import make_list, make_segment
from klaviyo_assets.sandbox.generate.campaigns import make_campaign
from klaviyo_assets.sandbox.generate.catalogs import make_category, make_item, make_variant
from klaviyo_assets.sandbox.generate.context import GenerationContext, Lifetime
from klaviyo_assets.sandbox.generate.flows import make_flow
from klaviyo_assets.sandbox.generate.generic import make_addition, make_any
from klaviyo_assets.sandbox.generate.metrics import make_metric
from klaviyo_assets.sandbox.generate.profiles import make_profile
from klaviyo_assets.sandbox.generate.reviews import make_review, reviewer_of
from klaviyo_assets.sandbox.generate.settings_of_account import make_custom_metric, make_mapped_metric, make_tracking_settings
from klaviyo_assets.sandbox.generate.shop.single import SingleEvents
from klaviyo_assets.sandbox.instants import DAY, SECOND
from klaviyo_assets.sandbox.records import Record
from klaviyo_assets.sandbox.store import Store

_Maker = Callable[[GenerationContext, Store, random.Random, Lifetime, int], Record]
"""Makes one record of the generated account; the last argument is its index among the records of its type."""

_NewMaker = Callable[[GenerationContext, Store, random.Random, int], Record]
"""Makes one record that is created at a given instant."""


def make_numbered(context: GenerationContext, store: Store, entry: ResourceType, rng: random.Random, lifetime: Lifetime, number: int) -> Record:
    """Make a record while the account is generated.

    Args:
        context: The account being generated.
        store: The records that exist already.
        entry: The type.
        rng: Source of random numbers.
        lifetime: When the record was created and last changed.
        number: Its index among the records of its type; some makers vary the record by it.
    """
    maker = _MAKERS.get(entry.name)
    return make_any(context, store, entry, rng, lifetime) if maker is None else maker(context, store, rng, lifetime, number)


def make_new(context: GenerationContext, store: Store, entry: ResourceType, rng: random.Random, now: int) -> Record:
    """Make a record that is created now.

    Raises:
        ValueError: If an account always has the same records of this type.
    """
    if entry.fixed_records:
        raise ValueError(f"an account always has {entry.fixed_records} of {entry.name}")
    entry = entry.records_of or entry
    maker = _NEW_MAKERS.get(entry.name)
    return make_any(context, store, entry, rng, Lifetime(now, now)) if maker is None else maker(context, store, rng, now)


def make_children(context: GenerationContext, store: Store, entry: ResourceType, rng: random.Random) -> Iterator[tuple[str, Record]]:
    """Make the records of a child type, with the ids of their parents: for each parent from zero up to the number in the options."""
    assert entry.parent is not None
    shared = store.shared_with(entry)
    known = [] if shared is None else [record.id for record in shared]
    for parent_id in store.ids_of(entry.parent.type_name):
        count = rng.randint(0, context.options.count_of(entry.name))
        if shared is not None:
            for id in rng.sample(known, min(count, len(known))):
                yield parent_id, make_addition(entry, id, rng, Lifetime(*context.lifetime(rng)))
            continue
        for _ in range(count):
            record = make_child(context, store, entry, parent_id, rng, Lifetime(*context.lifetime(rng)))
            if record is not None:
                yield parent_id, record


def make_child(
    context: GenerationContext, store: Store, entry: ResourceType, parent_id: str, rng: random.Random, lifetime: Lifetime
) -> Record | None:
    """Make a record of a child type; None if the records are shared with another type and the parent has all of them."""
    shared = store.shared_with(entry)
    if entry.name == "coupon_codes":
        return _coupon_code(context, store, rng, lifetime, parent_id)
    if shared is None:
        return make_any(context, store, entry, rng, lifetime, parent_id=parent_id)
    existing = store.children[entry.name].of(parent_id)
    free = [record.id for record in shared if existing.get(record.id) is None]
    return make_addition(entry, rng.choice(free), rng, lifetime) if free else None


def _a_number(rng: random.Random) -> int:
    """Return a number for a record that is added later; no record of the generated account has one as high."""
    return 1_000_000_000 + rng.randrange(100_000)


def _channel(number: int) -> str:
    """Return the channel of a campaign: half of them are emails; every channel has archived and live ones."""
    return CHANNELS[(0, 1, 0, 2, 0, 0, 1, 0, 2, 0, 0, 1, 0, 1, 0, 2, 0, 2)[number % 18]]


def _review(context: GenerationContext, store: Store, rng: random.Random, lifetime: Lifetime, number: int) -> Record:
    """Make a review of something that was sold, by a customer who bought it; one in four belongs to the event of the order."""
    if not context.sales:
        return make_review(context, rng, lifetime.created, lifetime.updated)
    sale = context.sales[int(rng.random() * len(context.sales))]
    created = min(sale.at + int(rng.random() * 20 * DAY), context.base)
    event_id = sale.event_id if number % 4 == 0 else None
    reviewer = context.reviewers[sale.profile_id]
    return make_review(context, rng, created, max(created, lifetime.updated), event_id=event_id, product=sale.product, reviewer=reviewer)


def _new_review(context: GenerationContext, store: Store, rng: random.Random, now: int) -> Record:
    """Make a review that is written now, by a customer who still exists if there is one."""
    for sale in rng.sample(context.sales, len(context.sales)):
        profile = store["profiles"].get(sale.profile_id)
        if profile is not None and (reviewer := reviewer_of(profile)) is not None:
            return make_review(context, rng, now, now, product=sale.product, reviewer=reviewer)
    return make_review(context, rng, now, now)


def _tag_group(context: GenerationContext, store: Store, rng: random.Random, lifetime: Lifetime, *, default: bool) -> Record:
    given = {"default": default} | ({"name": "Ungrouped Tags"} if default else {})
    return make_any(context, store, store.catalog["tag_groups"], rng, lifetime, given=given)


def _coupon(context: GenerationContext, store: Store, rng: random.Random, lifetime: Lifetime) -> Record:
    """Make a coupon, whose id is its name, as recorded."""
    name = f"{rng.choice(('WELCOME', 'SPRING_SALE', 'VIP-10', 'winback'))}_{context.ids.of_type('coupon')}"
    return make_any(context, store, store.catalog["coupons"], rng, lifetime, id=name, given={"external_id": name})


def _coupon_code(context: GenerationContext, store: Store, rng: random.Random, lifetime: Lifetime, coupon_id: str) -> Record:
    """Make a code of a coupon, whose id consists of both, as recorded."""
    code = f"{rng.choice(('SAVE', 'THANKS', 'TAKE10'))}-{context.ids.of_type('coupon-code').upper()}"
    given = {"unique_code": code}
    return make_any(context, store, store.catalog["coupon_codes"], rng, lifetime, id=f"{coupon_id}-{code}", given=given, parent_id=coupon_id)


def _profile(context: GenerationContext, store: Store, rng: random.Random, now: int) -> Record:
    return make_profile(context, rng, context.ids.ulid(), Lifetime(now, now))


def _event(context: GenerationContext, store: Store, rng: random.Random, now: int) -> Record:
    events = SingleEvents(context, store, rng)
    return events.make(events.choose(), now // SECOND * SECOND)


_MAKERS: Mapping[str, _Maker] = {
    "accounts": lambda context, store, rng, lifetime, number: make_account(context),
    "campaigns": lambda context, store, rng, lifetime, number: make_campaign(
        context, rng, lifetime.created, lifetime.updated, store, channel=_channel(number), archived=number % 6 == 5
    ),
    "coupons": lambda context, store, rng, lifetime, number: _coupon(context, store, rng, lifetime),
    "catalog_categories": make_category,
    "catalog_items": make_item,
    "catalog_variants": make_variant,
    "custom_metrics": make_custom_metric,
    "flows": lambda context, store, rng, lifetime, number: make_flow(
        context, rng, lifetime.created, lifetime.updated, number, archived=number % 5 == 4
    ),
    "lists": lambda context, store, rng, lifetime, number: make_list(context, rng, lifetime.created, lifetime.updated, number),
    "mapped_metrics": make_mapped_metric,
    "metrics": lambda context, store, rng, lifetime, number: make_metric(context, rng, number, lifetime.created, lifetime.updated),
    "reviews": _review,
    "segments": lambda context, store, rng, lifetime, number: make_segment(context, rng, lifetime.created, lifetime.updated),
    "tag_groups": lambda context, store, rng, lifetime, number: _tag_group(context, store, rng, lifetime, default=number == 0),
    "tracking_settings": make_tracking_settings,
}
"""Makers for the generated account. Profiles and events are made elsewhere, together, because they hold each other's times and ids."""

_NEW_MAKERS: Mapping[str, _NewMaker] = {
    "campaigns": lambda context, store, rng, now: make_campaign(context, rng, now, now, store),
    "coupons": lambda context, store, rng, now: _coupon(context, store, rng, Lifetime(now, now)),
    "catalog_categories": lambda context, store, rng, now: make_category(context, store, rng, Lifetime(now, now), _a_number(rng)),
    "catalog_items": lambda context, store, rng, now: make_item(context, store, rng, Lifetime(now, now), _a_number(rng)),
    "catalog_variants": lambda context, store, rng, now: make_variant(context, store, rng, Lifetime(now, now), _a_number(rng)),
    "custom_metrics": lambda context, store, rng, now: make_custom_metric(context, store, rng, Lifetime(now, now), _a_number(rng)),
    "events": _event,
    "flows": lambda context, store, rng, now: make_flow(context, rng, now, now, _a_number(rng)),
    "lists": lambda context, store, rng, now: make_list(context, rng, now, now, _a_number(rng)),
    "metrics": lambda context, store, rng, now: make_metric(context, rng, 1000 + rng.randrange(100_000), now, now),
    "profiles": _profile,
    "reviews": _new_review,
    "segments": lambda context, store, rng, now: make_segment(context, rng, now, now),
    "tag_groups": lambda context, store, rng, now: _tag_group(context, store, rng, Lifetime(now, now), default=False),
}
