"""Jobs and schedules over the assets. Schedules are stopped until somebody starts them, as Dagster has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_assets import checks
from klaviyo_assets.assets import RESOURCE_TYPE_TAG
from klaviyo_assets.catalog import PROFILES

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

DAILY = "0 5 * * *"
HOURLY = "15 * * * *"
DAILY_CHECKS = "45 4 * * *"
WEEKLY_FULL = "30 2 * * 6"
WEEKLY_AUDIT = "30 3 * * 0"
FREQUENT = ("events", "profiles")
"""Resource types that the hourly schedule refreshes."""


@dataclass(frozen=True)
class Automation:
    """Jobs and schedules of one account."""

    jobs: Sequence[UnresolvedAssetJobDefinition]
    schedules: Sequence[dg.ScheduleDefinition]


def build_klaviyo_automation(
    assets: Sequence[dg.AssetsDefinition], name: str = "klaviyo", asset_checks: Sequence[dg.AssetChecksDefinition] = ()
) -> Automation:
    """Build jobs, with a schedule each but for the repair.

    They are: everything; events and profiles; the access checks; a full read of profiles, which finds the deleted and the merged; the audit of
    events, which compares them with Klaviyo's own counts; the repair of what it has found.

    Args:
        assets: As :func:`~klaviyo_assets.build_klaviyo_assets` returns them.
        name: Prefix of the names; give each account its own.
        asset_checks: Without effect; kept so that code for earlier versions loads.

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
    frequent = [asset for asset in assets if _resource_type(asset) in FREQUENT]
    if frequent:
        job = dg.define_asset_job(
            f"{name}_sync_frequent",
            selection=dg.AssetSelection.assets(*frequent),
            description="Sync events and profiles, with their checks.",
        )
        jobs.append(job)
        schedules.append(_schedule(job, HOURLY, "Events and profiles, every hour."))
    for asset in assets:
        if _resource_type(asset) == PROFILES.name:
            job = dg.define_asset_job(
                f"{name}_full_profiles",
                selection=dg.AssetSelection.assets(asset),
                config=_mode(asset, "full"),
                description="Read all profiles again: marks those that were deleted or merged, of which Klaviyo tells nobody.",
            )
            jobs.append(job)
            schedules.append(_schedule(job, WEEKLY_FULL, "All profiles again, once a week."))
        if audits := [key for key in asset.check_keys if key.name == checks.COMPLETE]:
            audit = dg.define_asset_job(
                f"{name}_audit",
                selection=dg.AssetSelection.checks(*audits),
                description="Compare the events with Klaviyo's own counts, by metric and day; syncs nothing.",
            )
            repair = dg.define_asset_job(
                f"{name}_repair",
                selection=dg.AssetSelection.assets(asset),
                config=_mode(asset, "repair"),
                description="Read the days again that the last audit found to differ, and compare them once more.",
            )
            jobs += [audit, repair]
            schedules.append(_schedule(audit, WEEKLY_AUDIT, "The audit of events, once a week."))
    return Automation(jobs, schedules)


def _resource_type(asset: dg.AssetsDefinition) -> str:
    """Return the name of the resource type; a translator may give the asset any key."""
    return asset.op.tags.get(RESOURCE_TYPE_TAG, "")


def _mode(asset: dg.AssetsDefinition, mode: str) -> dict[str, Any]:
    return {"ops": {asset.op.name: {"config": {"mode": mode}}}}


def _access_checks(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetCheckKey]:
    return [key for asset in assets for key in asset.check_keys if key.name in checks.ACCESS_CHECKS]


def _schedule(job: UnresolvedAssetJobDefinition, cron: str, description: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(name=f"{job.name}_schedule", job=job, cron_schedule=cron, execution_timezone="UTC", description=description)
