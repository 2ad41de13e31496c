"""The mix of scenarios: the test suite runs hundreds, the command thousands in the same proportions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from klaviyo_assets.catalog.groups import CORE
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.scenarios.search import Failure, run_many
from klaviyo_assets_tests.scenarios.stats import Stats

_SHORT, _LONG = (2, 5), (12, 25)


@dataclass(frozen=True)
class Suite:
    """Scenarios of one kind.

    Attributes:
        name: Resource type.
        scenarios: Scenarios in the test suite.
        syncs: Minimum and maximum number of syncs per scenario.
        with_repair: True if each scenario ends with an audit and a repair.
        with_selection: True if the syncs of each scenario select different metrics.
    """

    name: str
    scenarios: int
    syncs: tuple[int, int] = _SHORT
    with_repair: bool = False
    with_selection: bool = False

    def __str__(self) -> str:
        kinds = {"with repair": self.with_repair, "with selected metrics": self.with_selection, "long": self.syncs == _LONG}
        return ", ".join((self.name, *(kind for kind, is_one in kinds.items() if is_one)))

    def run(self, count: int, *, at: int, stats: Stats) -> Failure | None:
        """Run some scenarios of this kind; see :func:`~klaviyo_assets_tests.scenarios.search.run_many`."""
        return run_many(
            count, at=at, stats=stats, names=(self.name,), syncs=self.syncs, with_repair=self.with_repair, with_selection=self.with_selection
        )


_HARDEST = (
    Suite("events", 15),
    Suite("profiles", 15),
    Suite("reviews", 15),
    Suite("events", 6, with_repair=True),
    Suite("list_members", 8),
    Suite("events", 2, syncs=_LONG),
    Suite("profiles", 2, syncs=_LONG),
    Suite("reviews", 2, syncs=_LONG),
    Suite("list_members", 2, syncs=_LONG),
)
"""Suites for the types that are hardest to sync correctly."""

_REPORTS = (
    Suite("campaign_report", 3),
    Suite("flow_report", 1),
    Suite("flow_report_daily", 2),
    Suite("form_report_daily", 1),
    Suite("segment_report_daily", 2),
)

_NAMED = {"campaigns", "flows", *(suite.name for suite in _HARDEST)}

SUITES = (
    *_HARDEST,
    *_REPORTS,
    Suite("campaigns", 15),
    Suite("flows", 15),
    *(Suite(name, 3 if entry.group == CORE else 2 if entry.parent is None else 5) for name, entry in COLLECTIONS.items() if name not in _NAMED),
    Suite("events", 5, with_selection=True),
    Suite("campaign_report_history", 2),
)
"""All suites: every type of the catalog, with most scenarios for the hardest types. Many of the others are read alike, so a few each suffice."""


def distribute(scenarios: int, suites: Sequence[Suite] = SUITES) -> Iterator[tuple[Suite, int]]:
    """Distribute a number of scenarios over suites in the proportions of the test suite, at least one each."""
    total = sum(suite.scenarios for suite in suites)
    cumulative = distributed = 0
    for suite in suites:
        cumulative += suite.scenarios
        share = max(1, scenarios * cumulative // total - distributed)
        distributed += share
        yield suite, share
