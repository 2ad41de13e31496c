"""Which maker makes the records of a type: one of its own, or the generic one."""

import random
from collections.abc import Callable, Iterator, Mapping

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.campaigns import CHANNELS
from klaviyo_assets.sandbox.generate.account import make_account
from klaviyo_assets.sandbox.generate.audiences import make_list, make_segment
from klaviyo_assets.sandbox.generate.campaigns import make_campaign
from klaviyo_assets.sandbox.generate.events import make_event
from klaviyo_assets.sandbox.generate.flows import make_flow
from klaviyo_assets.sandbox.generate.generic import make_addition, make_any
from klaviyo_assets.sandbox.generate.making import Life, Making
from klaviyo_assets.sandbox.generate.metrics import make_metric
from klaviyo_assets.sandbox.generate.profiles import make_profile
from klaviyo_assets.sandbox.generate.reviews import make_review
from klaviyo_assets.sandbox.generate.subjects import Subjects
from klaviyo_assets.sandbox.instants import SECOND
from klaviyo_assets.sandbox.records import Record
from klaviyo_assets.sandbox.store import Store

_Maker = Callable[[Making, Store, random.Random, Life, int], Record]
"""Makes one record of the generated account; the last argument is its place among those of its type."""

_NewMaker = Callable[[Making, Store, random.Random, int], Record]
"""Makes one record that is created at an instant."""


def make_numbered(making: Making, store: Store, entry: ResourceType, rng: random.Random, life: Life, number: int) -> Record:
    """Make a record of the account as it is generated.

    Args:
        making: The account in the making.
        store: What has been made of it.
        entry: The type.
        rng: Source of chance.
        life: When the record was created and last changed.
        number: Its place among those of its type; some makers vary what they make by it.
    """
    maker = _MAKERS.get(entry.name)
    return make_any(making, store, entry, rng, life) if maker is None else maker(making, store, rng, life, number)


def make_new(making: Making, store: Store, entry: ResourceType, rng: random.Random, now: int) -> Record:
    """Make a record that is created now.

    Raises:
        ValueError: If it is a type of which an account has one record.
    """
    if entry.identifies_account:
        raise ValueError(f"an account has one record of {entry.name}")
    maker = _NEW_MAKERS.get(entry.name)
    return make_any(making, store, entry, rng, Life(now, now)) if maker is None else maker(making, store, rng, now)


def make_children(making: Making, store: Store, entry: ResourceType, rng: random.Random) -> Iterator[tuple[str, Record]]:
    """Make the records of a child type, with the ids of their parents: for each parent from none up to what the options say."""
    assert entry.parent is not None
    for parent in store[entry.parent.type_name]:
        for _ in range(rng.randint(0, making.options.count_of(entry.name))):
            record = make_child(making, store, entry, parent.id, rng, Life(*making.lifetime(rng)))
            if record is not None:
                yield parent.id, record


def make_child(making: Making, store: Store, entry: ResourceType, parent_id: str, rng: random.Random, life: Life) -> Record | None:
    """Make a record of a child type; None if it must be a record of another type and all of those are there already."""
    shared = store.shared_with(entry)
    if shared is None:
        return make_any(making, store, entry, rng, life)
    there = store.children[entry.name].of(parent_id)
    free = [record.id for record in shared if there.get(record.id) is None]
    return make_addition(entry, rng.choice(free), rng, life) if free else None


def _channel(number: int) -> str:
    """Half of the campaigns are e-mails; both archived and live ones occur in every channel."""
    return CHANNELS[(0, 1, 0, 2, 0, 0, 1, 0, 2, 0, 0, 1, 0, 1, 0, 2, 0, 2)[number % 18]]


def _review(making: Making, store: Store, rng: random.Random, life: Life, number: int) -> Record:
    events = store["events"]
    event_id = rng.choice([record.id for record in events]) if len(events) and number % 4 == 0 else None
    return make_review(making, rng, life.created, life.updated, event_id=event_id)


def _profile(making: Making, store: Store, rng: random.Random, now: int) -> Record:
    return make_profile(making, rng, making.ids.ulid(), Life(now, now))


def _event(making: Making, store: Store, rng: random.Random, now: int) -> Record:
    return make_event(making, rng, now // SECOND * SECOND, Subjects(store, [record.id for record in store["profiles"]], rng).any())


_MAKERS: Mapping[str, _Maker] = {
    "accounts": lambda making, store, rng, life, number: make_account(making),
    "campaigns": lambda making, store, rng, life, number: make_campaign(
        making, rng, life.created, life.updated, channel=_channel(number), archived=number % 6 == 5
    ),
    "flows": lambda making, store, rng, life, number: make_flow(making, rng, life.created, life.updated, archived=number % 5 == 4),
    "lists": lambda making, store, rng, life, number: make_list(making, rng, life.created, life.updated),
    "metrics": lambda making, store, rng, life, number: make_metric(making, rng, number, life.created, life.updated),
    "reviews": _review,
    "segments": lambda making, store, rng, life, number: make_segment(making, rng, life.created, life.updated),
}
"""Makers for the generated account. Profiles and events are made together, since they hold one another's times and ids."""

_NEW_MAKERS: Mapping[str, _NewMaker] = {
    "campaigns": lambda making, store, rng, now: make_campaign(making, rng, now, now),
    "events": _event,
    "flows": lambda making, store, rng, now: make_flow(making, rng, now, now),
    "lists": lambda making, store, rng, now: make_list(making, rng, now, now),
    "metrics": lambda making, store, rng, now: make_metric(making, rng, 1000 + rng.randrange(100_000), now, now),
    "profiles": _profile,
    "reviews": lambda making, store, rng, now: make_review(making, rng, now, now),
    "segments": lambda making, store, rng, now: make_segment(making, rng, now, now),
}
