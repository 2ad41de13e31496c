"""Runs scenarios until one fails."""

import time
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, seed, settings

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets_tests.scenarios.faults import Fault, injected
from klaviyo_assets_tests.scenarios.generation import scenarios
from klaviyo_assets_tests.scenarios.reports import ReportRunner
from klaviyo_assets_tests.scenarios.runner import Runner
from klaviyo_assets_tests.scenarios.scenario import Scenario
from klaviyo_assets_tests.scenarios.stats import Stats
from klaviyo_assets_tests.scenarios.world import InProcess


@dataclass(frozen=True)
class Failure:
    """A scenario that failed.

    Attributes:
        scenario: The scenario, shrunk if requested.
        error: The error.
        scenarios: Number of scenarios up to and including the first failure.
    """

    scenario: Scenario
    error: Exception
    scenarios: int


def run_many(
    count: int,
    *,
    at: int,
    stats: Stats,
    names: tuple[str, ...] | None = None,
    shrink: bool = True,
    syncs: tuple[int, int] = (2, 5),
    starts_interrupted: bool = False,
    with_repair: bool = False,
    with_selection: bool = False,
) -> Failure | None:
    """Run a number of scenarios; return the first failure, or None.

    Args:
        count: Number of scenarios.
        at: Seed; the same seed gives the same scenarios.
        stats: Counts.
        names: Resource types; all types if None.
        shrink: Whether to shrink a scenario that fails.
        syncs: Minimum and maximum number of syncs per scenario, before the final ones.
        starts_interrupted: True if each scenario starts with an interrupted sync.
        with_repair: True if each scenario ends with an audit and a repair (events only).
        with_selection: True if the syncs of each scenario select different metrics (events only).
    """
    chosen = {} if names is None else {"names": names}
    strategy = scenarios(syncs=syncs, starts_interrupted=starts_interrupted, with_repair=with_repair, with_selection=with_selection, **chosen)
    failed: list[Failure] = []

    def run_one(scenario: Scenario) -> None:
        try:
            with InProcess(scenario) as world:
                is_report = CATALOG[scenario.name].replication.report is not None
                (ReportRunner if is_report else Runner)(scenario, world, stats).run()
        except Exception as error:
            failed.append(Failure(scenario, error, failed[0].scenarios if failed else stats.scenarios))
            raise

    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    began = stats.scenarios
    for round_ in range(count):  # hypothesis may stop early when it finds nothing new; each round runs at least one scenario
        remaining = count - (stats.scenarios - began)
        if remaining <= 0:
            break
        run = settings(max_examples=remaining, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck))
        try:
            seed(at + round_ * 1_000_003)(run(given(strategy)(run_one)))()
        except Exception:
            if not failed:
                raise
            return failed[-1]
    return None


@dataclass(frozen=True)
class Detection:
    """How an injected fault was caught; ``failure`` is None if it was not."""

    fault: Fault
    failure: Failure | None
    seconds: float


def catch(fault: Fault, *, at: int, shrink: bool = False) -> Detection:
    """Inject a fault and run scenarios until one catches it, at most ``fault.max_scenarios``."""
    began = time.monotonic()
    with injected(fault):
        failure = run_many(
            fault.max_scenarios,
            at=at,
            stats=Stats(),
            names=fault.names,
            shrink=shrink,
            starts_interrupted=fault.starts_interrupted,
            with_repair=fault.with_repair,
            with_selection=fault.with_selection,
        )
    return Detection(fault, failure, time.monotonic() - began)
