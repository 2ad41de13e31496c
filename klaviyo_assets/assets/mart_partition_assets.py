"""Assets with the days of marts as partitions. Their op is thin: its work is in :mod:`klaviyo_assets.ops.mart_partition_op`."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from klaviyo_assets.assets.op_settings import OpSettings
from klaviyo_assets.current_keys import by_current_key, current_checks, current_key
from klaviyo_assets.marts.library import Models
from klaviyo_assets.marts.model import Scope
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.run_config import PARTITIONS_OF, KlaviyoMartConfig

SUFFIX = "_by_day"

_MART_DAYS_DESCRIPTION = (
    "The days of `{model}`, those of its column `day`. Each build of `{model}` reports here the days that it has computed. Materialize days to "
    "compute them again."
)


def partitioned_mart_specs(
    models: Models, specs: Mapping[str, dg.AssetSpec], partitions: EventPartitions | None, events: dg.AssetKey | None
) -> dict[str, dg.AssetSpec]:
    """Return the specs of the assets with the days of models that are maintained by day; none without daily partitions of events.

    Args:
        models: All models.
        specs: Their specs.
        partitions: The partitions of events.
        events: Key of the asset with these partitions.
    """
    if partitions is None or events is None or not partitions.is_daily:
        return {}
    daily = [name for name, model in models.items() if model.header.scope is Scope.DAY and model.problem is None]
    return {name: _spec(specs[name], name, partitions, events) for name in daily}


def _spec(model: dg.AssetSpec, name: str, partitions: EventPartitions, events: dg.AssetKey) -> dg.AssetSpec:
    metadata = {key: value for key, value in model.metadata.items() if key.startswith("dagster/")}
    changed = dg.AutomationCondition.eager().without(dg.AutomationCondition.in_latest_time_window())
    return dg.AssetSpec(
        key=dg.AssetKey([*model.key.path[:-1], model.key.path[-1] + SUFFIX]),
        deps=[events],
        description=_MART_DAYS_DESCRIPTION.format(model=name),
        group_name=model.group_name,
        owners=list(model.owners),
        tags=dict(model.tags),
        kinds=set(model.kinds),
        code_version=model.code_version,
        partitions_def=partitions.definition,
        automation_condition=changed,
        skippable=True,
        metadata={**metadata, "partition_expr": "day", PARTITIONS_OF: name},
    )


def build_mart_partition_op(
    op_name: str,
    models: Models,
    specs: Mapping[str, dg.AssetSpec],
    marts: tuple[Mapping[str, dg.AssetSpec], dg.AssetsDefinition],
    partitions: EventPartitions,
    settings: OpSettings,
) -> dg.AssetsDefinition:
    """Build the op that computes days of marts again.

    Args:
        op_name: Name of the op.
        models: All models.
        specs: The specs of the assets with partitions, by model.
        marts: The specs of the models' own assets, and the op that builds them.
        partitions: The partitions.
        settings: Those of the op.
    """
    names = {spec.key: model for model, spec in specs.items()}
    mart_specs, marts_op = marts

    @dg.multi_asset(
        name=op_name,
        description="Computes the selected days of marts again, and all days with events that have changed.",
        specs=list(specs.values()),
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        **settings.op_arguments,
    )
    def build_days(context: dg.AssetExecutionContext) -> Any:
        """Build the selected days of the selected models."""
        # Imported only when models are built: a code location is loaded far more often, and should load fast.
        from klaviyo_assets.ops.mart_op import MartStep
        from klaviyo_assets.ops.mart_partition_op import MartPartitionStep

        current = by_current_key(context.assets_def, build_days, names)
        step = MartStep(
            config=KlaviyoMartConfig(),
            models=models,
            assets={
                current_key(context, marts_op.op.name, marts_op.get_output_name_for_asset_key(spec.key)) or spec.key: model
                for model, spec in mart_specs.items()
            },
            partitions={model: (key, partitions) for key, model in current.items()},
            **settings.step_arguments(context),
        )
        yield from MartPartitionStep(context, current, step, current_checks(context, marts_op.op.name)).run()

    return build_days
