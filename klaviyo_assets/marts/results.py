"""What a run did with a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.marts.day_versions import DayOfModel


class Outcome(StrEnum):
    """How a model's table became what it is."""

    REBUILT = "rebuilt"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class CheckResult:
    """The result of a check.

    Attributes:
        name: Its name.
        rows: How many rows are wrong; None if the check could not run.
        warns: True if such rows are a warning, not an error.
        examples: Some of the rows, as text by column; of a user's model the key only.
        error: Why the check could not run.
    """

    name: str
    rows: int | None
    warns: bool = False
    examples: tuple[Mapping[str, str], ...] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether the check ran and no row is wrong."""
        return self.rows == 0


@dataclass(frozen=True)
class ModelResult:
    """The result of one model.

    Attributes:
        model: Its name.
        outcome: What was done.
        reason: Why it was rebuilt, in words; empty otherwise.
        rows: Rows of the table.
        groups: Groups that were computed again, if it was updated.
        seconds: How long the database was open for it.
        columns: Types by column, as the table has them.
        metadata: Numbers by name.
        checks: Results of its checks.
        error: Why it failed or was skipped.
        version: Data version of its rows.
        days: Of a model that is maintained by day: all days with rows.
        computed: Days that were computed because their events have changed. All if the model was not built before, or differently.
        timezone: Time zone of the days.
    """

    model: str
    outcome: Outcome
    reason: str = ""
    rows: int = 0
    groups: int = 0
    seconds: float = 0.0
    columns: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, float] = field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()
    error: KlaviyoAssetsError | None = None
    version: str = ""
    days: Mapping[str, DayOfModel] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()
    timezone: str = "UTC"

    def raise_if_failed(self) -> None:
        """Raise the error of a model that failed or was skipped, or of a check that found errors (not warnings) or could not run.

        Raises:
            KlaviyoAssetsError: The model's error.
            AssertionError: If a check found rows, or could not run.
        """
        if self.error is not None:
            raise self.error
        for check in self.checks:
            if check.error or (not check.passed and not check.warns):
                raise AssertionError(f"{self.model}, check {check.name}: {check.error or f'{check.rows} rows'} {list(check.examples)}")
