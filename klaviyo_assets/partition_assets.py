"""The asset with the days of events as partitions. Its op is thin: its work is in :mod:`klaviyo_assets.partition_op`."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from klaviyo_assets.catalog import EVENTS, Catalog
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.config import PARTITIONS_OF, KlaviyoSyncConfig
from klaviyo_assets.current_keys import current_key
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.setting_names import SettingNames

_DESCRIPTION = (
    "The {periods} of `events`. Each sync of `events` reports here the {periods} with rows that it has changed; one that was never read is missing. "
    "Materialize {periods} to read them again: all that are selected are read in one run."
)


def partitioned_spec(events: dg.AssetSpec, partitions: EventPartitions) -> dg.AssetSpec:
    """Return the spec of the asset with the partitions, which has the table, owners, tags and group of events.

    Args:
        events: The spec of events.
        partitions: The partitions.
    """
    suffix = partitions.asset_name.removeprefix(EVENTS.name)
    metadata = {name: value for name, value in events.metadata.items() if name.startswith(("dagster/", "klaviyo/endpoint", "klaviyo/scope"))}
    return dg.AssetSpec(
        key=dg.AssetKey([*events.key.path[:-1], events.key.path[-1] + suffix]),
        # No dependency on events: each of its syncs would make all days look outdated ("unsynced") in the UI, and a day is read from Klaviyo.
        description=_DESCRIPTION.format(periods="days" if partitions.is_daily else "months"),
        group_name=events.group_name,
        owners=list(events.owners),
        tags=dict(events.tags),
        kinds=set(events.kinds),
        code_version=events.code_version,
        partitions_def=partitions.definition,
        metadata={**metadata, "partition_expr": EVENTS.replication.range_field, PARTITIONS_OF: EVENTS.name},
    )


def build_partition_op(
    op_name: str,
    spec: dg.AssetSpec,
    events: tuple[ResourceType, dg.AssetKey, dg.AssetsDefinition],
    partitions: EventPartitions,
    *,
    resource_key: str,
    duckdb_key: str,
    schema: str,
    pool: str | None,
    retry_policy: dg.RetryPolicy | None,
    execute: Callable[..., Iterator[Any]],
    setting_names: SettingNames,
    catalog: Catalog,
) -> dg.AssetsDefinition:
    """Build the op that reads days again.

    Args:
        op_name: Name of the op.
        spec: The spec of the asset with the partitions.
        events: The resource type of events, the key of its asset, and the op that syncs it.
        partitions: The partitions.
        resource_key: Key of the Klaviyo resource.
        duckdb_key: Key of the DuckDB resource.
        schema: DuckDB schema.
        pool: Dagster concurrency pool of the op.
        retry_policy: For failures where a retry may help.
        execute: Runs each sync.
        setting_names: What messages call the settings.
        catalog: All resource types.
    """
    entry, events_key, events_op = events

    @dg.multi_asset(
        name=op_name,
        description="Reads the selected days of events again, adjacent ones together.",
        specs=[spec],
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=pool,
        retry_policy=retry_policy,
        required_resource_keys={resource_key, duckdb_key},
    )
    def read_partitions(context: dg.AssetExecutionContext) -> Any:
        # Imported only when it runs: a code location is loaded far more often, and should load fast.
        from klaviyo_assets.partition_op import PartitionStep, RangeStep

        (asset,) = context.selected_asset_keys
        step = RangeStep(
            context=context,
            config=KlaviyoSyncConfig(),
            assets={current_key(context, events_op.op.name, events_op.get_output_name_for_asset_key(events_key)) or events_key: entry},
            schema=schema,
            klaviyo=getattr(context.resources, resource_key),
            duckdb=getattr(context.resources, duckdb_key),
            setting_names=setting_names,
            catalog=catalog,
            partitions={entry.name: (asset, partitions)},
        )
        yield from PartitionStep(context, asset, partitions, step, execute).run()

    return read_partitions
