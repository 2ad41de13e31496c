"""A round of changes like those of a busy hour; the same for the same seed."""

import random

from klaviyo_assets.sandbox.changes import Account
from klaviyo_assets.sandbox.consent_changes import CONSENT_ROLES
from klaviyo_assets.sandbox.generate.context import Lifetime
from klaviyo_assets.sandbox.generate.generic import attribute_to_edit
from klaviyo_assets.sandbox.generate.hosted import add_hosted
from klaviyo_assets.sandbox.generate.makers import make_child, make_new
from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.generate.profiles import make_profile
from klaviyo_assets.sandbox.generate.reviews import STATUSES
from klaviyo_assets.sandbox.generate.shop.single import SingleEvents
from klaviyo_assets.sandbox.instants import DAY, HOUR, SECOND

_LARGE = frozenset({"events", "profiles", "reviews"})
"""Types with more than one changed record per round."""

_SHARE = 100
"""One in this many events, profiles or reviews is new or updated, but at least a few."""

_ATTRIBUTED = 5
"""Maximum number of new events that a round attributes to a message: finding an earlier event of the profile takes time."""


def apply_round(account: Account, seed: int, now: int) -> None:
    """Apply a round of changes.

    Args:
        account: The account.
        seed: Seed of the changes; the same seed and state give the same changes.
        now: When it happens: the creation time of new records and the update time of changed ones.
    """
    rng = _rng(account, seed)
    account.store.settle(now)
    _profiles(account, rng, now)
    _events(account, rng, now)
    _small_types(account, seed, now)
    _archive(account, _rng(account, seed, "archive"), now)
    _reviews(account, rng, now)
    _children(account, rng, now)
    _hosted(account, _rng(account, seed, "included"), now)


def _rng(account: Account, seed: int, *purpose: str) -> random.Random:
    return random.Random("/".join((str(account.options.seed), "round", str(seed), *purpose)))  # noqa: S311 - made-up data


def _ids(account: Account, name: str) -> list[str]:
    return account.store.ids_of(name)


def _some(account: Account, name: str) -> int:
    return max(3, len(account.store[name]) // _SHARE)


def _profiles(account: Account, rng: random.Random, now: int) -> None:
    count, ids = _some(account, "profiles"), _ids(account, "profiles")
    for id in rng.sample(ids, min(count, len(ids))):
        account.update("profiles", id, {"title": rng.choice(("Dr.", "Prof.", "Mx")), "organization": f"Umzug {rng.randrange(1000)}"}, now)
    for _ in range(count):
        account.add("profiles", make_profile(account.context, rng, account.context.ids.ulid(), Lifetime(now, now)), now)
    if len(ids) > 4:
        deleted, source, destination = rng.sample(ids, 3)
        account.delete("profiles", deleted)
        account.merge(source, destination, now)


def _events(account: Account, rng: random.Random, now: int) -> None:
    ids = _ids(account, "profiles")
    if not ids or not len(account.store["metrics"]):
        return
    events = SingleEvents(account.context, account.store, rng)
    attributed = 0
    for number in range(max(12, len(account.store["events"]) // _SHARE)):
        # Most are up to an hour late, some happened just now, a few are in the future.
        offset = rng.randrange(DAY, 300 * DAY) if number % 10 == 9 else 0 if number % 3 == 0 else -rng.randrange(HOUR)
        subject = events.choose()
        # Klaviyo makes the events about consent itself, at once.
        moment = (now + (0 if events.role(subject.metric_id) in CONSENT_ROLES else offset)) // SECOND * SECOND
        event = events.make(subject, moment, number)
        account.add("events", event, now)
        is_attributed = events.role(subject.metric_id) is Role.PLACED_ORDER and moment // SECOND % 3 == 0
        if is_attributed and attributed < _ATTRIBUTED:
            account.attribute(event.id, (f"at{event.id}",))
            attributed += 1


def _small_types(account: Account, seed: int, now: int) -> None:
    """Change one record of each, at random for each type by itself: a further type in the catalog changes nothing for the others."""
    for name, entry in account.catalog.items():
        if name in _LARGE or entry.fixed_records or entry.owner is not None or entry.replication.report is not None or entry.records_of is not None:
            continue
        ids, rng = _ids(account, name), _rng(account, seed, name)
        account.add(name, make_new(account.context, account.store, entry, rng, now), now)
        if len(ids) > 2:
            updated, deleted = rng.sample(ids, 2)
            account.update(name, updated, {attribute_to_edit(entry): f"Renamed – umbenannt {rng.randrange(1000)}"}, now)
            account.delete(name, deleted)


def _children(account: Account, rng: random.Random, now: int) -> None:
    """Add a record of each child type to a parent and delete one."""
    for name, children in account.store.children.items():
        parent = children.entry.parent
        parent_ids = _ids(account, parent.type_name) if parent is not None else []
        if not parent_ids:
            continue
        parent_id = rng.choice(parent_ids)
        existing = [record.id for record in children.of(parent_id)]
        record = make_child(account.context, account.store, children.entry, parent_id, rng, Lifetime(now, now))
        if record is not None:
            account.add(name, record, now, parent_id)
        if existing:
            account.delete(name, rng.choice(existing), parent_id)


def _hosted(account: Account, rng: random.Random, now: int) -> None:
    """Add, rename and delete a record of each type with a host; change the order of a flow's actions, and some tags."""
    for name, entry in account.catalog.items():
        if entry.host is None or not _ids(account, entry.host.entry.name):
            continue
        added = add_hosted(account.context, account.store, entry, rng, now)
        ids = [id for id in _ids(account, name) if id != added]
        if len(ids) > 2 and name in ("campaign_messages", "flow_actions", "flow_messages"):
            renamed, deleted = rng.sample(ids, 2)
            account.rename_message(name, renamed, f"Renamed – umbenannt {rng.randrange(1000)}", now)
            account.delete(name, deleted)
    if "flow_actions" in account.catalog and (flows := _ids(account, "flows")):
        account.reorder(rng.choice(flows), rng)
    for name, entry in account.catalog.items():
        if "tags" in entry.endpoint.includes and (ids := _ids(account, name)):
            account.tag(name, rng.choice(ids), (account.context.ids.uuid(),))


def _archive(account: Account, rng: random.Random, now: int) -> None:
    for name in (name for name, entry in account.catalog.items() if "archived" in entry.endpoint.filters):
        live = [record.id for record in account.store[name] if record.values["archived"] is False]
        if live:
            account.archive(name, rng.choice(live), now)


def _reviews(account: Account, rng: random.Random, now: int) -> None:
    count, ids = _some(account, "reviews"), _ids(account, "reviews")
    for id in rng.sample(ids, min(count, len(ids))):
        account.update("reviews", id, {"status": {"value": rng.choice([one for one in STATUSES if one != "rejected"])}}, now)
    for _ in range(count):
        account.add("reviews", make_new(account.context, account.store, account.catalog["reviews"], rng, now), now)
