"""The asset with the days of events as partitions. Its op is thin: its work is in :mod:`klaviyo_assets.ops.partition_op`."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from klaviyo_assets.assets.op_settings import OpSettings
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.current_keys import current_checks, current_key
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.run_config import PARTITIONS_OF, KlaviyoSyncConfig

_EVENT_PERIODS_DESCRIPTION = (
    "The {periods} of `events`. Each sync of `events` reports here the {periods} with rows that it has changed; one that was never read is missing. "
    "Materialize {periods} to read them again: adjacent ones are read in one run."
)


def partitioned_spec(entry: ResourceType, events: dg.AssetSpec, partitions: EventPartitions) -> dg.AssetSpec:
    """Return the spec of the asset with the partitions, which has the table, owners, tags and group of events.

    Args:
        entry: The type of events.
        events: Its spec.
        partitions: The partitions.
    """
    suffix = partitions.asset_name.removeprefix(entry.name)
    metadata = {name: value for name, value in events.metadata.items() if name.startswith(("dagster/", "klaviyo/endpoint", "klaviyo/scope"))}
    return dg.AssetSpec(
        key=dg.AssetKey([*events.key.path[:-1], events.key.path[-1] + suffix]),
        # No dependency on events: each of its syncs would make all days look outdated ("unsynced") in the UI, and a day is read from Klaviyo.
        description=_EVENT_PERIODS_DESCRIPTION.format(periods="days" if partitions.is_daily else "months"),
        group_name=events.group_name,
        owners=list(events.owners),
        tags=dict(events.tags),
        kinds=set(events.kinds),
        code_version=events.code_version,
        partitions_def=partitions.definition,
        metadata={**metadata, "partition_expr": entry.period_field, PARTITIONS_OF: entry.name},
    )


def build_partition_op(
    op_name: str,
    spec: dg.AssetSpec,
    events: tuple[ResourceType, dg.AssetKey, dg.AssetsDefinition],
    partitions: EventPartitions,
    settings: OpSettings,
    execute: Callable[..., Iterator[Any]],
) -> dg.AssetsDefinition:
    """Build the op that reads days again.

    Args:
        op_name: Name of the op.
        spec: The spec of the asset with the partitions.
        events: The resource type of events, the key of its asset, and the op that syncs it.
        partitions: The partitions.
        settings: Those of the op.
        execute: Runs each sync.
    """
    entry, events_key, events_op = events

    @dg.multi_asset(
        name=op_name,
        description="Reads the selected days of events again, adjacent ones together.",
        specs=[spec],
        backfill_policy=dg.BackfillPolicy.single_run(),
        **settings.op_arguments,
    )
    def read_partitions(context: dg.AssetExecutionContext) -> Any:
        """Read the selected days again, each range of adjacent days at once."""
        # Imported only when it runs: a code location is loaded far more often, and should load fast.
        from klaviyo_assets.ops.partition_op import PartitionStep, RangeStep

        (asset,) = context.selected_asset_keys
        events = current_key(context, events_op.op.name, events_op.get_output_name_for_asset_key(events_key)) or events_key
        step = RangeStep(
            config=KlaviyoSyncConfig(),
            assets={events: entry},
            checks=frozenset(check.name for check in current_checks(context, events_op.op.name) if check.asset_key == events),
            partitions={entry.name: (asset, partitions)},
            **settings.step_arguments(context),
        )
        yield from PartitionStep(context, asset, partitions, step, execute).run()

    return read_partitions
