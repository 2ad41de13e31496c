"""A sandbox in this process for repeating recorded requests."""

import asyncio
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
        """Return the first page of a type, with the additional fields and the ids of related records."""
        parameters = {"filter": "equals(messages.channel,'email')"} if entry.endpoint.required_filter else {}
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
        return entry.parent.path_of(next(parent_id for parent_id, _ in self._state.account.store.children[entry.name]))

    def record(self, entry: ResourceType) -> Facts:
        """Return a record of a type, for the values of filters."""
        return self.records(entry)[0]

    def as_recorded(self, request: Facts, omitted: Collection[str]) -> httpx.Response:
        """Send the request of a recorded response without some parameters, about one of the sandbox's own records."""
        entry = next(one for one in CATALOG.values() if request["path"] in (one.endpoint.path, f"{one.endpoint.path}/{{id}}"))
        record = self.record(entry)
        parameters = {
            name: ",".join(condition(one, record) for one in value) if name == "filter" else value
            for name, value in request["query"]
            if name not in omitted
        }
        path = self.path_of(entry) if request["path"] == entry.endpoint.path else request["path"].replace("{id}", record["id"])
        return self.send(request["method"], path, params=parameters)


def condition(text: str, record: Facts) -> str:
    """Return a condition that a record meets; ``text`` is operator and field, as in the digest."""
    operator, _, name = text.rstrip(")").partition("(")
    if operator.startswith("greater"):
        return f"{operator}({name},{LONG_AGO})"
    value = literal(name, record)
    return f"{operator}({name},[{value}])" if operator == "any" else f"{operator}({name},{value})"


def literal(name: str, record: Facts) -> str:
    """Return the value of a filter's field in a record, in filter syntax."""
    match name.split("."):
        case ["id"]:
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
    return f"{value}".lower() if isinstance(value, bool) else f'"{value}"'
