"""A sandbox in this process for repeating recorded requests."""

import asyncio
import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import httpx

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.sandbox.app import build_app
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.limits import Limits
from klaviyo_assets.sandbox.state import begin
from klaviyo_assets_tests.contract.digest import Facts
from klaviyo_assets_tests.sandbox.helpers import SMALL, ManualClock, headers

LONG_AGO = "2020-01-01T00:00:00Z"


class Account:
    """A sandbox with rate limits; by default its clock moves a minute ahead before each request."""

    def __init__(self) -> None:
        self._clock = ManualClock(600.0)
        self._state = begin(replace(SMALL, limits=True))
        self._state.limits = Limits(self._clock)
        self._app = httpx.ASGITransport(build_app(self._state))

    def send(self, method: str, path: str, *, key: str = ALL_SCOPES_KEY, pause: float = 60.0, **arguments: Any) -> httpx.Response:
        """Send one request, ``pause`` seconds after the last one."""
        self._clock.now += pause

        async def send_async() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._app, base_url="http://127.0.0.1") as client:
                return await client.request(method, path, headers=headers(key), **arguments)

        return asyncio.run(send_async())

    def records(self, entry: ResourceType) -> list[Facts]:
        """Return the first page of a type, with the additional fields and the ids of related records; with a host, every record by its id."""
        if entry.host is not None:
            ids = self._state.account.store.ids_of(entry.name)
            return [self.send("GET", f"{entry.endpoint.path}/{id_}").json()["data"] for id_ in ids]
        parameters = {"filter": "equals(messages.channel,'email')"} if entry.endpoint.required_filter else {}
        if entry.parent is not None and entry.parent.filter is not None:
            parameters = {"filter": f"equals({entry.parent.filter},'{self._first_parent(entry)}')"}
        if entry.endpoint.additional_fields:
            parameters[f"additional-fields[{entry.jsonapi_type}]"] = ",".join(entry.endpoint.additional_fields)
        if entry.endpoint.includes:
            parameters["include"] = ",".join(entry.endpoint.includes)
        found: list[Facts] = self.send("GET", self.path_of(entry), params=parameters).json()["data"]
        return found

    def path_of(self, entry: ResourceType) -> str:
        """Return the path of a type's records; of a child type, the path for a parent with children."""
        if entry.parent is None:
            return entry.endpoint.path
        return entry.parent.path_of(self._first_parent(entry))

    def _first_parent(self, entry: ResourceType) -> str:
        """Return the id of a parent with children."""
        return next(parent_id for parent_id, _ in self._state.account.store.children[entry.name])

    def record(self, entry: ResourceType) -> Facts:
        """Return a record of a type, for the values of filters."""
        return self.records(entry)[0]

    def as_recorded(self, request: Facts, omitted: Collection[str]) -> httpx.Response:
        """Send the request of a recorded response without some parameters, about one of the sandbox's own records."""
        entry = next(one for one in CATALOG.values() if request["path"] in (one.endpoint.path, f"{one.endpoint.path}/{{id}}"))
        record = self.record(entry)
        parameters = {
            name: next(filters for record in self.records(entry) if (filters := self.conditions(value, entry, record))) if name == "filter" else value
            for name, value in request["query"]
            if name not in omitted
        }
        path = self.path_of(entry) if request["path"] == entry.endpoint.path else request["path"].replace("{id}", record["id"])
        return self.send(request["method"], path, params=parameters)

    def conditions(self, texts: list[str], entry: ResourceType, record: Facts) -> str | None:
        """Return conditions that a record meets, each text an operator and a field, as in the digest; None if the record has no value for one."""
        with_links = record | {"attributes": record["attributes"] | self.linked(entry, record)}
        found = [condition(text, with_links) for text in texts]
        return None if None in found else ",".join(filter(None, found))

    def linked(self, entry: ResourceType, record: Facts) -> Facts:
        """Return the ids that filters of the product catalog name, as if they were attributes."""
        links = self._state.account.store.children["catalog_category_items"]
        match entry.name:
            case "catalog_categories":
                return {"item": {"id": next((item.id for parent_id, item in links if parent_id == record["id"]), None)}}
        return {}


def condition(text: str, record: Facts) -> str | None:
    """Return a condition that a record meets, or None if it has no value; ``text`` is operator and field, as in the digest."""
    operator, _, name = text.rstrip(")").partition("(")
    if operator.startswith("greater"):
        return f"{operator}({name},{LONG_AGO})"
    value = literal(name, record)
    if value is None:
        return None
    return f"{operator}({name},[{value}])" if operator == "any" else f"{operator}({name},{value})"


def literal(name: str, record: Facts) -> str | None:
    """Return the value of a filter's field in a record, in filter syntax; None if it is null."""
    match name.split("."):
        case ["id" | "ids"]:
            value: Any = record["id"]
        case ["messages", "channel"]:
            value = "email"
        case [relationship] if relationship.endswith("_id") and relationship.removesuffix("_id") in record["relationships"]:
            value = record["relationships"][relationship.removesuffix("_id")]["data"]["id"]
        case [relationship, "id"] if relationship in record.get("relationships", {}):
            value = record["relationships"][relationship]["data"]["id"]
        case parts:
            value = record["attributes"]
            for part in parts:
                value = value[part]
    if value is None:
        return None
    return f"{value}".lower() if isinstance(value, bool) else json.dumps(value)
