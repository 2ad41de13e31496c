"""The fields of the component: how each is read from YAML. Options take default and description from :mod:`klaviyo_assets.settings.options`."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import dagster as dg
from pydantic import BaseModel

from klaviyo_assets._internal import identifiers
from klaviyo_assets._internal.option import Option
from klaviyo_assets.catalog.groups import DEFAULT
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.schedules import KlaviyoSchedules
from klaviyo_assets.settings.options import API_KEY_OPTION, OPTIONS
from klaviyo_assets.settings.setting_kinds import FieldRulesJson, ResourceTypes

ENVIRONMENT_PATTERN = rf"^\{{\{{ *env\.({identifiers.PATTERN}) *\}}\}}$"
"""A template that is one environment variable: ``{{ env.NAME }}``."""


def _variable(text: str) -> str | None:
    """Return the environment variable that a template consists of; None if it is something else."""
    found = re.fullmatch(ENVIRONMENT_PATTERN, text.strip())
    return None if found is None else found[1]


def _key(context: dg.ResolutionContext, raw: str) -> dg.EnvVar:
    variable = _variable(raw) if isinstance(raw, str) else None
    if variable is None:
        raise ValueError(
            'api_key must be "{{ env.NAME }}", with the name of an environment variable: Dagster would show and store the text of a key. '
            "If a key is in the file, create a new one in Klaviyo, since this message, and others, may show the line."
        )
    return dg.EnvVar(variable)


def _environment_or_value(context: dg.ResolutionContext, raw: str) -> str:
    variable = _variable(raw) if isinstance(raw, str) else None
    return context.resolve_value(raw, as_type=str) if variable is None else dg.EnvVar(variable)


API_KEY_FIELD = dg.Resolver(
    _key,
    model_field_type=str,
    # The template as it is: Dagster would replace it by the key, which it then stores and shows.
    inject_before_resolve=False,
    description=f"{API_KEY_OPTION.description}, from an environment variable, which is read when a run starts.",
    examples=[f"{{{{ env.{API_KEY_OPTION.variable} }}}}"],
)
DATABASE = dg.Resolver(
    _environment_or_value,
    model_field_type=str,
    inject_before_resolve=False,
    description=f"{OPTIONS['duckdb_path'].description}, relative to the folder in which Dagster runs.",
    examples=["data/warehouse.duckdb", "{{ env.WAREHOUSE }}"],
)


def option(name: str) -> dg.Resolver:
    """Return how an option is read, with its description and example.

    The value is checked here, where Dagster adds the file and the line to the message. What depends on the catalog is checked when assets are built.
    A text that a template returns, such as that of an environment variable, is parsed as the option's own environment variable would be.
    """
    found = OPTIONS[name]

    def resolve(context: dg.ResolutionContext, raw: Any) -> Any:
        """Return the checked value of the option; its default if there is none."""
        value = context.resolve_value(raw)
        if value is None or (value == "" and isinstance(found.kind, ResourceTypes)):
            return _default(found)
        if isinstance(value, str):
            value = found.kind.parse(value, name)
        if not isinstance(found.kind, FieldRulesJson | ResourceTypes):
            found.kind.check(value, name)
        return value

    return dg.Resolver(
        resolve,
        inject_before_resolve=False,
        description=f"{found.description}.",
        examples=[found.kind.parse(found.example, name)] if found.example else None,
    )


def _default(found: Option) -> Any:
    """Return the default of an option. An empty list of resource types is refused, as in Python, so their default has its name here."""
    return [DEFAULT] if isinstance(found.kind, ResourceTypes) else found.default


def default(name: str) -> Any:
    """Return the dataclass field of an option, with its default."""
    value = _default(OPTIONS[name])
    return field(default_factory=value.copy) if isinstance(value, dict | list) else field(default=value)


@dataclass(frozen=True)
class PublishedFiles(dg.Resolvable):
    """The files of a published copy."""

    file: Annotated[str, dg.Resolver.default(description=f"{OPTIONS['publish_path'].description}.")]
    parquet: Annotated[str | None, dg.Resolver.default(description=f"{OPTIONS['publish_parquet'].description}.")] = None


@dataclass(frozen=True)
class Partitions(dg.Resolvable):
    """The partitions of events; the fields of :class:`~klaviyo_assets.EventPartitions`."""

    grain: Annotated[Literal["daily", "monthly"], dg.Resolver.default(description="Length of the partitions.")] = "daily"
    timezone: Annotated[str, dg.Resolver.default(description="Time zone in which days begin.", examples=["Europe/Berlin"])] = "UTC"
    start: Annotated[str | None, dg.Resolver.default(description="The first day; by default the start date.", examples=["2024-01-01"])] = None

    def partitions(self) -> EventPartitions:
        """Return the partitions."""
        return EventPartitions(self.grain, self.timezone, self.start)


@dataclass(frozen=True)
class Retries(dg.Resolvable):
    """When Dagster runs a failed step again; the fields of its ``RetryPolicy``."""

    max_retries: Annotated[int, dg.Resolver.default(description="Times that a step is run again.")] = 1
    delay: Annotated[float | None, dg.Resolver.default(description="Seconds before it is run again.")] = None
    backoff: Annotated[Literal["linear", "exponential"] | None, dg.Resolver.default(description="How the delay grows.")] = None
    jitter: Annotated[Literal["full", "plus_minus"] | None, dg.Resolver.default(description="How the delay varies at random.")] = None

    def policy(self) -> dg.RetryPolicy:
        """Return Dagster's policy."""
        return dg.RetryPolicy(
            max_retries=self.max_retries,
            delay=self.delay,
            backoff=None if self.backoff is None else dg.Backoff[self.backoff.upper()],
            jitter=None if self.jitter is None else dg.Jitter[self.jitter.upper()],
        )


def nested(kind: type[dg.Resolvable], others: Any, description: str, convert: Callable[[Any], Any] = lambda value: value) -> dg.Resolver:
    """Return how a field is read that is either an object of fields or a plain value.

    Dagster's own resolver of such a union tries the plain value if the object is invalid, so the reason would be lost.

    Args:
        kind: Class of the object.
        others: Type of the plain values.
        description: Of the field.
        convert: Applied to the object.
    """

    def resolve(context: dg.ResolutionContext, value: Any) -> Any:
        """Return the converted object, or the plain value."""
        if isinstance(value, BaseModel):
            return convert(kind.resolve_from_model(context, value))
        return context.resolve_value(value)

    return dg.Resolver(resolve, model_field_type=kind.model() | others, inject_before_resolve=False, description=description)


PUBLISH = nested(
    PublishedFiles, str | type(None), f"{OPTIONS['publish_path'].description}. With a folder of Parquet files: an object of file and parquet."
)
PARTITIONS = nested(
    Partitions,
    str | type(None),
    f"{OPTIONS['partitions'].description}. With a time zone: an object of grain, timezone and start.",
    Partitions.partitions,
)
SCHEDULES = nested(
    KlaviyoSchedules,
    bool,
    "When the jobs run: true for the default schedules, which are started in the UI; false for none; or cron expressions, a time zone, and whether "
    "they run without being started.",
)
RETRY_POLICY = nested(
    Retries, type(None), "Runs failed steps again, where that may help: transient faults, a file that another program has open.", Retries.policy
)
