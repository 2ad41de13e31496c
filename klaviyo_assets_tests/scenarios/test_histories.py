"""Lives in the ordinary suite: hundreds in this process, some with real processes; ``make truth`` lives thousands."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets_tests.scenarios.difference import Difference
from klaviyo_assets_tests.scenarios.faults import FAULTS, Fault, planted
from klaviyo_assets_tests.scenarios.generation import lives
from klaviyo_assets_tests.scenarios.histories import DAY, HOUR, MINUTE, SWITCHES, SWITCHES_OF, Change, Delete, Event, Life, Sync, Wait
from klaviyo_assets_tests.scenarios.over_http import OverHttp, without_jumps
from klaviyo_assets_tests.scenarios.runner import Living
from klaviyo_assets_tests.scenarios.search import catch, live_many
from klaviyo_assets_tests.scenarios.stats import Tally
from klaviyo_assets_tests.scenarios.suites import COURSES, Course, shared_out
from klaviyo_assets_tests.scenarios.world import InProcess

pytestmark = pytest.mark.long

_ENOUGH_FOR_BOTH = 15
"""Lives of which some meet each switch in each position."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("at", "course"), [*enumerate(COURSES)], ids=str)
def test_after_every_sync_the_table_holds_what_was_shown(at: int, course: Course) -> None:
    tally = Tally()

    failure = course.live(course.lives, at=at, tally=tally)

    assert failure is None, f"{failure.error}\n{failure.life}"
    assert tally.types[course.name] >= course.lives
    assert tally.rows >= course.lives
    assert not course.repaired or tally.happenings["event that only the audit has found"] > 0
    if course.lives >= _ENOUGH_FOR_BOTH:
        for switch in SWITCHES_OF.get(course.name, ()):
            assert all(tally.switches[course.name, switch, position] >= 2 for position in (False, True)), switch


def test_the_lives_are_shared_out_as_in_this_suite() -> None:
    shares = list(shared_out(2_000))

    assert sum(share for _, share in shares) == 2_000
    assert all(share >= course.lives for course, share in shares)
    assert {course.name for course in COURSES} == {name for name, entry in CATALOG.items() if entry.parent is None}
    assert {switch for switches in SWITCHES_OF.values() for switch in switches} == set(SWITCHES)


@pytest.mark.parametrize(("at", "kind"), [(0, lives()), (1, lives(names=("events",), repaired=True))], ids=["any", "repaired"])
def test_it_is_so_with_real_requests_and_files(at: int, kind: SearchStrategy[Life], tmp_path: Path) -> None:
    folders = iter(range(1000))

    @seed(at)
    @settings(max_examples=3, deadline=None, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
    @given(kind)
    def lived(life: Life) -> None:
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        life = without_jumps(life)
        with OverHttp(life, folder) as world:
            Living(life, world, Tally()).live()

    lived()


QUICKLY_CAUGHT = {
    "no overlap where the API has only strict operators": 1,
    "coverage as far as the newest date, be it in the future": 1,
    "ties dropped at the edge of a page": 3,
    "coverage committed before the rows": 2,
    "of two versions in a load the older one kept": 7,
    "lookback ages not looked at": 1,
    "the newest slice read no further than it covers": 1,
    "what the audit found not read again": 2,
    "changes of consent not looked for": 3,
    "what a full read did not bring left unmarked": 1,
}
"""Planted faults, and a seed with which each is caught within a few lives; ``make truth`` plants them all, with any seed."""


@pytest.mark.parametrize("name", QUICKLY_CAUGHT)
def test_a_planted_fault_is_caught(name: str) -> None:
    (fault,) = (one for one in FAULTS if one.name == name)

    caught = catch(fault, at=QUICKLY_CAUGHT[name])

    assert caught.failure is not None
    assert isinstance(caught.failure.error, Difference)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_can_be_planted(fault: Fault) -> None:
    """The code that a fault changes is still there."""
    with planted(fault):
        pass


@pytest.mark.parametrize("name", QUICKLY_CAUGHT)
def test_nothing_is_found_where_no_fault_is_planted(name: str) -> None:
    """The lives that catch the faults are right without them."""
    (fault,) = (one for one in FAULTS if one.name == name)

    failure = live_many(3, at=QUICKLY_CAUGHT[name], tally=Tally(), names=fault.names, repaired=fault.repaired)

    assert failure is None, failure


def test_what_only_a_probe_was_shown_need_not_be_there() -> None:
    """Before the pages are asked for everything is deleted: an answer that is suddenly empty marks nothing and brings nothing."""
    steps = (Sync(), Change(0), Delete(1), Sync(meanwhile=((2, Delete(0)),)))
    life = Life("metrics", steps, records=2)
    with InProcess(life) as world:
        Living(life, world, Tally()).live()


WEEKS = tuple(
    step
    for _ in range(4 * 7)
    for step in (
        Event(ago=0, count=3),
        *(Event(ago=age * DAY - HOUR, count=2) for age in (1, 3, 7, 16)),
        Event(ago=5 * HOUR),
        Change(3),
        Change(11),
        Change(19),
        *(step for _ in range(4) for step in (Wait(6 * HOUR - MINUTE), Sync(page_size=100, workers=2), Wait(MINUTE))),
    )
)
"""Four weeks with four syncs a day: each day events come that are hours and days late, and attributions of events of all ages."""


def test_over_weeks_the_lookback_ages_find_what_comes_late() -> None:
    """After each sync no event is missing that came before its last lookback age; the harness looks at every row after every sync."""
    life = Life("events", WEEKS, records=30, history_days=30)
    with InProcess(life) as world:
        living = Living(life, world, Tally())
        living.live()
        reads = living.tally.syncs["events", "incremental", "succeeded"]
        requests = sum(count for (count,) in world.ask("_syncs", "requests", "WHERE mode = 'incremental'"))

    assert reads == 4 * 7 * 4 + 1
    assert requests < 10 * reads
