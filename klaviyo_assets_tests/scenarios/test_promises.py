"""Changes that need a full sync according to the docs: incremental syncs miss them and a full sync finds them."""

import json
import logging
from collections.abc import Iterator

import pytest

from klaviyo_assets_tests.scenarios.difference import Difference
from klaviyo_assets_tests.scenarios.faults import FAULTS, injected
from klaviyo_assets_tests.scenarios.runner import Runner
from klaviyo_assets_tests.scenarios.scenario import (
    DAY,
    HOUR,
    SWITCHES,
    Action,
    Add,
    Attribution,
    Change,
    Delete,
    Event,
    Join,
    Merge,
    OfParent,
    OfProfile,
    Scenario,
    Suppress,
    Sync,
    Wait,
)
from klaviyo_assets_tests.scenarios.stats import Stats
from klaviyo_assets_tests.scenarios.world import InProcess

pytestmark = pytest.mark.long

ONLY_FULL_SYNC: dict[str, tuple[str, tuple[Action | Sync, ...]]] = {
    "an event deleted": ("events", (Delete(0),)),
    "an event changed when older than 17 days": ("events", (Wait(18 * DAY), Sync(), Change(0, count=30))),
    "events with a new owner": ("events", (Wait(18 * DAY), Sync(), *(Merge(number, number - 1) for number in (3, 2, 1)))),
    "an event more than 17 days late": ("events", (Event(ago=18 * DAY),)),
    "a profile deleted": ("profiles", (Delete(0),)),
    "a profile merged into another": ("profiles", (Merge(0, 1),)),
    "a profile changed without moving updated": ("profiles", (Change(0, moves=False),)),
    "a suppression removed": ("profiles", (Suppress(0), Sync(), Wait(2 * HOUR), Suppress(0, lifted=True))),
    "an unsubscription removed": ("profiles", (Suppress(0, from_list=True), Sync(), Wait(2 * HOUR), Suppress(0, from_list=True, lifted=True))),
    "a review deleted": ("reviews", (Delete(0),)),
    "a review changed without moving updated": ("reviews", (Change(0, moves=False),)),
}

NEXT_SYNC: dict[str, tuple[str, tuple[Action, ...]]] = {
    "a new event": ("events", (Event(),)),
    "an event dated in the future": ("events", (Event(ago=-DAY),)),
    "a profile changed": ("profiles", (Change(0),)),
    "a profile suppressed": ("profiles", (Suppress(0),)),
    "a profile unsubscribed from a list": ("profiles", (Suppress(0, from_list=True),)),
    "a review changed": ("reviews", (Change(0),)),
    **{f"{name} deleted": (name, (Delete(0),)) for name in ("campaigns", "flows", "lists", "metrics", "segments")},
    **{
        f"{name} changed without a timestamp": (name, (Change(0, moves=False),))
        for name in ("accounts", "campaigns", "flows", "lists", "metrics", "segments")
    },
}


@pytest.fixture(autouse=True)
def no_logging() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(params=[False, True], ids=["default switches", "other switches"])
def switches(request: pytest.FixtureRequest) -> frozenset[str]:
    """No switches, or all but the one with which an event moves its profile's ``updated``."""
    return frozenset(set(SWITCHES) - {"events_move_updated"}) if request.param else frozenset()


def run_steps(runner: Runner, steps: tuple[Action | Sync, ...]) -> set[str]:
    """Run steps and return the records that are stale in the table afterwards."""
    for step in steps:
        if isinstance(step, Sync):
            runner.sync(step)
        else:
            runner.apply(step)
    return runner.stale()


def scenario_of(name: str, switches: frozenset[str]) -> Scenario:
    return Scenario(name, (), records=30, history_days=40, switches=switches)


@pytest.mark.parametrize("what", ONLY_FULL_SYNC)
def test_only_a_full_sync_finds(what: str, switches: frozenset[str]) -> None:
    name, steps = ONLY_FULL_SYNC[what]
    scenario = scenario_of(name, switches)
    with InProcess(scenario) as world:
        runner = Runner(scenario, world, Stats())
        assert not run_steps(runner, (Wait(2 * HOUR), Sync()))
        assert run_steps(runner, (*steps, *(step for age in (1, 7, 20) for step in (Wait(age * DAY), Sync()))))
        assert not run_steps(runner, (Sync(mode="full"),))


@pytest.mark.parametrize("what", NEXT_SYNC)
def test_next_sync_finds(what: str, switches: frozenset[str]) -> None:
    name, steps = NEXT_SYNC[what]
    scenario = scenario_of(name, switches)
    with InProcess(scenario) as world:
        runner = Runner(scenario, world, Stats())
        assert not run_steps(runner, (Wait(2 * HOUR), Sync()))
        assert not run_steps(runner, (*steps, Sync()))


CHILDREN_NEXT_SYNC: dict[str, tuple[Action, ...]] = {
    "a profile joined": (OfProfile(Add()), Join(0)),
    "a profile joined again": (Change(0),),
    "a list was deleted": (OfParent(Delete(0)),),
}

CHILDREN_NEXT_DAY: dict[str, tuple[Action, ...]] = {
    "a profile left": (Delete(0),),
    "a profile was deleted": (OfProfile(Delete(0)),),
    "two profiles were merged": (Merge(0, 1),),
}
"""Removals, found when the group is verified again."""


@pytest.mark.parametrize("what", CHILDREN_NEXT_SYNC)
def test_next_sync_finds_of_children(what: str) -> None:
    """Even if the parents are not synced before."""
    scenario = scenario_of("list_members", frozenset())
    with InProcess(scenario) as world:
        runner = Runner(scenario, world, Stats())
        assert not run_steps(runner, (Sync(of_parents=True), Sync()))
        assert not run_steps(runner, (*CHILDREN_NEXT_SYNC[what], Sync()))

    assert runner.stats.actions.total() == len(CHILDREN_NEXT_SYNC[what])


@pytest.mark.parametrize("what", CHILDREN_NEXT_DAY)
def test_a_sync_on_the_next_day_finds_of_children(what: str) -> None:
    scenario = scenario_of("list_members", frozenset())
    with InProcess(scenario) as world:
        runner = Runner(scenario, world, Stats())
        assert not run_steps(runner, (Sync(of_parents=True), Sync()))
        assert run_steps(runner, (*CHILDREN_NEXT_DAY[what], Sync()))
        assert not run_steps(runner, (Wait(DAY), Sync()))


def test_children_of_a_new_parent_are_found_once_the_parents_are_synced() -> None:
    scenario = scenario_of("list_members", frozenset())
    with InProcess(scenario) as world:
        runner = Runner(scenario, world, Stats())
        assert not run_steps(runner, (Sync(of_parents=True), Sync()))
        assert run_steps(runner, (OfParent(Add()), *(Join(number) for number in range(6)), Sync()))
        assert not run_steps(runner, (Sync(of_parents=True), Sync()))


def test_a_used_coupon_code_that_was_deleted_must_be_found_within_a_week() -> None:
    scenario = scenario_of("coupon_codes", frozenset())
    never_read = next(fault for fault in FAULTS if fault.name == "used coupon codes never read again")
    with InProcess(scenario) as world, injected(never_read):
        runner = Runner(scenario, world, Stats())
        assert not run_steps(runner, (Sync(of_parents=True), Sync(), Change(0), Sync(), Change(0), Sync()))
        assert run_steps(runner, (Delete(0), Sync(), Wait(6 * DAY), Sync()))
        with pytest.raises(Difference):
            run_steps(runner, (Wait(DAY), Sync()))


@pytest.mark.parametrize("by_default", [True, False], ids=["sent by default", "only with include"])
def test_attribution_three_hours_late_is_found_at_six(by_default: bool) -> None:
    scenario = Scenario("events", (), switches=frozenset({"attributions_without_include"} if by_default else ()))
    with InProcess(scenario) as world:
        runner = Runner(scenario, world, Stats())
        assert not run_steps(runner, (Event(), Sync(), Wait(3 * HOUR), Sync()))
        assert run_steps(runner, (Attribution(0), Sync()))
        assert not run_steps(runner, (Wait(4 * HOUR), Sync()))
        ((ids, attributions),) = world.query("events", "attribution_ids, attributions")

    assert runner.stats.actions["attribution of an event"] == 1
    assert len(ids) == len(json.loads(attributions)) == 1
