"""Makes the account: every record, from the seed, the counts and the base instant alone."""

import gc
import random
from collections.abc import Callable, Iterator
from typing import Any

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.types.campaigns import CHANNELS
from klaviyo_assets.sandbox.generate.account import make_account
from klaviyo_assets.sandbox.generate.audiences import make_list, make_segment
from klaviyo_assets.sandbox.generate.campaigns import make_campaign
from klaviyo_assets.sandbox.generate.events import Subject, late_moments, make_event, moments
from klaviyo_assets.sandbox.generate.flows import make_flow
from klaviyo_assets.sandbox.generate.making import Making
from klaviyo_assets.sandbox.generate.metrics import make_metric, template_of
from klaviyo_assets.sandbox.generate.profiles import Life, lives, make_profile
from klaviyo_assets.sandbox.generate.reviews import make_review
from klaviyo_assets.sandbox.records import Record
from klaviyo_assets.sandbox.store import Store

_LATE_SHARE = 200
"""One event in this many is still on its way at the base instant."""


def generate(making: Making) -> Store:
    """Return the account as it is at the base instant."""
    was_on = gc.isenabled()
    gc.disable()  # Hundreds of thousands of lasting objects and no garbage: collecting would only take time.
    try:
        return _generate(making)
    finally:
        if was_on:
            gc.enable()


def _generate(making: Making) -> Store:
    options, store = making.options, Store(CATALOG.values())
    store["accounts"].fill([make_account(making)])
    store["flows"].fill(
        _aged(
            making, "flows", options.flows, lambda rng, number, created, updated: make_flow(making, rng, created, updated, archived=number % 5 == 4)
        )
    )
    making.flow_ids = tuple(record.id for record in store["flows"])
    store["metrics"].fill(
        _aged(making, "metrics", options.metrics, lambda rng, number, created, updated: make_metric(making, rng, number, created, updated))
    )
    store["lists"].fill(_aged(making, "lists", options.lists, lambda rng, number, created, updated: make_list(making, rng, created, updated)))
    store["segments"].fill(
        _aged(making, "segments", options.segments, lambda rng, number, created, updated: make_segment(making, rng, created, updated))
    )
    store["campaigns"].fill(
        _aged(
            making,
            "campaigns",
            options.campaigns,
            lambda rng, number, created, updated: make_campaign(making, rng, created, updated, channel=_channel(number), archived=number % 6 == 5),
        )
    )
    _people(making, store)
    event_ids = [record.id for record in store["events"]]
    store["reviews"].fill(
        _aged(
            making,
            "reviews",
            options.reviews,
            lambda rng, number, created, updated: make_review(
                making, rng, created, updated, event_id=rng.choice(event_ids) if event_ids and number % 4 == 0 else None
            ),
        )
    )
    return store


def _channel(number: int) -> str:
    """Half of the campaigns are e-mails; both archived and live ones occur in every channel."""
    return CHANNELS[(0, 1, 0, 2, 0, 0, 1, 0, 2, 0, 0, 1, 0, 1, 0, 2, 0, 2)[number % 18]]


def _aged(making: Making, name: str, count: int, make: Callable[..., Record]) -> Iterator[Record]:
    rng = making.chance(name)
    for number in range(count):
        yield make(rng, number, *making.lifetime(rng))


def _people(making: Making, store: Store) -> None:
    """Make profiles and events, which know one another."""
    options, rng = making.options, making.chance("events")
    ids = [making.ids.ulid() for _ in range(options.profiles)]
    subjects = Subjects(store, ids, rng)
    last: dict[str | None, int] = {}
    events: list[Record] = []
    for number, moment in enumerate(moments(making, rng, options.events)):
        event = make_event(making, rng, moment, subjects.any(), number)
        events.append(event)
        person: Any = event.values["profile_id"]
        if moment <= making.base and moment > last.get(person, 0):
            last[person] = moment
    store["events"].fill(events)
    for moment, arrival in late_moments(making, rng, options.events // _LATE_SHARE):
        store.send("events", make_event(making, rng, moment, subjects.any()), arrival)
    store["profiles"].fill(_profiles(making, store, ids, last))


def _profiles(making: Making, store: Store, ids: list[str], last: dict[str | None, int]) -> Iterator[Record]:
    rng = making.chance("profiles")
    list_ids = tuple(record.id for record in store["lists"])
    for id, life in zip(ids, lives(making, rng, len(ids)), strict=True):
        seen = last.get(id)
        updated = max(life.updated, seen) if seen is not None and making.options.events_move_updated else life.updated
        yield make_profile(making, rng, id, Life(life.created, updated, seen), list_ids)


class Subjects:
    """Chooses what events are about.

    Args:
        store: The account; its metrics must be there.
        profile_ids: The profiles to choose from.
        rng: Source of chance.
    """

    def __init__(self, store: Store, profile_ids: list[str], rng: random.Random) -> None:
        self._profile_ids = profile_ids
        self._rng = rng
        self._metrics = [(record.id, template_of(record.values["name"])) for record in store["metrics"]]

    def any(self) -> Subject:
        """Choose; a few events have lost their profile or their metric."""
        chance = self._rng.random()
        metric_id, template = self._metrics[int(self._rng.random() * len(self._metrics))]
        # The square makes some people do much and many do little.
        profile_id = self._profile_ids[int(self._rng.random() ** 2 * len(self._profile_ids))]
        return Subject(None if chance < 0.005 else metric_id, template, None if 0.005 <= chance < 0.02 else profile_id)
