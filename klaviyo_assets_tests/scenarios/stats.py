"""What has been lived, counted."""

from collections import Counter
from dataclasses import dataclass, field

from klaviyo_assets_tests.scenarios.histories import SWITCHES_OF, Life


@dataclass
class Tally:
    """What has been lived, and compared.

    Attributes:
        lives: Lives.
        types: Lives by type.
        switches: Lives by type, switch, and whether it was in the position that is not the usual one.
        happenings: What happened, by kind.
        syncs: Syncs by type, mode and outcome.
        rows: Rows compared.
        values: Values compared.
    """

    lives: int = 0
    types: Counter[str] = field(default_factory=Counter)
    switches: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    happenings: Counter[str] = field(default_factory=Counter)
    syncs: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    rows: int = 0
    values: int = 0

    def begin(self, life: Life) -> None:
        """Count a life that begins."""
        self.lives += 1
        self.types[life.name] += 1
        self.switches.update((life.name, switch, switch in life.switches) for switch in SWITCHES_OF.get(life.name, ()))

    def add(self, other: "Tally") -> None:
        """Count another tally's in."""
        self.lives += other.lives
        self.types += other.types
        self.switches += other.switches
        self.happenings += other.happenings
        self.syncs += other.syncs
        self.rows += other.rows
        self.values += other.values
