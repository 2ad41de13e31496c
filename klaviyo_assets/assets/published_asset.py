"""The asset of the published copy: what readers open while syncs run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.io_manager import PUBLISHED_FILE, PUBLISHED_SCHEMA
from klaviyo_assets.publish.target import PublishTarget
from klaviyo_assets.run_config import PARTITIONS_OF
from klaviyo_assets.setting_names import SettingNames
from klaviyo_assets.translator import KlaviyoTranslator, checked_translator
from klaviyo_assets.validation import InvalidDefinition, check_name
from klaviyo_assets.warehouse.default_name import check_schema_name

PUBLISHED = "published"
"""Name of the asset, after the key prefix."""


def build_klaviyo_published(
    assets: Sequence[dg.AssetsDefinition],
    file: str | Path,
    *,
    parquet: str | Path | None = None,
    catalog: Catalog = CATALOG,
    name: str = "klaviyo",
    resource_key: str = "klaviyo",
    duckdb_key: str = "duckdb",
    translator: KlaviyoTranslator | None = None,
    pool: str | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    setting_names: SettingNames | None = None,
) -> dg.AssetsDefinition:
    """Build the asset ``published``: a consistent copy of the database, for notebooks, dashboards and the DuckDB shell.

    A sync cannot write while a reader has the database open; readers of the copy never block a sync. The copy is written under a temporary name,
    compared with the database, and put in place in one step. Its table ``_published`` says up to when each resource type is complete.

    The asset depends on all assets. It is not in the jobs of syncs, because a failed or skipped step would skip it: it has its own job and an
    automation condition.

    Args:
        assets: What the copy contains, for the lineage: the assets of :func:`~klaviyo_assets.build_klaviyo_assets`, and others in the same file.
        file: The DuckDB file to write; must not have the name of the schema.
        parquet: Folder for Parquet files, one per table and one per month of events; None for none. Its link ``current`` leads to the latest ones.
        catalog: The resource types that exist: of those whose history begins at the start date, such as events, there is a Parquet file per month.
        name: Prefix of the op's name; give each account its own.
        resource_key: Key of the :class:`~klaviyo_assets.KlaviyoResource`.
        duckdb_key: Key of the ``dagster_duckdb.DuckDBResource``.
        translator: The translator of the assets; it holds key prefix and schema. The group is ``<name>_published``.
        pool: Dagster concurrency pool of the op.
        retry_policy: For failures where a retry may help.
        setting_names: What messages call the settings.

    Raises:
        AmbiguousName: If the file has the name of the schema.
        InvalidDefinition: A ``ValueError``: if a name cannot be used.

    Example:
        >>> published = build_klaviyo_published(assets, "data/published.duckdb")
        >>> defs = dg.Definitions(assets=[*assets, published], resources=resources)
    """
    check_name(name)
    translator = KlaviyoTranslator() if translator is None else checked_translator(translator)
    check_schema_name(translator.schema, str(file))
    names = setting_names or SettingNames(resource_key, duckdb_key)
    target = PublishTarget.at(file, parquet)
    keys = [spec.key for one in assets for spec in one.specs if PARTITIONS_OF not in spec.metadata]
    spec = dg.AssetSpec(
        key=dg.AssetKey([*translator.key_prefix, PUBLISHED]),
        deps=keys,
        description=f"A copy of the database in {file}, for readers: it can be open while syncs run. The table `{translator.schema}._published` says "
        "up to when each resource type is complete.",
        group_name=f"{name}_published",  # not that of the tables: the marts lie between
        owners=list(translator.owners),
        tags=dict(translator.tags),
        kinds={"duckdb", *(["parquet"] if parquet is not None else [])},
        skippable=True,
        metadata={PUBLISHED_FILE: str(target.file), PUBLISHED_SCHEMA: translator.schema},
        # Not AutomationCondition.eager() alone: it would wait forever for a type that is skipped because its scope is missing.
        automation_condition=dg.AutomationCondition.eager().without(~dg.AutomationCondition.any_deps_missing()),
    ).with_io_manager_key(str(translator.io_manager_key))

    @dg.multi_asset(
        name=f"{name}_{PUBLISHED}",
        description=f"Writes a copy of the database to {file}.",
        specs=[spec],
        pool=pool,
        retry_policy=retry_policy,
        required_resource_keys={resource_key, duckdb_key},
    )
    def publish(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        # Imported only when it runs: a code location is loaded far more often, and should load fast.
        from klaviyo_assets.ops.publish_op import PublishStep

        (key,) = context.selected_asset_keys
        klaviyo = getattr(context.resources, resource_key)
        yield from PublishStep(context, key, klaviyo, getattr(context.resources, duckdb_key), target, names, catalog).run()

    return publish


def publish_target(publish: str | Path | PublishTarget, database: object) -> PublishTarget:
    """Return what ``publish=`` names.

    Args:
        publish: The argument.
        database: The DuckDB resource.

    Raises:
        InvalidDefinition: If it is something else than a path or a target, or the database itself.
    """
    if not isinstance(publish, str | Path | PublishTarget):
        raise InvalidDefinition(f"publish= takes the path of a file or a PublishTarget, not {type(publish).__name__}.")
    file, parquet = (publish.file, publish.parquet) if isinstance(publish, PublishTarget) else (publish, None)
    target = PublishTarget.at(file, parquet)  # the paths of a PublishTarget may be relative, or texts
    path = getattr(database, "database", None)
    if isinstance(path, str) and not isinstance(path, dg.EnvVar) and Path(path).expanduser().absolute() == target.file:
        raise InvalidDefinition(
            f"publish= names the database itself, {target.file}. Name another file, such as {target.file.with_name('published.duckdb')}."
        )
    return target
