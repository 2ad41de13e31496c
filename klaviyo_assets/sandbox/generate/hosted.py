"""Records that come with the responses for another type: messages of campaigns, actions of flows and their messages.

A flow's actions are in one order: its relationship names the last one first, as recorded, and the links in their definitions follow that order.
Messages of flows are parts of the actions' definitions; they are stored as records of their own for ``/api/flow-messages/{id}``.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.generate.campaign_messages import make_campaign_message
from klaviyo_assets.sandbox.generate.context import GenerationContext, Lifetime
from klaviyo_assets.sandbox.generate.flow_actions import make_action
from klaviyo_assets.sandbox.generate.generic import make_any
from klaviyo_assets.sandbox.records import Record, build, changed, relinked, with_id
from klaviyo_assets.sandbox.store import Store

_CHANNELS = {"send-email": ("Email", "email"), "send-sms": ("SMS", "sms"), "send-mobile-push": ("Mobile Push", "mobile_push")}
"""Channel of a flow message, in its record and in the table."""


def hosted_types(store: Store, host: str) -> list[ResourceType]:
    """Return the types with records that a host includes; not those that are derived from another such type."""
    return [entry for entry in store.catalog.values() if entry.host is not None and entry.host.entry.name == host and entry.host.source is None]


def make_hosted(context: GenerationContext, store: Store, host: ResourceType, record: Record, rng: random.Random, lifetime: Lifetime) -> None:
    """Make the records that a new record of a host includes."""
    for entry in hosted_types(store, host.name):
        assert entry.host is not None
        for id in record.related.get(entry.host.relationship, ()):
            store[entry.name].put(_make(context, store, entry, record, id, rng, lifetime))
    settle_host(store, host.name, record.id)


def _make(context: GenerationContext, store: Store, entry: ResourceType, host: Record, id: str, rng: random.Random, lifetime: Lifetime) -> Record:
    match entry.name:
        case "campaign_messages":
            return make_campaign_message(rng, host, id, lifetime)
        case "flow_actions":
            return make_action(context, rng, host, id, lifetime)
    made = with_id(make_any(context, store, entry, rng, lifetime), id)
    return replace(made, values={**made.values, "host_id": host.id})


def add_hosted(context: GenerationContext, store: Store, entry: ResourceType, rng: random.Random, now: int) -> str:
    """Add a record to some record of its host, at some place, and return its id.

    Raises:
        ValueError: If there is no record of the host.
    """
    assert entry.host is not None
    if entry.host.source is not None:
        return _add_derived(context, store, entry, rng, now)
    hosts = store.ids_of(entry.host.entry.name)
    if not hosts:
        raise ValueError(f"{entry.name} need a record of {entry.host.entry.name}")
    host = store[entry.host.entry.name].get(rng.choice(hosts))
    assert host is not None
    id = context.action_id(rng) if entry.name == "flow_actions" else context.hosted_ids.ulid()
    store[entry.name].put(_make(context, store, entry, host, id, rng, Lifetime(now, now)))
    ids = [*host.related[entry.host.relationship]]
    ids.insert(rng.randrange(len(ids) + 1), id)
    name_hosted(store, entry, host.id, ids)
    return id


def _add_derived(context: GenerationContext, store: Store, entry: ResourceType, rng: random.Random, now: int) -> str:
    """Add a record that is derived from the records of another type: one of those with at least one such record."""
    assert entry.host is not None
    assert entry.host.source is not None
    before = {record.id for record in store[entry.name]}
    while not (new := [record.id for record in store[entry.name] if record.id not in before]):
        add_hosted(context, store, entry.host.source, rng, now)
    return new[0]


def remove_hosted(store: Store, entry: ResourceType, id: str) -> None:
    """Remove a record, also from the relationship of its host; of a flow message, the action that sends it."""
    facts = entry.host
    assert facts is not None
    if facts.source is not None:
        message = store[entry.name].get(id)
        assert message is not None
        remove_hosted(store, facts.source, str(message.values["flow_action_id"]))
        return
    record = store[entry.name].remove(id)
    host = store[facts.entry.name].get(str(record.values["host_id"])) if record is not None else None
    if host is not None:
        name_hosted(store, entry, host.id, [one for one in host.related[facts.relationship] if one != id])


def name_hosted(store: Store, entry: ResourceType, host_id: str, ids: Sequence[str]) -> None:
    """Set which records a record of the host names, in this order."""
    assert entry.host is not None
    hosts = store[entry.host.entry.name]
    host = hosts.get(host_id)
    assert host is not None
    hosts.put(relinked(host, entry.host.relationship, entry.jsonapi_type, ids))
    settle_host(store, entry.host.entry.name, host_id)


def remove_of_host(store: Store, host: str, host_id: str) -> None:
    """Remove the records of a deleted record of a host; reports still name what it has sent."""
    for entry in hosted_types(store, host):
        for record in [one for one in store[entry.name] if one.values.get("host_id") == host_id]:
            store[entry.name].remove(record.id)
            store.deleted.setdefault(entry.name, {})[record.id] = record
    settle_host(store, host, host_id)


def settle_host(store: Store, host: str, host_id: str) -> None:
    """Make links, positions and messages of a flow match its actions and their order."""
    if host != "flows" or "flow_actions" not in store.collections:
        return
    flow, actions = store["flows"].get(host_id), store["flow_actions"]
    ids = flow.related["flow-actions"][::-1] if flow is not None else ()
    for number, id in enumerate(ids):
        action = actions.get(id)
        assert action is not None
        definition = {**definition_of(action), "links": _links(definition_of(action)["type"], ids[number + 1 :])}
        actions.put(changed(actions.entry, action, {"definition": definition}, {"position": number + 1}))
    if "flow_messages" in store.collections:
        messages = store["flow_messages"]
        for record in [one for one in messages if one.values.get("host_id") == host_id]:
            messages.remove(record.id)
        for id in ids:
            action = actions.get(id)
            assert action is not None
            for message in _messages(messages.entry, action):
                messages.put(message)


def _links(kind: str, following: Sequence[str]) -> dict[str, Any]:
    """Return the links of an action: to the next one, and from a branch to the one after that too."""
    first, second = [*following[:2], None, None][:2]
    return {"next_if_true": first, "next_if_false": second} if kind == "conditional-split" else {"next": first}


def definition_of(record: Record) -> dict[str, Any]:
    """Return the definition of an action or a message."""
    found: dict[str, Any] = msgspec.json.decode(record.attributes()["definition"])
    return found


def message_parts(definition: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str, bool]]:
    """Yield the messages in an action's definition, each with the type of its action and whether it is a variation."""
    data = definition["data"]
    if "message" in data:
        yield data["message"], definition["type"], False
    if "main_action" in data:
        yield data["main_action"]["data"]["message"], data["main_action"]["type"], False
        for variation in data["current_experiment"]["variations"]:
            yield variation["data"]["message"], variation["type"], True


def _messages(entry: ResourceType, action: Record) -> Iterator[Record]:
    definition = definition_of(action)
    experiment = definition["data"].get("current_experiment") or {}
    for message, kind, is_variation in message_parts(definition):
        attributes = {"channel": _CHANNELS[kind][0], "definition": message, "created": None, "updated": None}
        template = {"type": "template", "id": message["template_id"]} if message.get("template_id") else None
        linked = {"flow-action": {"type": "flow-action", "id": action.id}, "template": template}
        values = {
            "host_id": action.values["host_id"],
            "flow_action_id": action.id,
            "position": action.values["position"],
            "status": definition["data"].get("status"),
            "channel": _CHANNELS[kind][1],
            "is_variation": is_variation,
            "experiment_id": experiment.get("id"),
            "experiment_name": experiment.get("name"),
        }
        yield build(entry, message["id"], attributes, linked=linked, values=values, other_relationships=("image",))


def derived_values(entry: ResourceType, record: Record) -> dict[str, Any]:
    """Return the values of a record that a table computes from the response."""
    if entry.name == "flow_actions":
        definition = definition_of(record)
        following = [str(id) for id in definition["links"].values() if id is not None]
        status = definition["data"].get("status")
        return {"position": record.values["position"], "action_type": definition["type"], "status": status, "next_action_ids": following}
    if entry.name == "flow_messages":
        message, values = definition_of(record), dict(record.values)
        names = [column.path[1] for column in entry.columns if column.path[0] == "derived"]
        return {
            **{name: message.get(name) for name in names},
            "flow_id": values["host_id"],
            **{name: values[name] for name in names if name in values},
        }
    return {}
