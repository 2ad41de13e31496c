"""A simulated collection, and a read of it, for the tests of workers and slices."""

import asyncio
import math
import random
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import polars as pl

from klaviyo_assets.api.client import ApiResponse
from klaviyo_assets.api.klaviyo_errors import ResponseTooLarge
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.fetcher import Fetcher
from klaviyo_assets.extract.plan import plan
from klaviyo_assets.extract.slices import Slice
from klaviyo_assets.extract.strategies import strategy_for
from klaviyo_assets.extract.strategies.strategy import LAG, PlanContext
from klaviyo_assets.extract.sync_options import SyncOptions
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.staging.manifest import new_manifest
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.state.coverage import CoverageRow

NOW = datetime(2026, 3, 10, 12, 0, 10, tzinfo=UTC)
TOP = NOW - LAG
FIELD = {"events": "datetime", "profiles": "created", "reviews": "created"}
DAYS = 400
BOUND = re.compile(r"(greater-or-equal|greater-than|less-or-equal|less-than)\((\w+),([^)]+)\)")

Take = Callable[[], None]


@dataclass
class Collection:
    """Replaces the client: serves records page by page, according to the filter and sort parameters.

    Attributes:
        times: Time of each record; its index is its id.
        page_size: Records per page.
        workers: Number of concurrent chains.
        rng: Determines the order of concurrent responses.
        ignores_the_end: True if upper bounds are ignored.
        unsorted: True if ``sort`` is ignored.
        requests: Number of pages served.
        fails_after: Number of pages after which every request fails.
        wide: Records that only fit on a page of their own.
        max_concurrent: Largest number of concurrent requests.
    """

    times: Sequence[datetime]
    page_size: int = 10
    workers: int = 6
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    ignores_the_end: bool = False
    unsorted: bool = False
    requests: int = 0
    fails_after: float = math.inf
    wide: frozenset[int] = frozenset()
    max_concurrent: int = 0
    _in_progress: int = 0

    def chains_needed(self, entry: ResourceType) -> int:
        return self.workers

    async def pages(
        self,
        entry: ResourceType,
        parameters: Mapping[str, str],
        decode: Callable[[bytes], Any],
        max_bytes: int | None = None,
        parent_id: str | None = None,
        query: Mapping[str, object] | None = None,
    ) -> AsyncIterator[ApiResponse[Any]]:
        found = self._found(parameters)
        if self.unsorted:
            self.rng.shuffle(found)
        size = min(self.page_size, int(parameters.get("page[size]", self.page_size)))
        pages = [found[first : first + size] for first in range(0, len(found), size)] or [[]]
        for number, ids in enumerate(pages):
            self._in_progress += 1
            self.max_concurrent = max(self.max_concurrent, self._in_progress)
            for _ in range(self.rng.randint(1, 4)):
                await asyncio.sleep(0)
            self._in_progress -= 1
            self.requests += 1
            if self.requests > self.fails_after:
                raise ConnectionError("no more")
            if max_bytes is not None and any(id_ in self.wide for id_ in ids):
                raise ResponseTooLarge(max_bytes)
            records = [{"id": str(id_), "attributes": {FIELD[entry.name]: self.times[id_].isoformat()}} for id_ in ids]
            document = {"data": records, "links": {"next": f"/next/{number}" if number + 1 < len(pages) else None}}
            yield ApiResponse(decode(msgspec.json.encode(document)), NOW)

    def _found(self, parameters: Mapping[str, str]) -> list[int]:
        ids = sorted(range(len(self.times)), key=lambda id_: (self.times[id_], id_))
        for operator, _, text in BOUND.findall(parameters.get("filter", "")):
            bound = datetime.fromisoformat(text)
            if operator.startswith("less") and self.ignores_the_end:
                continue
            ids = [id_ for id_ in ids if passes(operator, self.times[id_], bound)]
        return ids


def passes(operator: str, value: datetime, bound: datetime) -> bool:
    match operator:
        case "greater-or-equal":
            return value >= bound
        case "greater-than":
            return value > bound
        case "less-than":
            return value < bound
        case _:
            return value <= bound


def planned_slices(name: str, times: Sequence[datetime]) -> tuple[Slice, ...]:
    entry = CATALOG[name]
    context = PlanContext(entry, SyncOptions(), (), NOW, "fingerprint")
    return cast(tuple[Slice, ...], plan(strategy_for(entry), context, min(times, default=None)).slices)


@dataclass
class Outcome:
    """What was staged, by batch: those loaded on the way and the last one."""

    fetcher: Fetcher
    batches: list[tuple[list[int], tuple[CoverageRow, ...]]]

    @property
    def ids(self) -> list[int]:
        return [id_ for ids, _ in self.batches for id_ in ids]

    @property
    def covered(self) -> list[CoverageRow]:
        return [row for _, covered in self.batches for row in covered]


def fetched(name: str, collection: Collection, slices: Sequence[Slice] | None = None, *, load_every: int = 0) -> Outcome:
    """Read a collection; with ``load_every``, load a batch each time this number of pages has been read."""
    planned = planned_slices(name, collection.times) if slices is None else slices
    batches: list[tuple[list[int], tuple[CoverageRow, ...]]] = []
    with tempfile.TemporaryDirectory() as folder:
        attributes = {"sync_id": "s", "resource_type": name, "account_id": "a", "fingerprint": "fingerprint"}
        staging = Staging(Path(folder), new_manifest(**attributes, read_at=NOW, resumable=True))

        def load() -> None:
            staging.write()
            batch = staging.batch()
            batches.append((ids_in(batch), batch.covered))
            staging.loaded(batch)

        async def after_page() -> None:
            await asyncio.sleep(0)
            if load_every and collection.requests % load_every == 0:
                load()

        fetcher = Fetcher(collection, CATALOG[name], staging, after_page)  # type: ignore[arg-type]
        try:
            asyncio.run(asyncio.wait_for(fetcher.run(planned), 60))
        finally:
            load()
    return Outcome(fetcher, batches)


def ids_in(batch: Batch) -> list[int]:
    return [int(id_) for file in batch.files for id_ in pl.read_parquet(file)["id"]]


def merged(covered: Sequence[CoverageRow]) -> list[tuple[datetime, datetime]]:
    """Merge windows that touch or overlap."""
    result: list[tuple[datetime, datetime]] = []
    for row in sorted(covered, key=lambda row: row.start):
        if result and row.start <= result[-1][1]:
            result[-1] = (result[-1][0], max(row.end, result[-1][1]))
        else:
            result.append((row.start, row.end))
    return result


def at(days: float) -> datetime:
    return TOP - timedelta(days=DAYS) + timedelta(days=days)


def random_times(rng: random.Random, count: int, density: str) -> list[datetime]:
    """Return random times of records, half of them in whole seconds."""
    match density:
        case "uniform":
            days = [rng.uniform(0, DAYS) for _ in range(count)]
        case "two days":
            days = [rng.uniform(0, DAYS) if rng.random() < 0.5 else rng.uniform(300, 302) for _ in range(count)]
        case "bursts":
            centres = [rng.uniform(0, DAYS) for _ in range(5)]
            days = [min(DAYS, max(0.0, rng.choice(centres) + rng.gauss(0, 0.01))) for _ in range(count)]
        case "one second":
            days = [rng.uniform(0, DAYS) if rng.random() < 0.6 else 200.0 for _ in range(count)]
        case _:
            days = [200.0] * count
    return [at(day).replace(microsecond=0) if rng.random() < 0.5 else at(day) for day in days]


DENSITIES = ["uniform", "two days", "bursts", "one second", "all in one second"]
