"""Runs a sync op: syncs and checks the selected assets concurrently, each with its own result or failure."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import dagster as dg

from klaviyo_assets._internal.event_loop import merge_streams
from klaviyo_assets._internal.redaction import redact, without_key
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.errors import AssetUnknown
from klaviyo_assets.extract.feed import Feed
from klaviyo_assets.ops.asset_sync import AssetDone, AssetFailure, AssetSync, Result
from klaviyo_assets.ops.step_context import StepContext
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.privacy.apply import FieldRuleSet, rule_sets_for
from klaviyo_assets.reporting.failures import EXPLAINED, failure, failure_of_types
from klaviyo_assets.reporting.run_log import each_in_the_log_of
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets.run_config import KlaviyoSyncConfig
from klaviyo_assets.setting_names import VARIABLES, SettingNames
from klaviyo_assets.warehouse.factory import warehouse_with
from klaviyo_assets.warehouse.interface import Warehouse


@dataclass
class StepProgress:
    """How far the runs of a step have come.

    Attributes:
        ended: True once one of them has synced what was selected, successfully or not.
        materialized: Assets of which they have yielded a materialization.
    """

    ended: bool = False
    materialized: set[dg.AssetKey] = field(default_factory=set)


@dataclass(frozen=True)
class SyncStep:
    """One execution of a sync op: its selected assets and checks.

    The syncs run concurrently in one event loop, a child's after its parent's. A failed sync affects no other, except that a child fails too if no
    sync has ever read its parent completely, and a type that takes its records from a host's responses fails if these cannot be read to the end.
    Results and checks of all are reported before the step fails, and the failure names the resource types that failed.

    Args:
        context: Dagster's execution context.
        config: Run config.
        assets: The resource types of the op, by the key that their asset has in this run; parents before their children.
        schema: DuckDB schema.
        klaviyo: The Klaviyo resource.
        duckdb: The DuckDB resource.
        setting_names: What messages call the settings.
        catalog: The resource types in use; those of this package are added.
        partitions: The key of the asset with partitions, and the partitions, by resource type.
        progress: What its runs, and those of steps that are derived from it, have yielded.
    """

    context: dg.AssetExecutionContext
    config: KlaviyoSyncConfig
    assets: Mapping[dg.AssetKey, ResourceType]
    schema: str
    klaviyo: KlaviyoResource
    duckdb: Any
    setting_names: SettingNames = VARIABLES
    catalog: Catalog = field(default_factory=lambda: CATALOG)
    partitions: Mapping[str, tuple[dg.AssetKey, EventPartitions]] = field(default_factory=dict)
    progress: StepProgress = field(default_factory=StepProgress)

    def run(self) -> Iterator[Result]:
        """Yield materializations and check results as they come.

        Raises:
            dagster.Failure: At the end, if a resource type failed; at once, if a setting makes every sync impossible.
        """
        try:
            for result in each_in_the_log_of(self.context.log, self._results(), self.setting_names.with_configured_names):
                yield self._with_configured_names(result)
            return
        except EXPLAINED as error:
            raise failure(error, self.setting_names.with_configured_names) from None
        except Exception as error:
            unexplained = error
        # Outside the handler: its error, which may show the key, would become the context of this one.
        raise without_key(unexplained)

    def _results(self) -> Generator[Result]:
        self.require_a_type_for_each_key()
        syncs = list(self._syncs())
        errors: dict[str, Exception] = {}
        for result in merge_streams([sync.results() for sync in syncs]):
            if isinstance(result, AssetFailure):
                errors[result.entry.name] = result.error
                continue
            if isinstance(result, dg.MaterializeResult) and result.asset_key is not None:
                self.progress.materialized.add(result.asset_key)
            yield result
        self.progress.ended = True
        if errors:
            self._fail({_name_of(sync): errors[sync.entry.name] for sync in syncs if sync.entry.name in errors}, len(syncs))

    @cached_property
    def warehouse(self) -> Warehouse:
        """The database.

        Raises:
            WarehouseError: If the resource names none that can be used.
        """
        return warehouse_with(self.klaviyo, self.duckdb)

    def with_config(self, config: KlaviyoSyncConfig) -> Self:
        """Return the same step with another run config."""
        return replace(self, config=config)

    def require_a_type_for_each_key(self) -> None:
        """Fail, instead of succeeding without syncing anything, if user code changed asset keys in an unsupported way.

        Raises:
            AssetUnknown: If a selected asset, or the asset of a selected check, is none of the op's.
        """
        selected = {*self.context.selected_asset_keys, *(check.asset_key for check in self.context.selected_asset_check_keys)}
        if unknown := sorted(key.to_user_string() for key in selected - self.assets.keys()):
            raise AssetUnknown(unknown, self.context.op_def.name)

    def _syncs(self) -> Iterator[AssetSync]:
        """Yield the work for each asset that is selected or has a selected check."""
        step = self._step_context(field_rules=self._rules() if self.context.selected_asset_keys else {})
        done_by_type: dict[str, AssetDone] = {}
        feeds = self._feeds()
        for asset, entry in self.assets.items():
            checks = frozenset(key.name for key in self.context.selected_asset_check_keys if key.asset_key == asset)
            materializes = asset in self.context.selected_asset_keys
            if materializes or checks:
                done_by_type[entry.name] = AssetDone(not_synced=materializes)
                yield AssetSync(
                    step,
                    entry,
                    asset,
                    done_by_type[entry.name],
                    materializes=materializes,
                    checks=checks,
                    parent_done=done_by_type.get(entry.parent.type_name) if entry.parent is not None else None,
                    host_done=done_by_type.get(entry.host.entry.name) if entry.host is not None else None,
                    feeds=[feed for feed in feeds.values() if feed.entry.host is not None and feed.entry.host.entry.name == entry.name],
                    feed=feeds.get(entry.name),
                )

    def _step_context(self, field_rules: Mapping[str, FieldRuleSet], *, of_partitions: bool = False) -> StepContext:
        return StepContext(
            dagster=self.context,
            config=self.config,
            schema=self.schema,
            klaviyo=self.klaviyo,
            warehouse=self.warehouse,
            catalog=self._known_types,
            with_configured_names=self.setting_names.with_configured_names,
            field_rules=field_rules,
            partitions=self.partitions,
            of_partitions=of_partitions,
        )

    def _rules(self) -> Mapping[str, FieldRuleSet]:
        """Return the rules of all types: a misspelled rule must stop every sync, since the values that it is meant for would be stored unchanged."""
        return rule_sets_for(self.klaviyo.field_rules, self._known_types)

    @cached_property
    def _known_types(self) -> Catalog:
        """The types of this package, and the user's own."""
        return CATALOG.updated(self.catalog)

    def _feeds(self) -> dict[str, Feed]:
        """Return a feed for each type to sync that takes its records from the responses of another one to sync."""
        entries = [entry for asset, entry in self.assets.items() if asset in self.context.selected_asset_keys]
        names = {entry.name for entry in entries}
        return {entry.name: Feed(entry) for entry in entries if entry.host is not None and entry.host.entry.name in names}

    def _fail(self, errors: Mapping[str, Exception], syncs: int) -> None:
        """Raise the error of the only resource type, or a failure that names those that failed."""
        unexplained = next((error for error in errors.values() if not isinstance(error, EXPLAINED)), None)
        if syncs == 1:
            (error,) = errors.values()
            raise error
        raise failure_of_types(errors, syncs, self.setting_names.with_configured_names) from unexplained

    def _with_configured_names(self, result: Result) -> Result:
        """Return a check result that names the user's own settings."""
        if not isinstance(result, dg.AssetCheckResult):
            return result

        def with_configured_names(text: str) -> str:
            return redact(self.setting_names.with_configured_names(text))

        metadata = {
            name: dg.MetadataValue.text(with_configured_names(value.text or "")) if isinstance(value, dg.TextMetadataValue) else value
            for name, value in result.metadata.items()
        }
        return result._replace(description=with_configured_names(result.description or ""), metadata=metadata)


def _name_of(sync: AssetSync) -> str:
    """Return the name of a resource type for failure messages, followed by its asset key if the key does not end with that name."""
    name = sync.entry.name
    return name if sync.asset.path[-1] == name else f"{name} ({sync.asset.to_user_string()})"
