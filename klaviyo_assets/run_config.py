"""Run config of the sync ops, and names of Dagster tags and metadata."""

from collections.abc import Mapping

import dagster as dg
from pydantic import Field

from klaviyo_assets.extract.sync_options import SyncMode

__all__ = ["PARTITIONS_OF", "RESOURCE_TYPE", "SCHEDULE_TAG", "KlaviyoMartConfig", "KlaviyoSyncConfig", "SyncMode", "is_unattended"]

RESOURCE_TYPE = "klaviyo/resource_type"
"""Metadata with the resource type of an asset, independent of its key."""

PARTITIONS_OF = "klaviyo/partitions_of"
"""Metadata of an asset with partitions: the resource type or mart that they belong to."""

SCHEDULE_TAG = "dagster/schedule_name"
"""Tag that Dagster gives to runs of a schedule."""

_UNATTENDED_TAGS = {SCHEDULE_TAG, "dagster/sensor_name", "dagster/from_automation_condition"}


def is_unattended(tags: Mapping[str, str]) -> bool:
    """Return whether a schedule, a sensor or an automation condition has started the run with these tags.

    Such a run is skipped if another one does the same at the time: the next one is scheduled anyway.
    """
    return not _UNATTENDED_TAGS.isdisjoint(tags)


class KlaviyoSyncConfig(dg.Config):
    """Run config of a sync op: how much to read. It applies to every selected asset of the op.

    Example:
        >>> KlaviyoSyncConfig(mode=SyncMode.range, start="2026-01-01", end="2026-02-01")
    """

    mode: SyncMode = Field(
        default=SyncMode.incremental,
        description="incremental: what has not been read yet. full: everything, into a new table that then replaces the old one. range: a time "
        "window again. repair (events): the days for which the last audit found a different count, and what has not been read yet. A type without "
        "a time field is read completely in both incremental and full mode, and has no range; only full accepts that no record is left.",
    )
    field: str | None = Field(default=None, description="For range: datetime (events) or created (profiles, reviews); optional.")
    start: str | None = Field(default=None, description="For range: start of the window, such as 2026-01-01 or 2026-01-01T12:00:00Z.")
    end: str | None = Field(default=None, description="For range: end of the window, which is not part of it.")


class KlaviyoMartConfig(dg.Config):
    """Run config of the op that builds the marts."""

    rebuild: bool = Field(
        default=False, description="Build incremental models completely, instead of updating the profiles and days with events that have changed."
    )
