"""What the docs say only a full read sees is not seen by incremental syncs, and is seen by a full read."""

import logging
from collections.abc import Iterator

import pytest

from klaviyo_assets_tests.scenarios.histories import (
    DAY,
    HOUR,
    SWITCHES,
    Attribution,
    Change,
    Delete,
    Event,
    Happening,
    Life,
    Merge,
    Suppress,
    Sync,
    Wait,
)
from klaviyo_assets_tests.scenarios.runner import Living
from klaviyo_assets_tests.scenarios.stats import Tally
from klaviyo_assets_tests.scenarios.world import InProcess

ONLY_A_FULL_READ: dict[str, tuple[str, tuple[Happening | Sync, ...]]] = {
    "an event deleted": ("events", (Delete(0),)),
    "an event changed when older than 17 days": ("events", (Wait(18 * DAY), Sync(), Change(0, count=30))),
    "events with a new owner": ("events", (Wait(18 * DAY), Sync(), *(Merge(number, number + 1) for number in range(3)))),
    "an event more than 17 days late": ("events", (Event(ago=18 * DAY),)),
    "a profile deleted": ("profiles", (Delete(0),)),
    "a profile merged into another": ("profiles", (Merge(0, 1),)),
    "a profile changed without its updated": ("profiles", (Change(0, moves=False),)),
    "a suppression lifted": ("profiles", (Suppress(0), Sync(), Wait(2 * HOUR), Suppress(0, lifted=True))),
    "an unsubscription lifted": ("profiles", (Suppress(0, from_list=True), Sync(), Wait(2 * HOUR), Suppress(0, from_list=True, lifted=True))),
    "a review deleted": ("reviews", (Delete(0),)),
    "a review changed without its updated": ("reviews", (Change(0, moves=False),)),
}

THE_NEXT_SYNC: dict[str, tuple[str, tuple[Happening, ...]]] = {
    "a new event": ("events", (Event(),)),
    "an event dated ahead": ("events", (Event(ago=-DAY),)),
    "a profile changed": ("profiles", (Change(0),)),
    "a profile suppressed": ("profiles", (Suppress(0),)),
    "a profile unsubscribed from a list": ("profiles", (Suppress(0, from_list=True),)),
    "a review changed": ("reviews", (Change(0),)),
    **{f"{name} deleted": (name, (Delete(0),)) for name in ("campaigns", "flows", "lists", "metrics", "segments")},
    **{
        f"{name} changed without a trace": (name, (Change(0, moves=False),))
        for name in ("accounts", "campaigns", "flows", "lists", "metrics", "segments")
    },
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(params=[False, True], ids=["usual", "otherwise"])
def switches(request: pytest.FixtureRequest) -> frozenset[str]:
    """None of the sandbox's switches, or all but one: with that one an event moves its profile."""
    return frozenset(set(SWITCHES) - {"events_move_updated"}) if request.param else frozenset()


def go_on(living: Living, steps: tuple[Happening | Sync, ...]) -> set[str]:
    """Go on with a life; return the records of which the table does not hold the present version then."""
    for step in steps:
        if isinstance(step, Sync):
            living.sync(step)
        else:
            living.happen(step)
    return living.stale()


def begun(name: str, switches: frozenset[str]) -> Life:
    return Life(name, (), records=30, history_days=40, switches=switches)


@pytest.mark.parametrize("what", ONLY_A_FULL_READ)
def test_only_a_full_read_sees(what: str, switches: frozenset[str]) -> None:
    name, steps = ONLY_A_FULL_READ[what]
    life = begun(name, switches)
    with InProcess(life) as world:
        living = Living(life, world, Tally())
        assert not go_on(living, (Wait(2 * HOUR), Sync()))
        assert go_on(living, (*steps, *(step for age in (1, 7, 20) for step in (Wait(age * DAY), Sync()))))
        assert not go_on(living, (Sync(mode="full"),))


@pytest.mark.parametrize("what", THE_NEXT_SYNC)
def test_the_next_sync_sees(what: str, switches: frozenset[str]) -> None:
    name, steps = THE_NEXT_SYNC[what]
    life = begun(name, switches)
    with InProcess(life) as world:
        living = Living(life, world, Tally())
        assert not go_on(living, (Wait(2 * HOUR), Sync()))
        assert not go_on(living, (*steps, Sync()))


@pytest.mark.parametrize("told", [True, False], ids=["told unasked", "only with include"])
def test_an_attribution_that_comes_three_hours_late_is_seen_at_six(told: bool) -> None:
    life = Life("events", (), switches=frozenset({"attributions_without_include"} if told else ()))
    with InProcess(life) as world:
        living = Living(life, world, Tally())
        assert not go_on(living, (Event(), Sync(), Wait(3 * HOUR), Sync()))
        assert bool(go_on(living, (Attribution(0), Sync()))) == told
        assert not go_on(living, (Wait(4 * HOUR), Sync()))
        (ids,) = [row[0] for row in world.ask("events", "attribution_ids")]

    assert living.tally.happenings["attribution of an event"] == 1
    assert (ids is not None) == told
