"""Applies the actions of a scenario to the account."""

import json
from collections.abc import Mapping
from datetime import timedelta

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.generate.generic import attribute_to_edit
from klaviyo_assets_tests.scenarios.scenario import (
    DAY,
    HOUR,
    Action,
    Add,
    Archive,
    Attribution,
    Change,
    Delete,
    Event,
    Join,
    Merge,
    OfHost,
    OfNamed,
    OfProfile,
    Rename,
    Reorder,
    Suppress,
    Tag,
    Wait,
    shared_type,
)
from klaviyo_assets_tests.scenarios.world import World

ATTRIBUTED_WITHIN = 3 * HOUR
"""Maximum age of an event when its attribution arrives, in seconds."""

_EDITED = {"accounts": "industry", "events": "event_properties", "profiles": "first_name", "reviews": "content"}
"""Attributes to change, where the sandbox's default choice does not fit."""

_NEXT_STATUS = {
    "PROCESSING": "UNASSIGNED",
    "VERSION_NOT_ACTIVE": "UNASSIGNED",
    "UNASSIGNED": "ASSIGNED_TO_PROFILE",
    "ASSIGNED_TO_PROFILE": "USED",
}
"""How the status of a coupon code changes; a used code stays used."""

_HUNDREDS = 100


def named_by(entry: ResourceType) -> ResourceType | None:
    """Return the type with the record that each record of a small type belongs to, such as the tag groups of tags; None if there is none."""
    if not isinstance(entry.replication, FullTable):
        return None
    names = [column.path[1] for column in entry.columns if column.path[0] == "relationships" and column.type is ColumnType.STRING]
    return next((one for one in CATALOG.values() if one.parent is None and one.jsonapi_type in names), None)


class ActionRunner:
    """Applies actions.

    Args:
        world: The world to change.
        entry: The resource type under test.
    """

    def __init__(self, world: World, entry: ResourceType) -> None:
        self.world, self.entry = world, entry
        self._host = ActionRunner(world, CATALOG[entry.host.entry.name]) if entry.host is not None else None
        self._shared = shared_type(entry)
        self._profiles = ActionRunner(world, self._shared) if self._shared is not None else None
        named = named_by(entry)
        self._named = None if named is None else ActionRunner(world, named)
        self._changes = 0

    def run(self, step: Action, records: Mapping[str, bytes]) -> str | None:
        """Apply an action and return its label for the stats; None if there is nothing to apply it to.

        Args:
            step: The action.
            records: The type's records, by id.
        """
        name, ids = self.entry.name, sorted(records)
        match step:
            case Wait(seconds):
                self.world.advance(timedelta(seconds=seconds))
                return "time passes"
            case Event(ago, count):
                return self._add_events(ago, count)
            case OfHost(action) if self._host is not None:
                label = self._host.run(action, self.world.records(self._host.entry.name))
                return f"host: {label}" if label else None
            case Rename(which):
                messages = sorted(self.world.records("campaign_messages"))
                if not messages:
                    return None
                self.world.change("rename", type="campaign_messages", id=messages[which % len(messages)], name=f"edited {self._next()}")
                return "message of a campaign renamed"
            case Reorder(which):
                flows = sorted(self.world.records("flows"))
                if not flows:
                    return None
                self.world.change("reorder", id=flows[which % len(flows)], seed=self._next())
                return "actions of a flow in another order"
            case Tag(which, count) if ids and "tags" in self.entry.endpoint.includes:
                tags = [f"0000000{number}-4f6c-11f0-8001-{self._next():012}" for number in range(count)]
                self.world.change("tag", type=name, id=ids[which % len(ids)], tags=tags)
                return f"{count} tags"
            case Add() if self._host is not None and not self.world.records(self._host.entry.name):
                return None
            case Add(count):
                for _ in range(count):
                    self.world.change("add", type=name, seed=self._next())
                return f"new{_count_label(count)}"
            case Join(parent, count):
                return self._join(parent, count)
            case Change(which) if ids and name == "coupon_codes":
                return self._next_status(ids[which % len(ids)], records)
            case Change(which) if ids and self.entry.parent is not None:
                return self._join_again(ids[which % len(ids)])
            case Delete(which) if ids and self.entry.parent is not None:
                return self._leave(ids[which % len(ids)])
            case OfProfile(action) if self._profiles is not None:
                label = self._profiles.run(action, self.world.records(self._profiles.entry.name))
                return f"{self._profiles.entry.jsonapi_type}: {label}" if label else None
            case OfNamed(action) if self._named is not None:
                label = self._named.run(action, self.world.records(self._named.entry.name))
                return f"{self._named.entry.name}: {label}" if label else None
            case Change(which, moves, count) if ids:
                chosen = [ids[number % len(ids)] for number in range(which, which + min(count, len(ids)))]
                for id_ in chosen:
                    self._edit(id_, moves=moves)
                return f"{'change' if moves and self.entry.version_column else 'silent change'}{_count_label(len(chosen))}"
            case Attribution(which) if name == "events":
                return self._attribute(which, records)
            case Suppress(which, from_list, lifted) if ids and name == "profiles":
                return self._suppress(records[ids[which % len(ids)]], "list_suppressions" if from_list else "suppression", lifted=lifted)
            case Archive(which) if ids and "archived" in self.entry.endpoint.filters:
                self.world.change("archive", type=name, id=ids[which % len(ids)])
                return "archived"
            case Delete(which) if ids:
                self.world.change("delete", type=name, id=ids[which % len(ids)])
                return "deleted"
            case Merge(source, destination):
                return self._merge(source, destination)
        return None

    def _add_events(self, ago: int, count: int) -> str | None:
        if not self.world.records("profiles") or not self.world.records("metrics"):
            return None
        for _ in range(count):
            self.world.change("event", datetime=self.world.now() - timedelta(seconds=ago), seed=self._next())
        if ago < 0:
            return "event dated in the future"
        kind = "event" if ago <= HOUR else "late event" if ago <= 17 * DAY else "import of old dates"
        return f"{kind}{_count_label(count)}"

    def _join(self, parent: int, count: int) -> str | None:
        """Add children to a parent, as many as there are records that may still join it."""
        assert self.entry.parent is not None
        parents = sorted(self.world.records(self.entry.parent.type_name))
        if not parents:
            return None
        chosen = parents[parent % len(parents)]
        there = sum(key.startswith(f"{chosen}/") for key in self.world.records(self.entry.name))
        free = count if self._shared is None else min(count, len(self.world.records(self._shared.name)) - there)
        for _ in range(free):
            self.world.change("add", type=self.entry.name, parent=chosen, seed=self._next())
        if free > 0:
            self._show_change(chosen)
        return f"joined a parent{_count_label(free)}" if free > 0 else None

    def _leave(self, key: str) -> str:
        self.world.change("delete", type=self.entry.name, **_ids_of(key))
        self._show_change(_ids_of(key)["parent"])
        return "left a parent"

    def _show_change(self, parent: str) -> None:
        """Change a parent, as Klaviyo does when its children change, if that is how syncs know what to read."""
        assert self.entry.parent is not None
        if self.entry.replication.parent_change_column is not None:
            named = {attribute_to_edit(self.entry.parent.entry): f"edited {self._next()}"}
            self.world.change("update", type=self.entry.parent.type_name, id=parent, attributes=named)

    def _join_again(self, key: str) -> str | None:
        """Let a child leave its parent and join it again in the same second: only the time of joining shows that, if there is one."""
        joined = next((column.path[-1] for column in self.entry.columns if column.type is ColumnType.TIMESTAMP), None)
        if joined is None:
            return None
        now = self.world.now().replace(microsecond=0).isoformat()
        self.world.change("update", type=self.entry.name, **_ids_of(key), attributes={joined: now})
        return "joined a parent again"

    def _next_status(self, key: str, records: Mapping[str, bytes]) -> str | None:
        status = _NEXT_STATUS.get(json.loads(records[key])["attributes"]["status"])
        if status is None:
            return None
        self.world.change("update", type=self.entry.name, **_ids_of(key), attributes={"status": status})
        return f"status {status}"

    def _edit(self, id_: str, *, moves: bool) -> None:
        name = self.entry.name
        if name == "predictive_analytics":
            predictions = {"predictive_analytics": {"historic_clv": self._next()}}
            self.world.change("update", type=name, id=id_, attributes=predictions, moves=moves)
            return
        if name == "mapped_metrics":
            self.world.change("map", id=id_, seed=self._next())
            return
        if self.entry.host is not None:
            self.world.change("rename", type=name, id=id_, name=f"edited {self._next()}", moves=moves)
            return
        value = {"edited": self._next()} if name == "events" else f"edited {self._next()}"
        self.world.change("update", type=name, id=id_, attributes={_EDITED.get(name) or attribute_to_edit(self.entry): value}, moves=moves)

    def _attribute(self, which: int, records: Mapping[str, bytes]) -> str | None:
        now = self.world.now().timestamp()
        ages = {id_: now - json.loads(raw)["attributes"]["timestamp"] for id_, raw in sorted(records.items())}
        young = [id_ for id_, age in ages.items() if 0 <= age <= ATTRIBUTED_WITHIN]
        if not young:
            return None
        self.world.change("attribution", id=young[which % len(young)], attributions=[f"attribution{self._next()}"])
        return "attribution of an event"

    def _suppress(self, profile: bytes, kind: str, *, lifted: bool) -> str | None:
        found = json.loads(profile)
        subscriptions = found["attributes"]["subscriptions"]
        marketing = subscriptions["email"]["marketing"]
        if lifted and not marketing[kind]:
            return None
        entry = {"reason": "UNSUBSCRIBE", "timestamp": self.world.now().isoformat()} | ({"list_id": "AbCdEf"} if kind == "list_suppressions" else {})
        marketing[kind] = [] if lifted else [entry]
        self.world.change("update", type="profiles", id=found["id"], attributes={"subscriptions": subscriptions}, moves=False)
        return f"{kind.replace('_', ' ').removesuffix('s')} {'removed' if lifted else 'added'} without a change of updated"

    def _merge(self, source: int, destination: int) -> str | None:
        ids = sorted(self.world.records("profiles"))
        if len(ids) < 2 or source % len(ids) == destination % len(ids):
            return None
        self.world.change("merge", source=ids[source % len(ids)], destination=ids[destination % len(ids)])
        return "merge of profiles"

    def _next(self) -> int:
        self._changes += 1
        return self._changes


def _ids_of(key: str) -> dict[str, str]:
    """Return the ids of a child and of its parent in the child's key."""
    parent, id_ = key.split("/")
    return {"parent": parent, "id": id_}


def _count_label(count: int) -> str:
    return ", hundreds of one second" if count >= _HUNDREDS else ", many of one second" if count > 1 else ""
