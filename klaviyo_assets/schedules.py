"""When the schedules of an account run."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Final, Literal

import dagster as dg

from klaviyo_assets.validation import InvalidDefinition

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

Occasion = Literal["sync", "checks", "frequent", "full", "audit", "marts", "publish"]
"""What a schedule runs: the field of :class:`KlaviyoSchedules` with its cron expression."""

_JOBS: Final[dict[Occasion, str]] = {
    "sync": "the sync of everything",
    "checks": "the access checks",
    "frequent": "the sync of the types that change by the hour",
    "full": "the full sync of each type that needs one from time to time",
    "audit": "the audit",
    "marts": "the marts",
    "publish": "the published copy",
}
_DEFAULT_TIMES: Final[dict[Occasion, str]] = {
    "sync": "every day",
    "checks": "every day",
    "frequent": "every hour",
    "full": "every week",
    "audit": "every week",
    "marts": "every hour",
    "publish": "every hour",
}


def _cron(occasion: Occasion) -> dg.Resolver:
    words = f"Cron expression of {_JOBS[occasion]}, {_DEFAULT_TIMES[occasion]} by default; null for no schedule."
    resolver: dg.Resolver = dg.Resolver.default(description=words)
    return resolver


@dataclass(frozen=True)
class KlaviyoSchedules(dg.Resolvable):
    """When the schedules of an account run, and whether they do without being started in the UI.

    A schedule exists only if its job does. There is none for the job that repairs what an audit found.

    Args:
        sync: Cron expression of the sync of everything; None for no schedule, here and below.
        checks: That of the access checks.
        frequent: That of the types that change by the hour (events, profiles).
        full: That of the full sync of each type that needs one from time to time.
        audit: That of the audit.
        marts: That of the marts.
        publish: That of the published copy.
        timezone: Time zone of all expressions, such as ``Europe/Berlin``.
        running: True if the schedules run as soon as the code is deployed. A user can still stop them in the UI.

    Raises:
        InvalidDefinition: A ``ValueError``: if an expression or the time zone is invalid.

    Example:
        >>> KlaviyoSchedules(sync="30 4 * * *", audit=None, timezone="Europe/Berlin", running=True)
    """

    sync: Annotated[str | None, _cron("sync")] = "0 5 * * *"
    checks: Annotated[str | None, _cron("checks")] = "45 4 * * *"
    frequent: Annotated[str | None, _cron("frequent")] = "15 * * * *"
    full: Annotated[str | None, _cron("full")] = "30 2 * * 6"
    audit: Annotated[str | None, _cron("audit")] = "30 3 * * 0"
    marts: Annotated[str | None, _cron("marts")] = "40 * * * *"
    publish: Annotated[str | None, _cron("publish")] = "55 * * * *"
    timezone: Annotated[str, dg.Resolver.default(description="Time zone of all expressions.", examples=["Europe/Berlin"])] = "UTC"
    running: Annotated[bool, dg.Resolver.default(description="Run without being started in the UI.")] = False

    def __post_init__(self) -> None:
        if not _is_accepted("0 0 * * *", self.timezone):
            raise InvalidDefinition(f"The time zone of the schedules is unknown: {self.timezone!r}. Write it as Europe/Berlin or UTC.")
        for occasion in _JOBS:
            cron = self.cron(occasion)
            if cron is not None and not _is_accepted(cron, "UTC"):
                raise InvalidDefinition(
                    f"The schedule {occasion} has an invalid cron expression: {cron!r}. "
                    f"Write minute, hour, day of the month, month and day of the week, such as {_DEFAULTS[occasion]!r}, or leave it out."
                )

    def cron(self, occasion: Occasion) -> str | None:
        """Return a cron expression; None if there is no schedule."""
        return getattr(self, occasion)  # type: ignore[no-any-return]

    def build(self, occasion: Occasion, job: "UnresolvedAssetJobDefinition", what: str) -> dg.ScheduleDefinition | None:
        """Return the schedule of a job, if there is one.

        Args:
            occasion: What it runs.
            job: The job.
            what: What the job does, in words that begin with a lower-case letter, for the schedule's description.
        """
        cron = self.cron(occasion)
        if cron is None:
            return None
        words = f"{_DEFAULT_TIMES[occasion]}: {what}" if cron == _DEFAULTS[occasion] else what
        return dg.ScheduleDefinition(
            name=f"{job.name}_schedule",
            job=job,
            cron_schedule=cron,
            execution_timezone=self.timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING if self.running else dg.DefaultScheduleStatus.STOPPED,
            description=f"{words[0].upper()}{words[1:]}.",
        )


_DEFAULTS: Final = {field.name: field.default for field in fields(KlaviyoSchedules)}


def _is_accepted(cron: object, timezone: object) -> bool:
    """Return whether Dagster accepts the values for a schedule."""
    if not isinstance(cron, str) or not isinstance(timezone, str) or not timezone:
        return False
    try:
        dg.ScheduleDefinition(name="probe", job_name="probe", cron_schedule=cron, execution_timezone=timezone)
    except dg.DagsterInvalidDefinitionError:
        return False
    return True


def schedules_of(given: KlaviyoSchedules | bool | None) -> KlaviyoSchedules | None:
    """Return the schedules that a user asks for; None for none.

    Args:
        given: The argument: True for the default ones, False or None for none.

    Raises:
        InvalidDefinition: If it is something else.
    """
    if given is None or isinstance(given, bool):
        return KlaviyoSchedules() if given else None
    if not isinstance(given, KlaviyoSchedules):
        raise InvalidDefinition(f"schedules= takes KlaviyoSchedules(…), True for the default ones or False for none, not {type(given).__name__}.")
    return given
