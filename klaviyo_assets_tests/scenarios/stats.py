"""Counts of what the scenarios covered."""

from collections import Counter
from dataclasses import dataclass, field

from klaviyo_assets_tests.scenarios.scenario import SWITCHES_OF, Scenario


@dataclass
class Stats:
    """What ran and what was compared.

    Attributes:
        scenarios: Number of scenarios.
        types: Scenarios by type.
        switches: Scenarios by type, switch, and whether the switch was in its non-default position.
        actions: Actions by kind.
        syncs: Syncs by type, mode and outcome.
        rows: Compared rows.
        values: Compared values.
    """

    scenarios: int = 0
    types: Counter[str] = field(default_factory=Counter)
    switches: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    syncs: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    rows: int = 0
    values: int = 0

    def count_scenario(self, scenario: Scenario) -> None:
        """Count the start of a scenario."""
        self.scenarios += 1
        self.types[scenario.name] += 1
        self.switches.update((scenario.name, switch, switch in scenario.switches) for switch in SWITCHES_OF.get(scenario.name, ()))

    def add(self, other: "Stats") -> None:
        """Add other counts to these."""
        self.scenarios += other.scenarios
        self.types += other.types
        self.switches += other.switches
        self.actions += other.actions
        self.syncs += other.syncs
        self.rows += other.rows
        self.values += other.values
