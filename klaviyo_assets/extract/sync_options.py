"""The options of a sync, and the fingerprint of what it reads."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from klaviyo_assets.catalog.columns import COMPUTED, WITHIN, Column
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.errors import InvalidRange
from klaviyo_assets.extract.metric_selection import NO_RULES, MetricRules
from klaviyo_assets.state.coverage import TimeWindow


class SyncMode(StrEnum):
    """How much a sync reads. Lower-case names, because Dagster's run config uses the names."""

    incremental = "incremental"
    """Read what is not covered."""
    full = "full"
    """Read everything into a new table, then swap it in."""
    range = "range"
    """Read a window of a time field again."""
    repair = "repair"
    """Like ``incremental``, after removing from the coverage the days for which the last audit found a different count."""


_METRIC_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class SyncOptions:
    """The options of one sync.

    Attributes:
        mode: How much it reads.
        field: For ``range``: the time field.
        window: For ``range``: the window of that field.
        start_date: Older records are not read, if the resource type supports a start date; None for the whole history.
        metrics: The metrics that the user selects, for a resource type with a ``metric_filter``.
        accept_changed_options: Keep rows that were read with other options or columns, rather than reading them again.
        conversion_metrics: Ids of the metrics that reports count conversions by; empty for the account's revenue metric.
        member_groups: Ids or names of the lists and segments whose members are read; empty for all.
    """

    mode: SyncMode = SyncMode.incremental
    field: str | None = None
    window: TimeWindow | None = None
    start_date: datetime | None = None
    accept_changed_options: bool = False
    metrics: MetricRules = NO_RULES
    conversion_metrics: tuple[str, ...] = ()
    member_groups: tuple[str, ...] = ()


def range_field(entry: ResourceType) -> str | None:
    """Return the time field that ``range`` reads by (one whose values never change), or None if the type has no mode ``range``."""
    return entry.replication.range_field


def check_range(entry: ResourceType, request: SyncOptions) -> tuple[str, TimeWindow]:
    """Return the time field and the window of a ``range`` request.

    Raises:
        InvalidRange: If the type does not support a range, or the field or window is wrong; the message names the right ones.
    """
    allowed = range_field(entry)
    if allowed is None:
        if entry.replication.is_complete_read:
            raise InvalidRange(f"{entry.name} has no mode range: every sync reads it completely.", "Run it with mode incremental.")
        raise InvalidRange(f"{entry.name} has no mode range.", "Run it with mode incremental, or with mode full to read everything again.")
    if request.field not in (None, allowed):
        raise InvalidRange(f"{entry.name} cannot be read by a range of {request.field!r}.", f"Use field: {allowed}.")
    if request.window is None:
        raise InvalidRange(f"Mode range of {entry.name} needs a start and an end.", "Set both, for example start: 2026-01-01 and end: 2026-02-01.")
    if request.window.start >= request.window.end:
        raise InvalidRange(
            f"The range of {entry.name} is empty: {request.window.start.isoformat()} is not before {request.window.end.isoformat()}.",
            "Set an end that lies after the start.",
        )
    return allowed, request.window


def parse_user_time(text: str, name: str) -> datetime:
    """Parse a date or time that a user entered; without an offset it is UTC.

    Args:
        text: ISO 8601, such as ``2026-01-31`` or ``2026-01-31T12:00:00+01:00``.
        name: Its name in the error message.

    Raises:
        InvalidRange: If it is not a date.
    """
    try:
        value = datetime.fromisoformat(text.strip())
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRange(f"{name} is not a date: {text!r}.", "Write it as 2026-01-31 or 2026-01-31T12:00:00Z.") from error


def parse_start_date(text: str, name: str) -> datetime:
    """Parse a start date; without an offset it is UTC.

    Args:
        text: As for :func:`parse_user_time`.
        name: Its name in the error message.

    Raises:
        InvalidRange: If it is not a date, or is in the future by this machine's clock, so nothing would ever be read.
    """
    value, now = parse_user_time(text, name), datetime.now(UTC)
    if value > now:
        raise InvalidRange(f"{name} is in the future: {text!r}, and it is {now:%Y-%m-%dT%H:%MZ} now.", "Set an earlier date.")
    return value


def conversion_metrics(text: str | None) -> tuple[str, ...]:
    """Return the ids of metrics in a setting, separated by commas.

    Raises:
        ValueError: If one is not the id of a metric.

    Example:
        >>> conversion_metrics("RESQ6t, Xy12Ab")
        ('RESQ6t', 'Xy12Ab')
    """
    ids = tuple(dict.fromkeys(one.strip() for one in (text or "").split(",") if one.strip()))
    if wrong := [one for one in ids if not _METRIC_ID.fullmatch(one)]:
        raise ValueError(f"{wrong[0]!r} is not the id of a metric")
    return ids


def read_fingerprint(entry: ResourceType, revision: str, rules: str | None = None) -> str:
    """Return a short fingerprint of what determines the values that a read returns: revision, fields, includes, subsets, columns, field rules.

    Two reads with the same fingerprint return the same values; coverage with another fingerprint is not trusted. Columns whose values were in
    ``_extra`` before, or come from another column, are left out.
    """
    facts: dict[str, object] = {
        "revision": revision,
        "fields": entry.requested_fields,
        "divisions": [subset.filters for subset in entry.subsets],
        "columns": [(column.name, column.type, _path(column)) for column in entry.columns if not _is_found_in_rows(column)],
    }
    if entry.requested_includes:
        facts["includes"] = [(one.relationship, sorted((one.fields or {}).items())) for one in entry.requested_includes]
    if rules is not None:
        facts["rules"] = rules
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _is_found_in_rows(column: Column) -> bool:
    """Whether stored rows get the column's values without a new read."""
    return column.was_in_extra or column.path[0] in (WITHIN, COMPUTED)


def _path(column: Column) -> tuple[str, ...]:
    """Return the column's path as in stored fingerprints: with the earlier name of ``subset``, so no table is read again."""
    return ("division", *column.path[1:]) if column.path[0] == "subset" else column.path
