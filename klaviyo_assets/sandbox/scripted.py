"""Changes that a test requests, one at a time or as a round."""

import random
from collections.abc import Mapping
from typing import Any

from klaviyo_assets.sandbox import instants
from klaviyo_assets.sandbox.changes import Account, UnknownRecord
from klaviyo_assets.sandbox.fields import Value
from klaviyo_assets.sandbox.generate.context import Lifetime
from klaviyo_assets.sandbox.generate.hosted import add_hosted
from klaviyo_assets.sandbox.generate.makers import make_child, make_new
from klaviyo_assets.sandbox.generate.settings_of_account import map_metric
from klaviyo_assets.sandbox.generate.shop.single import SingleEvents, Subject
from klaviyo_assets.sandbox.instants import SECOND
from klaviyo_assets.sandbox.records import Record, changed
from klaviyo_assets.sandbox.rounds import apply_round


def apply_change(account: Account, change: Mapping[str, Any], now: int) -> list[str]:
    """Apply a change and return the ids of the affected records.

    Args:
        account: The account.
        change: The change, by ``kind``: ``round`` (seed), ``add`` (type, attributes, channel, seed, parent), ``update`` (type, id, attributes, moves,
            parent), ``archive`` (type, id), ``map`` (id of the mapped metric, seed: which kind of metric it gets),
            ``event`` (datetime, arrival, profile_id, metric_id, attributes, seed), ``attribution`` (id of the event,
            attributions: their ids), ``delete`` (type, id, parent), ``rename`` (type, id, and name: the new name of a message),
            ``reorder`` (id of a flow, seed), ``tag`` (type, id, tags: their ids) or ``merge`` (source, destination). ``parent`` is the id of the
            parent, for child types.
        now: When it happens.

    Raises:
        LookupError: If a record in it does not exist.
        ValueError: If the kind is unknown or a member is missing.
    """
    match dict(change):
        case {"kind": "round"}:
            apply_round(account, int(change.get("seed", 0)), now)
            return []
        case {"kind": "add", "type": name}:
            return [_add(account, _type(account, name), change, now)]
        case {"kind": "event"}:
            return [_event(account, change, now)]
        case {"kind": "update", "type": name, "id": id, "attributes": attributes}:
            return [
                account.update(_type(account, name), id, attributes, now, moves=bool(change.get("moves", True)), parent_id=change.get("parent")).id
            ]
        case {"kind": "map", "id": id}:
            account.find("mapped_metrics", id)
            mapped = map_metric(account.store, _rng(account, change, now), id, now, int(change.get("seed", 0)))
            account.store["mapped_metrics"].put(mapped)
            return [id]
        case {"kind": "archive", "type": name, "id": id}:
            return [account.archive(_type(account, name), id, now).id]
        case {"kind": "attribution", "id": id, "attributions": attributions}:
            return [account.attribute(id, tuple(attributions)).id]
        case {"kind": "delete", "type": name, "id": id}:
            account.delete(_type(account, name), id, change.get("parent"))
            return [id]
        case {"kind": "rename", "type": name, "id": id, "name": text}:
            return [account.rename_message(_type(account, name), id, str(text), now, moves=bool(change.get("moves", True))).id]
        case {"kind": "reorder", "id": id}:
            account.reorder(id, _rng(account, change, now))
            return [id]
        case {"kind": "tag", "type": name, "id": id, "tags": tags}:
            return [account.tag(_type(account, name), id, tags).id]
        case {"kind": "merge", "source": source, "destination": destination}:
            return [account.merge(source, destination, now).id]
        case _:
            raise ValueError(f"no such change, or a member is missing: {', '.join(sorted(change))}")


def _type(account: Account, name: str) -> str:
    return account.catalog[name].name


def _rng(account: Account, change: Mapping[str, Any], now: int) -> random.Random:
    return random.Random(f"{account.options.seed}/change/{change.get('seed', now)}")  # noqa: S311 - made-up data


def _add(account: Account, name: str, change: Mapping[str, Any], now: int) -> str:
    entry, rng, parent_id = account.catalog[name], _rng(account, change, now), change.get("parent")
    if entry.host is not None:
        return add_hosted(account.context, account.store, entry, rng, now)
    if entry.parent is None:
        record = make_new(account.context, account.store, entry, rng, now)
    else:
        if not account.store.has(entry.parent.type_name, str(parent_id)):
            raise UnknownRecord(f"no {entry.parent.entry.jsonapi_type} has the id {parent_id}")
        child = make_child(account.context, account.store, entry, str(parent_id), rng, Lifetime(now, now))
        if child is None:
            raise ValueError(f"{name} of {parent_id} already contains every record")
        record = child
    values: dict[str, Value] = {"messages.channel": change["channel"]} if "channel" in change else {}
    record = changed(entry, record, change.get("attributes", {}), values)
    account.add(name, record, now, parent_id)
    return record.id


def _event(account: Account, change: Mapping[str, Any], now: int) -> str:
    """Add an event with a time and a later arrival; both are now by default."""
    moment = instants.parse(change["datetime"]) if "datetime" in change else now
    arrival = instants.parse(change["arrival"]) if "arrival" in change else now
    rng = _rng(account, change, now)
    events = SingleEvents(account.context, account.store, rng)
    chosen = events.choose()
    subject = Subject(change.get("metric_id", chosen.metric_id), change.get("profile_id", chosen.profile_id))
    if subject.metric_id is not None:
        account.find("metrics", subject.metric_id)
    event = events.make(subject, moment // SECOND * SECOND)
    if "attributes" in change:
        event = changed(account.catalog["events"], event, change["attributes"])
    _send(account, event, arrival, now)
    return event.id


def _send(account: Account, event: Record, arrival: int, now: int) -> None:
    if arrival <= now:
        account.add("events", event, now)
    else:
        account.store.schedule("events", event, arrival)
