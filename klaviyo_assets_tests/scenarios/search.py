"""Many lives, one after the other, until there were enough or one fails."""

import time
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, seed, settings

from klaviyo_assets_tests.scenarios.faults import Fault, planted
from klaviyo_assets_tests.scenarios.generation import lives
from klaviyo_assets_tests.scenarios.histories import Life
from klaviyo_assets_tests.scenarios.runner import Living
from klaviyo_assets_tests.scenarios.stats import Tally
from klaviyo_assets_tests.scenarios.world import InProcess


@dataclass(frozen=True)
class Failure:
    """A life that failed.

    Attributes:
        life: The life, as short as it could be made where that was asked for.
        error: What was wrong.
        lives: Lives until the first one failed.
    """

    life: Life
    error: Exception
    lives: int


def live_many(
    count: int,
    *,
    at: int,
    tally: Tally,
    names: tuple[str, ...] | None = None,
    shrink: bool = True,
    syncs: tuple[int, int] = (2, 5),
    begins_broken: bool = False,
    repaired: bool = False,
) -> Failure | None:
    """Live lives until there were enough; return the first that fails, or None.

    Args:
        count: How many.
        at: Seed; the same one gives the same lives.
        tally: Counts.
        names: Resource types; all of them if None.
        shrink: Whether a life that fails is made shorter.
        syncs: Syncs of a life, at least and at most, before everything settles.
        begins_broken: True if each life begins with a sync that is broken off.
        repaired: True if each life, of events, ends with an audit and a repair.
    """
    chosen = {} if names is None else {"names": names}
    strategy = lives(syncs=syncs, begins_broken=begins_broken, repaired=repaired, **chosen)
    failed: list[Failure] = []

    def one(life: Life) -> None:
        try:
            with InProcess(life) as world:
                Living(life, world, tally).live()
        except Exception as error:
            failed.append(Failure(life, error, failed[0].lives if failed else tally.lives))
            raise

    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    began = tally.lives
    for round_ in range(count):  # hypothesis may stop early where it finds nothing new; a round gives one life at least
        left = count - (tally.lives - began)
        if left <= 0:
            break
        run = settings(max_examples=left, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck))
        try:
            seed(at + round_ * 1_000_003)(run(given(strategy)(one)))()
        except Exception:
            if not failed:
                raise
            return failed[-1]
    return None


@dataclass(frozen=True)
class Caught:
    """How a planted fault was caught; ``failure`` is None if it was not."""

    fault: Fault
    failure: Failure | None
    seconds: float


def catch(fault: Fault, *, at: int, shrink: bool = False) -> Caught:
    """Plant a fault and live until it is caught, or until there were as many lives as it may take."""
    began = time.monotonic()
    with planted(fault):
        failure = live_many(
            fault.most_lives,
            at=at,
            tally=Tally(),
            names=fault.names,
            shrink=shrink,
            begins_broken=fault.begins_broken,
            repaired=fault.repaired,
        )
    return Caught(fault, failure, time.monotonic() - began)
