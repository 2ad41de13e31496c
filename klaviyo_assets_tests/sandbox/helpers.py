"""What the sandbox's tests share."""

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
    """Return the path of a type's records; of a child type, of those of a parent that has some."""
    entry = CATALOG[name]
    return entry.path_of(None if entry.parent is None else sandbox.truth(name)[0]["meta"][entry.parent.column])


class Hand:
    """A clock that is moved by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Klaviyo-API-Key {key}", "revision": REVISION}


def ask(state: State, name: str, parameters: dict[str, str], parent_id: str | None = None) -> dict[str, Any]:
    """Ask for a page without HTTP."""
    entry = state.catalog[name]
    query = read_query(state.account.store, entry, parameters.items(), lookup=False)
    now = state.account.settle()
    answer: dict[str, Any] = json.loads(collection(state.account.store, entry, query, state.options, now, "http://sandbox", parent_id=parent_id))
    return answer


def pages(state: State, name: str, parameters: dict[str, str], link: str = "next", parent_id: str | None = None) -> Iterator[dict[str, Any]]:
    """Walk a collection by its links without HTTP."""
    while True:
        page = ask(state, name, parameters, parent_id)
        yield page
        if page["links"][link] is None:
            return
        parameters = dict(parse_qsl(urlsplit(page["links"][link]).query))


def ids(state: State, name: str, parent_id: str | None = None, **parameters: str) -> list[str]:
    """Walk a collection and return the ids in the order in which they came."""
    renamed = {name.replace("page_size", "page[size]"): value for name, value in parameters.items()}
    return [record["id"] for page in pages(state, name, renamed, parent_id=parent_id) for record in page["data"]]
