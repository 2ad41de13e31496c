"""What the assets of one step have in common: the run, its config, the resources and the field rules."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import dagster as dg

from klaviyo_assets.catalog import Catalog
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.errors import InvalidMode, InvalidRange
from klaviyo_assets.extract.sync_options import SyncOptions, conversion_metrics, parse_user_time
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.privacy.apply import FieldRuleSet
from klaviyo_assets.reporting.run_log import log_with_configured_names
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets.run_config import KlaviyoSyncConfig, SyncMode
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.warehouse.interface import Warehouse


@dataclass(frozen=True)
class StepContext:
    """What the assets of one step have in common.

    Args:
        dagster: Dagster's execution context.
        config: Run config of the op.
        schema: DuckDB schema.
        klaviyo: The Klaviyo resource.
        warehouse: The database.
        catalog: All resource types in use.
        with_configured_names: Replaces the names of settings in a message by the user's own.
        field_rules: The field rules of each resource type that has some, by its name.
        partitions: The key of the asset with partitions, and the partitions, by resource type.
        of_partitions: True if the partitions op runs the sync; that op reports the partitions itself and fails if the sync is skipped.
    """

    dagster: dg.AssetExecutionContext
    config: KlaviyoSyncConfig
    schema: str
    klaviyo: KlaviyoResource
    warehouse: Warehouse
    catalog: Catalog
    with_configured_names: Callable[[str], str]
    field_rules: Mapping[str, FieldRuleSet] = field(default_factory=dict)
    partitions: Mapping[str, tuple[dg.AssetKey, EventPartitions]] = field(default_factory=dict)
    of_partitions: bool = False

    @cached_property
    def log(self) -> logging.Logger:
        """The run's log; its messages name the user's own settings."""
        return log_with_configured_names(self.dagster.log, self.with_configured_names)

    def rules_of(self, entry: ResourceType) -> FieldRuleSet:
        """Return the field rules of a resource type."""
        return self.field_rules.get(entry.name, FieldRuleSet())

    def options_for(self, entry: ResourceType) -> SyncOptions:
        """Return what the run config and the resource say about the sync of a resource type.

        Raises:
            InvalidMode: If the type has no audit and the mode is ``repair``.
            InvalidRange: If a field or a time is given for another mode than ``range``, or is wrong.
        """
        config, klaviyo = self.config, self.klaviyo
        if config.mode is SyncMode.repair and entry.counted_by is None:
            raise InvalidMode(f"Mode repair reads the days again that an audit found to differ; {entry.name} has no audit.", "Use another mode.")
        if config.mode is not SyncMode.range and (config.field or config.start or config.end):
            raise InvalidRange(
                f"field, start and end are for mode range, and the mode is {config.mode.name}.", "Add mode: range, or leave the three out."
            )
        start = parse_user_time(config.start, "start") if config.start else None
        end = parse_user_time(config.end, "end") if config.end else None
        return SyncOptions(
            mode=config.mode,
            field=config.field,
            window=TimeWindow(start, end) if start and end else None,
            start_date=klaviyo.starts_at,
            accept_changed_options=klaviyo.accept_changed_options,
            metrics=klaviyo.metric_rules,
            conversion_metrics=conversion_metrics(klaviyo.conversion_metric_ids),
            member_groups=tuple(klaviyo.member_groups),
        )
