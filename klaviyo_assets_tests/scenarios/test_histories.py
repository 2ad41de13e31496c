"""More than a hundred scenarios in this process and a few with real processes; ``make truth`` runs thousands."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets_tests.scenarios.difference import Difference
from klaviyo_assets_tests.scenarios.faults import FAULTS, Fault, injected
from klaviyo_assets_tests.scenarios.generation import CHILD_TYPES, scenarios
from klaviyo_assets_tests.scenarios.over_http import OverHttp, without_jumps
from klaviyo_assets_tests.scenarios.runner import Runner
from klaviyo_assets_tests.scenarios.scenario import DAY, HOUR, MINUTE, SWITCHES, SWITCHES_OF, Add, Change, Delete, Event, Scenario, Sync, Wait
from klaviyo_assets_tests.scenarios.search import catch, run_many
from klaviyo_assets_tests.scenarios.stats import Stats
from klaviyo_assets_tests.scenarios.suites import SUITES, Suite, distribute
from klaviyo_assets_tests.scenarios.world import InProcess

pytestmark = pytest.mark.long

_ENOUGH_FOR_BOTH_POSITIONS = 15
"""Number of scenarios that is enough to cover every switch in both positions."""


@pytest.fixture(autouse=True)
def no_logging() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("at", "suite"), [*enumerate(SUITES)], ids=str)
def test_table_matches_klaviyo_after_every_sync(at: int, suite: Suite) -> None:
    stats = Stats()

    failure = suite.run(suite.scenarios, at=at, stats=stats)

    assert failure is None, f"{failure.error}\n{failure.scenario}"
    assert stats.types[suite.name] >= suite.scenarios
    # A single history of a report may have no form with numbers in it.
    assert stats.rows >= suite.scenarios or CATALOG[suite.name].replication.report is not None
    assert not suite.with_repair or stats.actions["event found only by the audit"] > 0
    if suite.scenarios >= _ENOUGH_FOR_BOTH_POSITIONS:
        for switch in SWITCHES_OF.get(suite.name, ()):
            assert all(stats.switches[suite.name, switch, position] >= 2 for position in (False, True)), switch


def test_distribution_covers_every_suite() -> None:
    shares = list(distribute(2_000))

    assert sum(share for _, share in shares) == 2_000
    assert all(share >= suite.scenarios for suite, share in shares)
    assert {suite.name for suite in SUITES} == set(CATALOG)
    assert {switch for switches in SWITCHES_OF.values() for switch in switches} == set(SWITCHES)


@pytest.mark.parametrize(
    ("at", "kind"),
    [(0, scenarios()), (1, scenarios(names=("events",), with_repair=True)), (2, scenarios(names=CHILD_TYPES))],
    ids=["any", "with repair", "children"],
)
def test_table_matches_klaviyo_with_real_requests_and_files(at: int, kind: SearchStrategy[Scenario], tmp_path: Path) -> None:
    folders = iter(range(1000))

    @seed(at)
    @settings(max_examples=3, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
    @given(kind)
    def run_one(scenario: Scenario) -> None:
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        scenario = without_jumps(scenario)
        with OverHttp(scenario, folder) as world:
            Runner(scenario, world, Stats()).run()

    run_one()


QUICK_SEEDS = {
    "no overlap where the API has only strict operators": 1,
    "coverage up to the newest date even if it lies in the future": 1,
    "ties dropped at the edge of a page": 3,
    "coverage committed before the rows": 2,
    "older of two versions in a load kept": 7,
    "lookback ages ignored": 1,
    "newest slice read only up to its coverage": 1,
    "days that the audit found not reread": 2,
    "consent changes ignored": 3,
    "records missing from a full sync not marked as deleted": 1,
    "truncated included resources not fetched": 1,
    "actions of a flow numbered in the order of the response": 1,
    "other volatile values counted as a change": 1,
    "volatile values of a changed row kept from before": 1,
    "records that a complete read lacks not marked as deleted": 1,
    "rows of a parent doubled when it is read again": 1,
    "children of a deleted parent not marked as deleted": 1,
    "parents that an earlier sync has read skipped": 1,
    "parent covered although its children were only read in part": 1,
}
"""Faults with a seed that catches each within a few scenarios; ``make truth`` injects all faults with any seed."""


@pytest.mark.parametrize("name", QUICK_SEEDS)
def test_injected_fault_is_caught(name: str) -> None:
    (fault,) = (one for one in FAULTS if one.name == name)

    detection = catch(fault, at=QUICK_SEEDS[name])

    assert detection.failure is not None
    assert isinstance(detection.failure.error, Difference)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_can_be_injected(fault: Fault) -> None:
    """The code that a fault edits still exists."""
    with injected(fault):
        pass


def without_repetitions(names: Iterable[str]) -> list[str]:
    """Return the names of faults: of those with the same scenarios (seed, types and kind), the first."""
    faults = {fault.name: fault for fault in FAULTS}
    first: dict[tuple[object, ...], str] = {}
    for name in names:
        fault = faults[name]
        first.setdefault((QUICK_SEEDS[name], fault.names, fault.with_repair, fault.with_selection), name)
    return [*first.values()]


@pytest.mark.parametrize("name", without_repetitions(QUICK_SEEDS))
def test_same_scenarios_pass_without_a_fault(name: str) -> None:
    """The scenarios that catch the faults pass without them."""
    (fault,) = (one for one in FAULTS if one.name == name)

    failure = run_many(3, at=QUICK_SEEDS[name], stats=Stats(), names=fault.names, with_repair=fault.with_repair, with_selection=fault.with_selection)

    assert failure is None, failure


def test_record_seen_only_by_a_probe_may_be_missing() -> None:
    """All records are deleted before the first page request: a suddenly empty response marks nothing as deleted and adds nothing."""
    steps = (Sync(), Change(0), Delete(1), Sync(meanwhile=((2, Delete(0)),)))
    scenario = Scenario("metrics", steps, records=2)
    with InProcess(scenario) as world:
        Runner(scenario, world, Stats()).run()


def test_record_that_is_added_while_a_slice_is_split_may_wait_for_the_next_sync() -> None:
    """It is dated after the time that the sync covers. The first half of the slice leaves it to the later half, which was read before."""
    first = Sync(page_size=3)
    split = Sync(page_size=3, workers=2, rows_per_file=4, meanwhile=((9, Add()),))
    scenario = Scenario("profiles", (first, Add(40), Wait(60), split), records=0, history_days=1)
    with InProcess(scenario) as world:
        Runner(scenario, world, Stats()).run()


_DAYS = 3 * 7
"""Longer than the highest lookback age, sixteen days."""

WEEKS = tuple(
    step
    for _ in range(_DAYS)
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
"""Three weeks with four syncs a day. Each day brings events that are hours and days late, and changes of events of all ages."""


def test_lookback_ages_find_late_events_over_weeks() -> None:
    """No event that arrives before its last lookback age stays missing; the harness checks every row after every sync."""
    scenario = Scenario("events", WEEKS, records=30, history_days=30)
    with InProcess(scenario) as world:
        runner = Runner(scenario, world, Stats())
        runner.run()
        reads = runner.stats.syncs["events", "incremental", "succeeded"]
        requests = sum(count for (count,) in world.query("_syncs", "requests", "WHERE mode = 'incremental'"))

    assert reads == _DAYS * 4 + 1
    assert requests < 10 * reads
