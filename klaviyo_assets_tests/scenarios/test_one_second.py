"""Hundreds of records with the same timestamp at the edges of pages, slices, lookback ages and ranges, read in small pages by five workers.

They arrive before, during and after a sync. Profiles and reviews arrive when they are created, so the batch ages before it is read.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from klaviyo_assets_tests.scenarios.account_options import BASE
from klaviyo_assets_tests.scenarios.runner import Runner
from klaviyo_assets_tests.scenarios.scenario import DAY, HOUR, Action, Add, Change, Event, Scenario, Step, Sync, Wait
from klaviyo_assets_tests.scenarios.stats import Stats
from klaviyo_assets_tests.scenarios.world import InProcess

pytestmark = pytest.mark.long

SLICE_EDGE = DAY + 10
"""The age at which the first sync of a long history starts its newest slice: a day before the lag of ten seconds."""

AGES = {"events": (0, HOUR, SLICE_EDGE, 2 * DAY), "profiles": (0, HOUR, SLICE_EDGE, 2 * DAY), "reviews": (0, SLICE_EDGE)}
"""Now, the first lookback age, a slice's edge, and an age that is not reread."""

BATCH = 300


@dataclass(frozen=True)
class Reader:
    """How the batch is read: by a first sync or by later ones.

    Attributes:
        is_first: True if no sync has read the account before.
        page_size: Records per page.
        arrival: Number of the request before which more of the batch arrives; a later sync may send few requests.
    """

    is_first: bool
    page_size: int
    arrival: int

    def sync(self, *meanwhile: tuple[int, Action], **more: Any) -> Sync:
        return Sync(page_size=self.page_size, workers=5, meanwhile=meanwhile, **more)


READERS = (Reader(is_first=True, page_size=7, arrival=6), Reader(is_first=False, page_size=20, arrival=2))


@pytest.fixture(autouse=True)
def no_logging() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def ranges(age: int, reader: Reader) -> tuple[Step, ...]:
    """Read a range up to the second (exclusive) and a range from it on."""
    edge = age + 20  # a range must not end within the lag
    return Wait(20), reader.sync(mode="range", since=edge + DAY, until=edge), reader.sync(mode="range", since=edge, until=0)


def events(age: int, reader: Reader) -> tuple[Step, ...]:
    part = Event(ago=age, count=BATCH // 3)
    return part, reader.sync((reader.arrival, part)), part, reader.sync(), *ranges(age, reader), Wait(HOUR), reader.sync()


def records(age: int, reader: Reader) -> tuple[Step, ...]:
    part = Add(BATCH // 3)
    middle = reader.sync((reader.arrival, part)) if age == 0 else part
    sync_with_changes = reader.sync((6, Change(BATCH // 2, count=BATCH // 3)))
    changes = Change(0, count=BATCH), sync_with_changes, Change(BATCH // 3, count=BATCH // 2), Wait(age), reader.sync()
    return part, middle, part, Wait(age), reader.sync(), *ranges(age, reader), *changes


@pytest.mark.parametrize("reader", READERS, ids=["first sync", "later syncs"])
@pytest.mark.parametrize(("name", "age"), [(name, age) for name, ages in AGES.items() for age in ages])
def test_no_record_is_lost_or_duplicated(name: str, age: int, reader: Reader) -> None:
    """The harness compares every row after every sync; this test only checks that the batch arrived at the right edge."""
    steps = events(age, reader) if name == "events" else records(age, reader)
    scenario = Scenario(name, steps if reader.is_first else (reader.sync(), *steps), records=25, history_days=120)
    second = BASE - timedelta(seconds=age) if name == "events" else BASE
    field = "datetime" if name == "events" else "created"

    with InProcess(scenario) as world:
        Runner(scenario, world, Stats()).run()
        rows = world.query(name, "count(*)", f"WHERE {field} = '{second.isoformat()}' AND _deleted_at IS NULL")
        syncs = world.query("_syncs", "mode, slices")

    incremental, ranged = (" | ".join(name for mode, names in syncs if mode == one for name in json.loads(names)) for one in ("incremental", "range"))
    assert rows[0][0] >= BATCH
    assert f"{field} from {second:%Y-%m-%d %H:%M:%S} to" in ranged
    assert f"to {second:%Y-%m-%d %H:%M:%S}" in ranged
    if age == SLICE_EDGE and reader.is_first:
        assert f"{field} from {second:%Y-%m-%d %H:%M:%S} to …" in incremental
        assert f"to {second:%Y-%m-%d %H:%M:%S}" in incremental
