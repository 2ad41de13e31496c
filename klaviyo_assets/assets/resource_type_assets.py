"""Assets: one per resource type, grouped into ops. The ops are thin: their work is in :mod:`klaviyo_assets.ops.sync_op`.

Resource types that are read completely within seconds share one op, so a run starts one process for all of them instead of one for each. A
child type is in the op of its parent, because it needs the parent's table, and a type with a host in the op of its host, because it takes its
records from the host's responses. Every other type has its own op. Each op is a subsettable
``multi_asset`` with the checks of its assets: that is the only way to report a check when its asset fails, and to run a check alone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_assets.assets.code_version import code_version
from klaviyo_assets.assets.op_settings import OpSettings
from klaviyo_assets.assets.partition_assets import build_partition_op, partitioned_spec
from klaviyo_assets.catalog import CATALOG, EVENTS, Catalog
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.checks import asset_checks
from klaviyo_assets.current_keys import by_current_key, current_key
from klaviyo_assets.partitions import EventPartitions, event_partitions
from klaviyo_assets.run_config import RESOURCE_TYPE, KlaviyoSyncConfig
from klaviyo_assets.setting_names import SettingNames
from klaviyo_assets.translator import KlaviyoTranslator, checked_translator
from klaviyo_assets.validation import (
    InvalidDefinition,
    check_execute,
    check_keys,
    check_name,
    check_op_names,
    check_outside_types,
    check_schema,
    selected_types,
)

if TYPE_CHECKING:
    from klaviyo_assets.ops.asset_sync import Result
    from klaviyo_assets.ops.sync_op import SyncStep

SMALL_TYPES = "small_types"
"""Name of the shared op, after the prefix: ``klaviyo_small_types``."""

Execute = Callable[[dg.AssetExecutionContext, "SyncStep"], "Iterator[Result]"]
"""Runs a sync op: yields what ``run()`` of the step yields, and may do something before, between and after it."""


def run(context: dg.AssetExecutionContext, sync: "SyncStep") -> "Iterator[Result]":
    """Sync, and do nothing else."""
    yield from sync.run()


def build_klaviyo_assets(
    *,
    resource_types: Iterable[str] | None = None,
    catalog: Catalog = CATALOG,
    name: str = "klaviyo",
    resource_key: str = "klaviyo",
    duckdb_key: str = "duckdb",
    translator: KlaviyoTranslator | None = None,
    pool: str | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    execute: Execute = run,
    setting_names: SettingNames | None = None,
    partitions: str | EventPartitions | None = None,
) -> list[dg.AssetsDefinition]:
    """Build one asset per resource type, with its checks.

    The result has one element per op: one for all types that are read within seconds (``<name>_small_types``), then one for each other type
    (``<name>_<type>``). A child type is in the op of its parent, is synced after it, and its asset depends on the parent's asset. A type that takes
    its records from the responses of another type, its host, is in the host's op, and its asset depends on the host's asset.

    Args:
        resource_types: Names of types and groups (``core``, ``messages``, ``audiences``, ``catalog``, ``reports``, ``default``, ``all``); by default
            all types that are not opt-in. A type that another one needs, such as its parent, is added.
        catalog: The resource types that exist; ``CATALOG.with_(MY_TYPE)`` adds one of your own.
        name: Prefix of the op names; give each account its own.
        resource_key: Key of the :class:`~klaviyo_assets.KlaviyoResource`.
        duckdb_key: Key of the ``dagster_duckdb.DuckDBResource``.
        translator: Creates the asset specs; also holds the key prefix, the group and the schema.
        pool: Dagster concurrency pool of the ops.
        retry_policy: Applies to failures where a retry may help: transient faults that outlast the client's own retries, a database that
            another program has open, another sync of the same resource type, a table that another program changed, a conflict at Klaviyo, an expired
            page link, an unexpected error. Nothing else is retried, and nothing if Klaviyo's ``Retry-After`` is 15 minutes or longer. A retry of the
            shared op syncs all its selected types again; those that had succeeded find nothing new.
        execute: Runs each sync op. It gets Dagster's context and the sync, calls ``sync.run()`` and yields what that yields: materializations and
            check results. So code of yours can run before and after a sync, look at its results, and handle its failure. The op fails if assets are
            selected and it does not run the sync to its end, or leaves out a materialization. The op of partitions calls it for each run of adjacent
            days, and fails if it yields no materialization of events: these days were not read.
        setting_names: What messages call the settings; the fields of the two resources by default.
        partitions: ``"daily"`` or ``"monthly"``, or :class:`~klaviyo_assets.EventPartitions`, to add an asset with the days or months of events as
            partitions, ``events_by_day`` or ``events_by_month``. The op that reads them is the last element. By default there is none.

    Raises:
        InvalidDefinition: A ``ValueError``: if a resource type is not in the catalog, its replication has no strategy, it has a role of another type
            (such as ``partitioned``), or a name or key cannot be used.

    Example:
        >>> defs = dg.Definitions(
        ...     assets=build_klaviyo_assets(resource_types=["profiles", "events"]),
        ...     resources={
        ...         "klaviyo": KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_API_KEY")),
        ...         "duckdb": DuckDBResource(database="shop.duckdb"),
        ...         "klaviyo_frames": KlaviyoFrameIOManager(duckdb=DuckDBResource(database="shop.duckdb")),
        ...     },
        ... )
    """
    entries = list(selected_types(resource_types, catalog).values())
    check_name(name)
    check_execute(execute)
    check_outside_types(entries)
    check_op_names([f"{name}_{SMALL_TYPES}"], {f"{name}_{entry.name}": entry for entry in entries if _has_own_op(entry)})
    translator = KlaviyoTranslator() if translator is None else checked_translator(translator)
    check_schema(translator.schema)
    specs: dict[str, dg.AssetSpec] = {}
    for entry in entries:  # parents and hosts first
        owner = None if entry.owner is None else specs[entry.owner.name]
        specs[entry.name] = _spec(translator, entry, owner)
    by_period = event_partitions(partitions)
    names = setting_names or SettingNames(resource_key, duckdb_key)
    settings = OpSettings(resource_key, duckdb_key, translator.schema, pool, retry_policy, names, catalog)
    if by_period is None:
        check_keys([*specs.items()])
        return _sync_ops(name, entries, specs, settings, execute, {})
    events = _type_with_partitions(entries)
    key = specs[events.name].key
    partitioned = partitioned_spec(events, specs[events.name], by_period)
    op_name = f"{name}_{by_period.asset_name}"
    check_keys([*specs.items(), (by_period.asset_name, partitioned)])
    check_op_names([op_name], {f"{name}_{entry.name}": entry for entry in entries})
    ops = _sync_ops(name, entries, specs, settings, execute, {events.name: (op_name, by_period)})
    events_op = next(op for op in ops if key in op.keys)
    return [*ops, build_partition_op(op_name, partitioned, (events, key, events_op), by_period, settings, execute)]


def _sync_ops(
    name: str,
    entries: Sequence[ResourceType],
    specs: Mapping[str, dg.AssetSpec],
    settings: OpSettings,
    execute: Execute,
    partitions: Mapping[str, tuple[str, EventPartitions]],
) -> list[dg.AssetsDefinition]:
    """Return the ops that sync the resource types.

    Args:
        name: Prefix of the op names.
        entries: The resource types, parents and hosts first.
        specs: The specs of their assets, by resource type.
        settings: Those of the ops.
        execute: Runs each sync op.
        partitions: The op of the asset with partitions, and the partitions, by resource type.
    """
    return [
        _build_op(f"{name}_{op_name}", [(entry, specs[entry.name]) for entry in group], settings, execute, partitions)
        for op_name, group in _ops_of(entries).items()
    ]


def _type_with_partitions(entries: Iterable[ResourceType]) -> ResourceType:
    events = next((entry for entry in entries if entry.partitioned), None)
    if events is None:
        raise InvalidDefinition(f"partitions= applies to {EVENTS.name}, which is not among the resource_types. Add it, or leave partitions out.")
    if events.period_field is None:
        raise InvalidDefinition(
            f"partitions= need times that give rows a day, but the replication of {events.name} has no range_field. Leave partitions out."
        )
    return events


def _ops_of(entries: Iterable[ResourceType]) -> dict[str, list[ResourceType]]:
    """Return which resource types each op syncs, by the op's name without prefix; the shared op comes first.

    Args:
        entries: The resource types, parents and hosts first.
    """
    ops: dict[str, list[ResourceType]] = {SMALL_TYPES: []}
    op_names: dict[str, str] = {}
    for entry in entries:
        if entry.owner is not None:
            op_names[entry.name] = op_names[entry.owner.name]
        else:
            op_names[entry.name] = entry.name if _has_own_op(entry) else SMALL_TYPES
        ops.setdefault(op_names[entry.name], []).append(entry)
    return {name: group for name, group in ops.items() if group}


def _has_own_op(entry: ResourceType) -> bool:
    return entry.owner is None and not entry.read_in_seconds


def _spec(translator: KlaviyoTranslator, entry: ResourceType, owner: dg.AssetSpec | None) -> dg.AssetSpec:
    """Return the translator's spec, with metadata from which jobs learn the resource type; a type depends on its parent or host."""
    given: object = translator.get_asset_spec(entry)
    if not isinstance(given, dg.AssetSpec):
        raise InvalidDefinition(
            f"get_asset_spec of {type(translator).__name__} returns {type(given).__name__} for {entry.name}, not a dagster.AssetSpec. Return one."
        )
    spec = given.merge_attributes(metadata={RESOURCE_TYPE: entry.name})
    if spec.code_version is None:
        spec = spec.replace_attributes(code_version=code_version(entry))
    if owner is None or any(dep.asset_key == owner.key for dep in spec.deps):
        return spec
    return spec.merge_attributes(deps=[owner.key])


def _build_op(
    op_name: str,
    group: Sequence[tuple[ResourceType, dg.AssetSpec]],
    settings: OpSettings,
    execute: Execute,
    partitions: Mapping[str, tuple[str, EventPartitions]],
) -> dg.AssetsDefinition:
    types = {spec.key: entry for entry, spec in group}

    @dg.multi_asset(
        name=op_name,
        description=f"Syncs {', '.join(entry.name for entry, _ in group)}: all of them, or those that are selected.",
        specs=[spec for _, spec in group],
        check_specs=[check for entry, spec in group for check in asset_checks.check_specs(entry, spec.key)],
        can_subset=True,
        **settings.op_arguments,
    )
    def sync_assets(context: dg.AssetExecutionContext, config: KlaviyoSyncConfig) -> Any:
        """Sync the selected resource types of the op."""
        # Imported only when a sync runs: a code location is loaded far more often, and should load fast.
        from klaviyo_assets.ops.execute_hook import executed
        from klaviyo_assets.ops.sync_op import SyncStep

        step = SyncStep(
            config=config,
            assets=by_current_key(context.assets_def, sync_assets, types),
            partitions={name: (key, periods) for name, (op, periods) in partitions.items() if (key := current_key(context, op)) is not None},
            **settings.step_arguments(context),
        )
        yield from executed(execute, context, step)

    return sync_assets
