"""Jobs and schedules over the assets. Schedules are stopped until somebody starts them, as Dagster has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from klaviyo_assets import checks

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

DAILY = "0 5 * * *"
HOURLY = "15 * * * *"
DAILY_CHECKS = "45 4 * * *"
FREQUENT = ("events", "profiles")
"""Resource types that the hourly schedule refreshes."""


@dataclass(frozen=True)
class Automation:
    """Jobs and schedules of one account."""

    jobs: Sequence[UnresolvedAssetJobDefinition]
    schedules: Sequence[dg.ScheduleDefinition]


def build_klaviyo_automation(assets: Sequence[dg.AssetsDefinition], name: str = "klaviyo") -> Automation:
    """Build the job for all assets, the one for the frequent ones and the one for the access checks, with a schedule each.

    Args:
        assets: As :func:`~klaviyo_assets.build_klaviyo_assets` returns them.
        name: Prefix of the names; give each account its own.

    Example:
        >>> automation = build_klaviyo_automation(assets)
        >>> defs = dg.Definitions(assets=assets, jobs=automation.jobs, schedules=automation.schedules, resources=resources)
    """
    everything = dg.define_asset_job(
        f"{name}_sync", selection=dg.AssetSelection.assets(*assets), description="Sync every resource type, with its checks."
    )
    access = dg.define_asset_job(
        f"{name}_checks",
        selection=dg.AssetSelection.checks(*_access_checks(assets)),
        description="Ask whether the API key is valid and has every scope; syncs nothing.",
    )
    jobs = [everything, access]
    schedules = [
        _schedule(everything, DAILY, "Everything, once a day."),
        _schedule(access, DAILY_CHECKS, "The access checks, before the daily sync."),
    ]
    frequent = [asset for asset in assets if asset.key.path[-1] in FREQUENT]
    if frequent:
        job = dg.define_asset_job(
            f"{name}_sync_frequent",
            selection=dg.AssetSelection.assets(*frequent),
            description="Sync events and profiles, with their checks.",
        )
        jobs.append(job)
        schedules.append(_schedule(job, HOURLY, "Events and profiles, every hour."))
    return Automation(jobs, schedules)


def _access_checks(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetCheckKey]:
    return [key for asset in assets for key in asset.check_keys if key.name in checks.ACCESS_CHECKS]


def _schedule(job: UnresolvedAssetJobDefinition, cron: str, description: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(name=f"{job.name}_schedule", job=job, cron_schedule=cron, execution_timezone="UTC", description=description)
