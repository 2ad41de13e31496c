"""Stores many events of assets at once: one at a time, Dagster's SQLite storage takes about 50 ms each, half a minute for two years of days.

Dagster has no public way to do so. The tests compare what is stored here with what Dagster itself stores for the same events, one at a time.
"""

import logging
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.events import AssetMaterializationPlannedData, StepMaterializationData
from dagster._core.storage.event_log import InMemoryEventLogStorage, SqliteEventLogStorage

from klaviyo_assets.reporting.provenance import DATA_VERSION, InputVersions

ROW_COUNT = "dagster/partition_row_count"
"""Metadata that Dagster shows for a partition."""

_EVENTS_AT_ONCE = 500
"""Events of one transaction: about half a megabyte."""


def log_materializations(
    context: dg.AssetExecutionContext, materializations: Sequence[dg.AssetMaterialization], inputs: InputVersions | None = None
) -> None:
    """Record materializations of other assets than the op's own, such as partitions, as events of the run, with the tags that Dagster adds.

    A few are logged as ``context.log_event`` does. Many are written without a line each in the console.

    Args:
        context: Dagster's execution context.
        materializations: The events, each with its data version.
        inputs: The inputs of the assets as the step has read them; None if it reads no other assets.
    """
    assets = {one.asset_key for one in materializations}
    inputs = inputs or InputVersions(context, assets)
    tags = {asset: inputs.tags(asset) for asset in assets}
    materializations = [_with_tags(one, tags[one.asset_key]) for one in materializations]
    if len(materializations) <= 1:
        for one in materializations:
            context.log_event(one)
        return
    _store_all(context, [_event(context, one) for one in materializations])


def log_result(context: dg.AssetExecutionContext, asset: dg.AssetKey, result: dg.MaterializeResult[Any], inputs: InputVersions | None = None) -> None:
    """Record the materialization of another asset than the op's own, from what a step of that asset yields.

    Args:
        context: Dagster's execution context.
        asset: Key of the other asset.
        result: What the step yields.
        inputs: As for :func:`log_materializations`.
    """
    tags = {DATA_VERSION: result.data_version.value} if result.data_version is not None else {}
    log_materializations(context, [dg.AssetMaterialization(asset, metadata=dict(result.metadata or {}), tags=tags)], inputs)


def log_check(context: dg.AssetExecutionContext, result: dg.AssetCheckResult) -> None:
    """Record the result of a check of another asset than the op's own, which counts for the latest materialization of that asset.

    Dagster shows an asset's checks as not evaluated if its latest materialization has no results of them, so a step that records a materialization
    records these too, after it.

    Args:
        context: Dagster's execution context.
        result: What a step of that asset yields, with the key of the asset and the name of the check.

    Raises:
        ValueError: If the result lacks the key or the name.
    """
    if result.asset_key is None or result.check_name is None:
        raise ValueError(f"The result of a check of another asset needs a key and a name, and has {result.asset_key} and {result.check_name}.")
    evaluation = dg.AssetCheckEvaluation(
        asset_key=result.asset_key,
        check_name=result.check_name,
        passed=result.passed,
        metadata=result.metadata,
        target_materialization_data=_latest(context, result.asset_key),
        severity=result.severity,
        description=result.description,
    )
    context.log_event(evaluation)


def _latest(context: dg.AssetExecutionContext, asset: dg.AssetKey) -> AssetCheckEvaluationTargetMaterializationData | None:
    for found in context.instance.fetch_materializations(asset, limit=1).records:
        return AssetCheckEvaluationTargetMaterializationData(storage_id=found.storage_id, run_id=found.run_id, timestamp=found.timestamp)
    return None


def mark_as_failed(context: dg.AssetExecutionContext, asset: dg.AssetKey, partitions: Sequence[str]) -> None:
    """Let Dagster show partitions of an asset as failed. The run must fail then.

    Open-source Dagster has no event for a partition that has turned out to be wrong: ``AssetMaterializationFailure`` is read by Dagster+ alone, and
    partitions cannot be wiped. It shows a partition as failed if its latest event is the plan of a failed run to materialize it.

    Args:
        context: Dagster's execution context.
        asset: Key of the asset.
        partitions: Keys of the partitions.
    """
    step = context.get_step_execution_context()
    plans = [AssetMaterializationPlannedData(asset, partition=partition) for partition in partitions]
    planned = [dg.DagsterEvent.build_asset_materialization_planned_event(step.job_name, step.step.key, plan) for plan in plans]
    _store_all(context, planned)


def _with_tags(one: dg.AssetMaterialization, tags: Mapping[str, str]) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        one.asset_key, description=one.description, metadata=one.metadata, partition=one.partition, tags={**tags, **(one.tags or {})}
    )


def _event(context: dg.AssetExecutionContext, materialization: dg.AssetMaterialization) -> dg.DagsterEvent:
    step = context.get_step_execution_context()
    partition = f" on partition {materialization.partition}" if materialization.partition else ""
    return dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name=step.job_name,
        step_handle=step.step.handle,
        node_handle=step.step.node_handle,
        step_kind_value=step.step.kind.value,
        logging_tags=step.event_tags,
        event_specific_data=StepMaterializationData(materialization, []),
        message=f"Materialized value {materialization.label}{partition}.",
        pid=os.getpid(),
    )


def _store_all(context: dg.AssetExecutionContext, events: Sequence[dg.DagsterEvent]) -> None:
    entries = [_entry(context, event) for event in events]
    for start in range(0, len(entries), _EVENTS_AT_ONCE):
        _store(context.instance, entries[start : start + _EVENTS_AT_ONCE])


def _entry(context: dg.AssetExecutionContext, event: dg.DagsterEvent) -> dg.EventLogEntry:
    return dg.EventLogEntry(  # type: ignore[no-untyped-call]
        error_info=None,
        level=logging.DEBUG,
        user_message=event.message or "",
        run_id=context.run.run_id,
        timestamp=time.time(),
        step_key=event.step_key,
        job_name=event.job_name,
        dagster_event=event,
    )


def _store(instance: dg.DagsterInstance, entries: Sequence[dg.EventLogEntry]) -> None:
    """Write events of one run. Dagster's batches are one statement in some storages; in SQLite they are three transactions an event."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage | InMemoryEventLogStorage):
        by_asset = defaultdict(list)  # PostgreSQL's batch updates the asset of its last event only
        for entry in entries:
            by_asset[entry.get_dagster_event().asset_key].append(entry)
        for batch in by_asset.values():
            storage.store_event_batch(batch)
        return
    if isinstance(storage, SqliteEventLogStorage):  # a database for each run, and one with a copy of the events of assets
        with storage.run_connection(entries[0].run_id) as connection:
            connection.execute(storage.prepare_insert_event_batch(entries))
    with storage.index_connection() as connection:
        ids = [connection.execute(storage.prepare_insert_event(entry)).inserted_primary_key[0] for entry in entries]  # type: ignore[index]
    storage.store_asset_event_tags(entries, ids)
    last = {entry.get_dagster_event().asset_key: (entry, id_) for entry, id_ in zip(entries, ids, strict=True)}
    for entry, id_ in last.values():
        storage.store_asset_event(entry, id_)
