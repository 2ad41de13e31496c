"""Helpers for the sandbox's tests."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from klaviyo_assets.catalog import CATALOG, REVISION
from klaviyo_assets.sandbox.options import SandboxOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.sandbox.query import read_query
from klaviyo_assets.sandbox.responses import collection
from klaviyo_assets.sandbox.state import State

BASE = datetime(2026, 7, 20, 12, 0, tzinfo=UTC)

SMALL = SandboxOptions(seed=0, events=600, profiles=150, campaigns=60, reviews=80, metrics=25, lists=23, base=BASE, limits=False)


def path_of(sandbox: SandboxProcess, name: str) -> str:
    """Return the path of a type's records; of a child type, the path for a parent with children; of a type with a host, of one record."""
    entry = CATALOG[name]
    if entry.host is not None:
        return f"{entry.endpoint.path}/{sandbox.truth(name)[0]['id']}"
    return entry.path_of(None if entry.parent is None else sandbox.truth(name)[0]["meta"][entry.parent.column])


def required_parameters(sandbox: SandboxProcess, name: str) -> dict[str, str]:
    """Return the filter without which a collection cannot be requested; of children that are filtered by their parents, for a parent with some."""
    parent = CATALOG[name].parent
    if parent is not None and parent.filter is not None:
        return {"filter": f"equals({parent.filter},'{sandbox.truth(name)[0]['meta'][parent.column]}')"}
    return {"filter": "equals(messages.channel,'email')"} if CATALOG[name].endpoint.required_filter else {}


class ManualClock:
    """A clock that a test sets."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Klaviyo-API-Key {key}", "revision": REVISION}


def get_page(state: State, name: str, parameters: dict[str, str], parent_id: str | None = None) -> dict[str, Any]:
    """Return a page without HTTP."""
    entry = state.catalog[name]
    query = read_query(state.account.store, entry, parameters.items(), lookup=False)
    now = state.account.settle()
    response: dict[str, Any] = json.loads(collection(state.account.store, entry, query, state.options, now, "http://sandbox", parent_id=parent_id))
    return response


def pages(state: State, name: str, parameters: dict[str, str], link: str = "next", parent_id: str | None = None) -> Iterator[dict[str, Any]]:
    """Follow the links of a collection without HTTP and yield its pages."""
    while True:
        page = get_page(state, name, parameters, parent_id)
        yield page
        if page["links"][link] is None:
            return
        parameters = dict(parse_qsl(urlsplit(page["links"][link]).query))


def ids(state: State, name: str, parent_id: str | None = None, **parameters: str) -> list[str]:
    """Return the ids of all pages of a collection, in their order."""
    renamed = {name.replace("page_size", "page[size]"): value for name, value in parameters.items()}
    return [record["id"] for page in pages(state, name, renamed, parent_id=parent_id) for record in page["data"]]
