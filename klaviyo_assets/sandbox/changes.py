"""Changes to the account: records are added, updated, archived, deleted and merged."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.sandbox import catalog_links
from klaviyo_assets.sandbox.clock import Clock
from klaviyo_assets.sandbox.consent_changes import CONSENT_ROLES, follow_consent
from klaviyo_assets.sandbox.fields import Value
from klaviyo_assets.sandbox.generate import generate
from klaviyo_assets.sandbox.generate.attributions import Attributor, named_in
from klaviyo_assets.sandbox.generate.campaign_messages import renamed_message
from klaviyo_assets.sandbox.generate.context import GenerationContext, Lifetime
from klaviyo_assets.sandbox.generate.events import profile_identifier, with_attributions
from klaviyo_assets.sandbox.generate.hosted import (
    definition_of,
    make_hosted,
    message_parts,
    name_hosted,
    remove_hosted,
    remove_of_host,
    settle_host,
)
from klaviyo_assets.sandbox.generate.metrics import role_of_metric
from klaviyo_assets.sandbox.generate.profiles import subscription_values
from klaviyo_assets.sandbox.instants import render
from klaviyo_assets.sandbox.options import SandboxOptions
from klaviyo_assets.sandbox.records import Record, changed, relinked
from klaviyo_assets.sandbox.store import Store
from klaviyo_assets.sandbox.time_formats import written

_DEPENDENTS = {"profiles": ("push_tokens", "profile"), "tag_groups": ("tags", "tag-group")}
"""Types with records that do not exist without one of another type, and the relationship that names it. Klaviyo documents that of tags."""


class UnknownRecord(LookupError):
    """There is no record with this id."""


class Account:
    """The made-up account and the changes to it.

    Args:
        context: Options, ids and random numbers for new records.
        clock: The sandbox's clock.
        catalog: The resource types.

    Attributes:
        store: The records.
    """

    def __init__(self, context: GenerationContext, clock: Clock, catalog: Catalog = CATALOG) -> None:
        self.context = context
        self.clock = clock
        self.catalog = catalog
        self.store: Store = generate(context, catalog)
        self.store.on_arrival = self._arrived

    @property
    def options(self) -> SandboxOptions:
        """The sandbox's options."""
        return self.context.options

    def settle(self) -> int:
        """Add the scheduled records that are due and return the current time."""
        now = self.clock.now()
        self.store.settle(now)
        return now

    def add(self, name: str, record: Record, now: int, parent_id: str | None = None) -> None:
        """Add a new record that arrives now."""
        name = self._owner(name)
        self.store.records_of(self.catalog[name], parent_id).put(record)
        if name == "catalog_variants":
            catalog_links.adopt(self.store, record)
        self._arrived(name, record, now)
        if parent_id is None:
            rng = self.context.rng(f"{name}/{record.id}/included")
            make_hosted(self.context, self.store, self.catalog[name], record, rng, Lifetime(now, now))

    def update(self, name: str, id: str, attributes: Mapping[str, Any], now: int, *, moves: bool = True, parent_id: str | None = None) -> Record:
        """Replace some attributes of a record.

        Args:
            name: The type's name.
            id: The record's id.
            attributes: The attributes to replace.
            now: When it happens.
            moves: Whether the time of the record's last change moves to now.
            parent_id: The id of its parent, if the type has one.

        Raises:
            UnknownRecord: If there is no such record.
        """
        name = self._owner(name)
        entry = self.catalog[name]
        record = self.find(name, id, parent_id)
        stamp = {entry.version_column: written(name, now)} if moves and entry.version_column and entry.version_column not in attributes else {}
        values: dict[str, Value] = {}
        if name == "profiles" and "subscriptions" in attributes:
            values = subscription_values(attributes["subscriptions"])
            record = replace(record, values={key: value for key, value in record.values.items() if not key.startswith("subscriptions.")})
        new = changed(entry, record, {**attributes, **stamp}, values)
        self.store.records_of(entry, parent_id).put(new)
        if entry.host is not None:
            settle_host(self.store, entry.host.entry.name, str(new.values["host_id"]))
        return new

    def rename_message(self, name: str, id: str, text: str, now: int, *, moves: bool = True) -> Record:
        """Rename a message of a campaign or of a flow; of an action, its first message, or else what it waits for or sets.

        Raises:
            UnknownRecord: If there is no such record.
        """
        record = self.find(name, id)
        if name == "flow_messages":
            return self._rename_in_action(str(record.values["flow_action_id"]), id, text, now, moves=moves)
        if name == "flow_actions":
            return self._rename_in_action(id, None, text, now, moves=moves)
        return self.update(name, id, {"definition": renamed_message(definition_of(record), text)}, now, moves=moves)

    def _rename_in_action(self, action: str, message: str | None, text: str, now: int, *, moves: bool) -> Record:
        definition = definition_of(self.find("flow_actions", action))
        parts = [part for part, _, _ in message_parts(definition) if message in (None, part["id"])]
        (parts[0] if parts else definition["data"])["name"] = text
        stamp = {"updated": written("flow_actions", now)} if moves else {}
        return self.update("flow_actions", action, {"definition": definition, **stamp}, now)

    def reorder(self, flow: str, rng: random.Random) -> None:
        """Change the order of a flow's actions.

        Raises:
            UnknownRecord: If there is no such flow.
        """
        ids = [*self.find("flows", flow).related["flow-actions"]]
        rng.shuffle(ids)
        name_hosted(self.store, self.catalog["flow_actions"], flow, ids)

    def tag(self, name: str, id: str, tags: Sequence[str]) -> Record:
        """Replace the tags of a campaign, flow, list or segment; nothing else of it changes.

        Raises:
            UnknownRecord: If there is no such record.
        """
        new = relinked(self.find(name, id), "tags", "tag", tags)
        self.store[name].put(new)
        return new

    def archive(self, name: str, id: str, now: int) -> Record:
        """Archive a campaign or flow; an option says whether this counts as a change."""
        return self.update(name, id, {"archived": True}, now, moves=self.options.archiving_moves_updated)

    def attribute(self, id: str, attributions: tuple[str, ...]) -> Record:
        """Replace the attributions of an event and nothing else, as Klaviyo does up to three hours after the event arrived.

        They name the last earlier event of the same profile, if there is one, preferably one of a message, and a campaign or flow of the account.

        Raises:
            UnknownRecord: If there is no such event.
        """
        event = self.find("events", id)
        earlier = [one for one in self.store["events"] if one.values["profile_id"] == event.values["profile_id"] and _moment(one) < _moment(event)]
        messages = [one for one in earlier if named_in(one, "$message") is not None]
        resources = Attributor(self.store).make(id, attributions, max(messages or earlier, key=_moment, default=None))
        new = with_attributions(event, resources, inline=self.options.attributions_without_include)
        self.store["events"].put(new)
        return new

    def delete(self, name: str, id: str, parent_id: str | None = None) -> None:
        """Delete a record and its children, of an item also its variants; the events of a deleted profile remain, without the profile.

        Raises:
            UnknownRecord: If there is no such record.
        """
        name = self._owner(name)
        record = self.find(name, id, parent_id)
        if parent_id is None:
            self.store.deleted.setdefault(name, {})[id] = record
        entry = self.catalog[name]
        if entry.host is not None:
            remove_hosted(self.store, entry, id)
            return
        self.store.records_of(entry, parent_id).remove(id)
        remove_of_host(self.store, name, id)
        if name == "catalog_variants":
            catalog_links.abandon(self.store, id)
        if name == "catalog_items":
            for variant_id in record.related["variants"]:
                self.delete("catalog_variants", variant_id)
        for children in self.store.children.values():
            if children.entry.parent is not None and children.entry.parent.type_name == name and not self.store.has(name, id):
                children.remove_parent(id)
        if parent_id is None:
            self._replace_in_children(name, id, None)
            self._replace_in_dependents(name, id, None)
        if name in ("tags", "tag_groups"):
            self._drop_tags()
        if name == "profiles":
            self._move_events(id, None)

    def merge(self, source: str, destination: str, now: int) -> Record:
        """Merge a profile into another: the source is deleted and its events move to the destination.

        Raises:
            UnknownRecord: If one of them does not exist.
        """
        if source == destination:
            raise ValueError("a profile cannot be merged into itself")
        from_source, existing = self.find("profiles", source).attributes(), self.find("profiles", destination).attributes()
        filled = {name: value for name, value in from_source.items() if bytes(existing.get(name, b"null")) == b"null"}
        self.store["profiles"].remove(source)
        self._replace_in_children("profiles", source, destination)
        self._replace_in_dependents("profiles", source, destination)
        self._move_events(source, destination)
        return self.update("profiles", destination, filled, now)

    def _owner(self, name: str) -> str:
        """Return the type that the records of a type belong to, itself if to no other."""
        return (self.catalog[name].records_of or self.catalog[name]).name

    def find(self, name: str, id: str, parent_id: str | None = None) -> Record:
        """Return a record.

        Raises:
            UnknownRecord: If there is no such record.
        """
        entry = self.catalog[name]
        if (entry.parent is None) != (parent_id is None):
            raise ValueError(f"{name} has {'no parent' if entry.parent is None else 'a parent: give its id'}")
        record = self.store.records_of(entry, parent_id).get(id)
        if record is None:
            raise UnknownRecord(f"no {entry.jsonapi_type} has the id {id}")
        return record

    def _replace_in_children(self, name: str, id: str, other_id: str | None) -> None:
        """Replace a record of this type with another one, or remove it, under every parent."""
        for children in self.store.children.values():
            if self.store.shared_with(children.entry) is self.store[name]:
                children.replace_everywhere(id, other_id)

    def _replace_in_dependents(self, name: str, id: str, other_id: str | None) -> None:
        """Move the records that belong to one of this type to another one, or remove them with it."""
        dependents, relationship = _DEPENDENTS.get(name, ("", ""))
        collection = self.store.collections.get(dependents)
        for record in list(collection or ()):
            if collection is None or record.related.get(relationship) != (id,):
                continue
            if other_id is None:
                collection.remove(record.id)
            else:
                values: dict[str, Value] = {f"{relationship}_id": other_id, f"{relationship}.id": other_id}
                related = {**record.related, relationship: (other_id,)}
                collection.put(replace(record, values={**record.values, **values}, related=related))

    def _drop_tags(self) -> None:
        """Remove tags that no longer exist from the records that have them."""
        tags = self.store["tags"]
        self.context.tag_ids = tuple(id for id in self.context.tag_ids if tags.get(id) is not None)
        for collection in self.store.collections.values():
            for record in list(collection) if "tags" in collection.entry.endpoint.includes else ():
                kept = tuple(id for id in record.related.get("tags", ()) if tags.get(id) is not None)
                if kept != record.related.get("tags", ()):
                    collection.put(replace(record, related={**record.related, "tags": kept}))

    def _arrived(self, name: str, record: Record, instant: int) -> None:
        if name != "events":
            return
        profile = self.store["profiles"].get(str(record.values["profile_id"]))
        moment = record.values["datetime"]
        if profile is None or not isinstance(moment, int):
            return
        if moment <= instant:
            self._follow_consent(profile, record, moment, instant)
        if not self.options.events_move_updated:
            return
        before = msgspec.json.decode(profile.attributes()["last_event_date"])
        seen = {"last_event_date": render(moment)} if moment <= instant and (before is None or render(moment) > before) else {}
        self.update("profiles", profile.id, seen, instant)

    def _follow_consent(self, profile: Record, event: Record, moment: int, instant: int) -> None:
        """Change the consent of a profile, and the list that it joins or leaves, as an event says; this moves ``updated``."""
        metric = self.store["metrics"].get(str(event.values["metric_id"]))
        role = None if metric is None else role_of_metric(metric)
        if role is None or role not in CONSENT_ROLES:
            return
        before = msgspec.json.decode(profile.extras["subscriptions"])
        after = follow_consent(self.store, before, role, event, profile.id, moment)
        if after != before:
            self.update("profiles", profile.id, {"subscriptions": after}, instant)

    def _move_events(self, source: str, destination: str | None) -> None:
        old = b'"data":%b,' % profile_identifier(source)
        new = b"" if destination is None else b'"data":%b,' % profile_identifier(destination)

        def moved(name: str, record: Record) -> Record:
            if name != "events" or record.values["profile_id"] != source:
                return record
            raw = record.raw[: record.cut] + record.raw[record.cut :].replace(old, new)
            return replace(record, raw=raw, values={**record.values, "profile_id": destination})

        events = self.store["events"]
        for record in [record for record in events if record.values["profile_id"] == source]:
            events.put(moved("events", record))
        self.store.amend_scheduled(moved)


def _moment(event: Record) -> int:
    """Return the time of an event."""
    moment = event.values["datetime"]
    assert isinstance(moment, int)
    return moment
