"""Jobs and schedules over the assets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.checks import asset_checks
from klaviyo_assets.run_config import PARTITIONS_OF, RESOURCE_TYPE, SyncMode
from klaviyo_assets.schedules import KlaviyoSchedules, Occasion, schedules_of
from klaviyo_assets.validation import InvalidDefinition, check_op_names

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition


@dataclass(frozen=True)
class Automation:
    """Jobs and schedules of one account."""

    jobs: Sequence[UnresolvedAssetJobDefinition]
    schedules: Sequence[dg.ScheduleDefinition]


def build_klaviyo_automation(
    assets: Sequence[dg.AssetsDefinition],
    name: str = "klaviyo",
    asset_checks: Sequence[dg.AssetChecksDefinition] = (),
    *,
    marts: Sequence[dg.AssetsDefinition] = (),
    catalog: Catalog = CATALOG,
    executor: dg.ExecutorDefinition | None = None,
    schedules: KlaviyoSchedules | bool | None = True,
) -> Automation:
    """Build jobs, and a schedule for each that ``schedules`` has a time for.

    The jobs: everything; the types that change by the hour (events, profiles); the access checks; a full sync of each type that needs one from time
    to time (such as profiles: it finds those that were deleted or merged); the audit, which compares events with Klaviyo's own counts; the repair
    of what it found; the marts. A job exists only if there are assets for it.

    The marts have a job of their own: in the job of a sync they would be skipped whenever one of the tables that they read cannot be synced.

    Args:
        assets: As :func:`~klaviyo_assets.build_klaviyo_assets` returns them.
        name: Prefix of the names; give each account its own.
        asset_checks: No effect; kept so that code for earlier versions loads.
        marts: As :func:`~klaviyo_assets.build_klaviyo_marts` returns them.
        catalog: The catalog that the assets were built with.
        executor: Executor of all jobs. By default, the access checks, the audit and the marts run in one process, and a sync runs each op in a
            separate process, all at the same time.
        schedules: When they run: a :class:`~klaviyo_assets.KlaviyoSchedules`, True for the default ones, which a user starts in the UI, False or None
            for none.

    Raises:
        InvalidDefinition: A ``ValueError``: if an asset does not say which resource type it is, or a type's op has the name of a job.

    Example:
        >>> automation = build_klaviyo_automation(assets)
        >>> defs = dg.Definitions(assets=assets, jobs=automation.jobs, schedules=automation.schedules, resources=resources)
    """
    members = _members_of(assets, catalog)
    is_complete = {one.entry.name for one in members} >= set(catalog.default_names)
    builder = _Builder(members, name, executor, is_complete)
    found = [*builder.jobs(), *builder.jobs_of_marts([spec.key for asset in marts for spec in asset.specs if PARTITIONS_OF not in spec.metadata])]
    check_op_names([one.job.name for one in found], {one.op_name: one.entry for one in members})
    return Automation([one.job for one in found], _schedules(found, schedules_of(schedules)))


def build_publish_job(
    published: dg.AssetsDefinition,
    name: str = "klaviyo",
    *,
    executor: dg.ExecutorDefinition | None = None,
    schedules: KlaviyoSchedules | bool | None = True,
) -> Automation:
    """Build the job that writes the published copy, and its schedule: by default every hour, after the hourly sync and the marts.

    Args:
        published: As :func:`~klaviyo_assets.build_klaviyo_published` returns it.
        name: Prefix of the names; give each account its own.
        executor: The job's executor; by default it runs in one process.
        schedules: When it runs; as for :func:`build_klaviyo_automation`.
    """
    job = dg.define_asset_job(
        f"{name}_publish",
        selection=dg.AssetSelection.assets(*published.keys),
        description="Write the published copy, which readers can have open while syncs run.",
        executor_def=executor or dg.in_process_executor,
    )
    return Automation([job], _schedules([_ScheduledJob(job, "publish", "the published copy, after the marts")], schedules_of(schedules)))


def sync_executor(ops: int) -> dg.ExecutorDefinition:
    """Return an executor that runs all ops at the same time, each in its own process.

    Ops wait for the network most of the time, so more of them than there are cores may run.

    Args:
        ops: How many ops there are.
    """
    return dg.multiprocess_executor.configured({"max_concurrent": ops})


@dataclass(frozen=True)
class _Member:
    """An asset: its resource type, its spec's key and the op that syncs it."""

    entry: ResourceType
    key: dg.AssetKey
    op_name: str
    checks: Collection[dg.AssetCheckKey]

    def check_keys(self, names: Collection[str]) -> list[dg.AssetCheckKey]:
        """Return the keys of its checks with these names."""
        return [key for key in self.checks if key.name in names]


@dataclass(frozen=True)
class _ScheduledJob:
    """A job, which schedule runs it (None if there is none), and what it does, for the schedule's description."""

    job: UnresolvedAssetJobDefinition
    occasion: Occasion | None
    what: str = ""


def _members_of(assets: Sequence[dg.AssetsDefinition], catalog: Catalog) -> list[_Member]:
    return [
        _Member(_entry_of(spec, catalog), spec.key, asset.op.name, [key for key in asset.check_keys if key.asset_key == spec.key])
        for asset in assets
        for spec in asset.specs
        if PARTITIONS_OF not in spec.metadata  # a backfill runs it, and each sync reports to it
    ]


def _entry_of(spec: dg.AssetSpec, catalog: Catalog) -> ResourceType:
    name = spec.metadata.get(RESOURCE_TYPE)
    if not isinstance(name, str) or name not in catalog:
        raise InvalidDefinition(
            f"The asset {spec.key.to_user_string()} does not say which resource type it is (metadata {RESOURCE_TYPE}: {name!r}). "
            "Pass the assets that build_klaviyo_assets returns, and the same catalog."
        )
    return catalog[name]


@dataclass(frozen=True)
class _Builder:
    members: Sequence[_Member]
    name: str
    executor: dg.ExecutorDefinition | None
    is_complete: bool
    """Whether there is an asset for each resource type of the catalog that is not opt-in."""

    def jobs(self) -> Iterator[_ScheduledJob]:
        """Yield the jobs for which there are assets."""
        selected = "" if self.is_complete else _listed(self.members)
        description = f"Sync {selected}, with all checks." if selected else "Sync every resource type, with its checks."
        yield _ScheduledJob(self._sync("sync", self.members, description), "sync", selected or "everything")
        description = "Check whether the API key is valid and has every scope; syncs nothing."
        access = self._checks("checks", asset_checks.ACCESS_CHECKS, description)
        yield _ScheduledJob(access, "checks", "the access checks, before the sync")
        if hourly := [one for one in self.members if one.entry.refresh == "hourly"]:
            names = _listed(hourly)
            frequent = self._sync("sync_frequent", hourly, f"Sync {names}, with their checks.")
            yield _ScheduledJob(frequent, "frequent", names)
        for one in self.members:
            if one.entry.full_refresh == "weekly":
                type_ = one.entry.name
                description = f"Read all {type_} again, to find those that were deleted in Klaviyo, which an incremental sync cannot see."
                full = self._sync(f"full_{type_}", [one], description, SyncMode.full)
                yield _ScheduledJob(full, "full", f"all {type_} again")
        if counted := [one for one in self.members if one.entry.counted_by is not None]:
            names = _listed(counted)
            description = f"Compare {names} with Klaviyo's own counts, by metric and day; syncs nothing."
            audit = self._checks("audit", [asset_checks.COMPLETE], description)
            yield _ScheduledJob(audit, "audit", f"the audit of {names}")
            description = "Read the days again on which the last audit found a difference, and compare them once more."
            yield _ScheduledJob(self._sync("repair", counted, description, SyncMode.repair), None)

    def jobs_of_marts(self, keys: Sequence[dg.AssetKey]) -> Iterator[_ScheduledJob]:
        """Yield the job that builds the marts, if there are any."""
        if keys:
            job = dg.define_asset_job(
                f"{self.name}_build_marts",
                selection=dg.AssetSelection.assets(*keys),
                description="Build the marts from the tables as they are, with all checks; syncs nothing.",
                executor_def=self.executor or dg.in_process_executor,
            )
            yield _ScheduledJob(job, "marts", "the marts, after the hourly sync")

    def _sync(self, name: str, members: Sequence[_Member], description: str, mode: SyncMode | None = None) -> UnresolvedAssetJobDefinition:
        ops = dict.fromkeys(one.op_name for one in members)
        config: dict[str, Any] | None = {"ops": {op: {"config": {"mode": mode.value}} for op in ops}} if mode is not None else None
        return dg.define_asset_job(
            f"{self.name}_{name}",
            selection=dg.AssetSelection.assets(*(one.key for one in members)),
            config=config,
            description=description,
            executor_def=self.executor or sync_executor(len(ops)),
        )

    def _checks(self, name: str, check_names: Collection[str], description: str) -> UnresolvedAssetJobDefinition:
        keys = [key for one in self.members for key in one.check_keys(check_names)]
        return dg.define_asset_job(
            f"{self.name}_{name}",
            selection=dg.AssetSelection.checks(*keys),
            description=description,
            executor_def=self.executor or dg.in_process_executor,
        )


def _listed(members: Sequence[_Member]) -> str:
    """Return the names of resource types as a list in words: ``events and profiles``."""
    *others, last = [one.entry.name for one in members]
    return f"{', '.join(others)} and {last}" if others else last


def _schedules(jobs: Sequence[_ScheduledJob], schedules: KlaviyoSchedules | None) -> list[dg.ScheduleDefinition]:
    """Return the schedules of jobs; None asks for none."""
    if schedules is None:
        return []
    found = [schedules.build(one.occasion, one.job, one.what) for one in jobs if one.occasion is not None]
    return [one for one in found if one is not None]
