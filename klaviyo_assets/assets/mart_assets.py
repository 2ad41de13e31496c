"""Assets of the marts: one per SQL model, all in one op. The op is thin: its work is in :mod:`klaviyo_assets.ops.mart_op`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from klaviyo_assets.assets.mart_partition_assets import build_mart_partition_op, partitioned_mart_specs
from klaviyo_assets.assets.op_settings import OpSettings
from klaviyo_assets.catalog import CATALOG, EVENTS, Catalog
from klaviyo_assets.current_keys import by_current_key, current_key
from klaviyo_assets.marts.library import FIVETRAN, TABLE_OF_VIEW, Models, read_models, schema_of
from klaviyo_assets.marts.model import UNIQUE_KEY, Model
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.run_config import PARTITIONS_OF, RESOURCE_TYPE, KlaviyoMartConfig
from klaviyo_assets.setting_names import SettingNames
from klaviyo_assets.translator import KlaviyoTranslator, checked_translator
from klaviyo_assets.validation import InvalidDefinition, check_name, check_schema
from klaviyo_assets.warehouse.sql import pasted

Marts = bool | str | Path | Sequence[str | Path]
"""Which marts to build: True for those of this package, or folders with ``.sql`` files that replace some of them or add others.

``"fivetran"`` is not a folder: it adds views in the shape of Fivetran's tables, for the dbt package dbt_klaviyo.
"""


def build_klaviyo_marts(
    assets: Sequence[dg.AssetsDefinition],
    marts: Marts = True,
    *,
    catalog: Catalog = CATALOG,
    name: str = "klaviyo",
    resource_key: str = "klaviyo",
    duckdb_key: str = "duckdb",
    translator: KlaviyoTranslator | None = None,
    pool: str | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    setting_names: SettingNames | None = None,
    partitions: EventPartitions | None = None,
) -> list[dg.AssetsDefinition]:
    """Build one asset per SQL model, with its checks. The first element is a subsettable op that builds the selected models in order.

    Each model depends on the models and on the assets of the tables that its SQL reads. Tables of resource types that have no asset are read as they
    are, or as empty ones.

    Args:
        assets: As :func:`~klaviyo_assets.build_klaviyo_assets` returns them.
        marts: True for the models of this package. A folder, or several, with ``.sql`` files of your own: one with the name of another model replaces
            it, another one adds a model. ``"fivetran"``, also in a list, adds views in the shape of Fivetran's tables. False for none.
        catalog: The catalog that the assets were built with.
        name: Prefix of the op's name; give each account its own.
        resource_key: Key of the :class:`~klaviyo_assets.KlaviyoResource`, for its settings of the database.
        duckdb_key: Key of the ``dagster_duckdb.DuckDBResource``.
        translator: The translator of the assets: its key prefix, owners, tags and schema also apply to the marts.
        pool: Dagster concurrency pool of the op.
        retry_policy: Applies where a retry may help, such as a database that another program has open.
        setting_names: What messages call the settings; the fields of the two resources by default.
        partitions: The partitions with which ``assets`` were built. If they are days, each model that is maintained by day has an asset with its days
            too, such as ``message_activity_daily_by_day``. The op that computes them is the last element.

    Raises:
        InvalidDefinition: A ``ValueError``: if a folder does not exist, or an asset does not say which resource type it is.

    Example:
        >>> assets = build_klaviyo_assets()
        >>> defs = dg.Definitions(assets=[*assets, *build_klaviyo_marts(assets, "marts")], resources=resources)
    """
    check_name(name)
    translator = KlaviyoTranslator() if translator is None else checked_translator(translator)
    check_schema(translator.schema)
    folders = model_folders(marts)
    if folders is None:
        return []
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        raise InvalidDefinition(f"marts={missing[0]!r} is not a folder. Name a folder with .sql files, or write marts=True.")
    models = read_models(folders, catalog=catalog, schema=translator.schema)
    specs = _Specs(models, translator, name, _keys_of(assets)).by_model()
    by_day = partitioned_mart_specs(models, specs, partitions, _key_of_partitions(assets))
    names = setting_names or SettingNames(resource_key, duckdb_key)
    settings = OpSettings(resource_key, duckdb_key, translator.schema, pool, retry_policy, names, catalog)
    if partitions is None or not by_day:
        return [_build_op(f"{name}_marts", models, specs, settings, {})]
    days_op = f"{name}_marts_by_day"
    reported = {model: (days_op, spec.key.to_python_identifier(), partitions) for model, spec in by_day.items()}
    marts_op = _build_op(f"{name}_marts", models, specs, settings, reported)
    return [marts_op, build_mart_partition_op(days_op, models, by_day, (specs, marts_op), partitions, settings)]


def model_folders(marts: Marts) -> list[Path] | None:
    """Return the user's folders of models; None for no marts at all.

    Args:
        marts: As for :func:`build_klaviyo_marts`.

    Raises:
        InvalidDefinition: If it names no folders.
    """
    if isinstance(marts, bool):
        return [] if marts else None
    if isinstance(marts, str | Path):
        return [_folder(marts)]
    if not isinstance(marts, Iterable) or not all(isinstance(one, str | Path) for one in marts):
        raise InvalidDefinition(f"marts={marts!r} names no folders. Write marts=True, a folder with .sql files, or a list of folders.")
    return [_folder(one) for one in marts]


def _folder(name: str | Path) -> Path:
    return FIVETRAN if name == FIVETRAN.name else Path(name)


def _keys_of(assets: Sequence[dg.AssetsDefinition]) -> dict[str, dg.AssetKey]:
    """Return the keys of the resource types' assets."""
    keys: dict[str, dg.AssetKey] = {}
    for spec in (spec for asset in assets for spec in asset.specs if PARTITIONS_OF not in spec.metadata):
        resource_type = spec.metadata.get(RESOURCE_TYPE)
        if not isinstance(resource_type, str):
            raise InvalidDefinition(
                f"The asset {spec.key.to_user_string()} does not say which resource type it is. Pass the assets that build_klaviyo_assets returns."
            )
        keys[resource_type] = spec.key
    return keys


def _key_of_partitions(assets: Sequence[dg.AssetsDefinition]) -> dg.AssetKey | None:
    """Return the key of the asset with the partitions of events, if there is one."""
    return next((spec.key for asset in assets for spec in asset.specs if spec.metadata.get(PARTITIONS_OF) == EVENTS.name), None)


@dataclass(frozen=True)
class _Specs:
    """Makes the specs of the models' assets."""

    models: Models
    translator: KlaviyoTranslator
    name: str
    raw: Mapping[str, dg.AssetKey]

    def by_model(self) -> dict[str, dg.AssetSpec]:
        """Return the specs by model, in the order of their dependencies."""
        return {name: self._spec(model) for name, model in self.models.items()}

    def _spec(self, model: Model) -> dg.AssetSpec:
        translator, kind = self.translator, self.translator.storage_kind
        columns = [dg.TableColumn(column, "", text) for column, text in model.header.columns.items()]
        spec = dg.AssetSpec(
            key=self._key(model.name),
            deps=list(dict.fromkeys(self._deps(model))),
            description=_description(model),
            group_name=f"{self.name}_marts",
            owners=list(translator.owners),
            tags=dict(translator.tags),
            kinds={"sql", *([str(kind)] if kind else [])},
            code_version=model.hash[:12],
            # One that fails is reported by the op's failure; the others are materialized.
            skippable=True,
            metadata={
                "dagster/table_name": pasted(*([translator.catalog] if translator.catalog else []), schema_of(translator.schema, model), model.name),
                **({"dagster/storage_kind": str(kind)} if kind else {}),
                "dagster/column_schema": dg.TableSchema(
                    columns, constraints=dg.TableConstraints(other=[f"({', '.join(model.header.key)}) is unique"])
                ),
                "klaviyo/sql": dg.MetadataValue.md(f"```sql\n{model.sql}```"),
            },
        )
        return spec.with_io_manager_key(str(translator.io_manager_key))

    def _key(self, model: str) -> dg.AssetKey:
        return dg.AssetKey([*self.translator.key_prefix, model])

    def _deps(self, model: Model) -> Iterator[dg.AssetKey]:
        for source in sorted(model.sources):
            table = TABLE_OF_VIEW.get(source, source)
            if source in self.models:
                yield self._key(source)
            elif table in self.raw:
                yield self.raw[table]


def _description(model: Model) -> str:
    if model.problem is not None and not model.header.description:
        return f"This model cannot be built. {model.problem}"
    how = "A view." if model.header.view else f"Incremental by {model.header.scope}." if model.header.scope else "Built completely each time."
    return f"{model.header.description}\n\nOne row per {', '.join(model.header.key)}. {how}"


def mart_check_specs(model: Model, asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return the checks of a model's asset."""
    key = ", ".join(model.header.key)
    specs = [dg.AssetCheckSpec(UNIQUE_KEY, asset=asset, description=f"No two rows have the same key ({key}).")]
    for check in model.header.checks:
        specs.append(dg.AssetCheckSpec(check.name, asset=asset, description=f"This query returns no rows:\n\n```sql\n{check.sql}\n```"))
    return specs


def _build_op(
    op_name: str,
    models: Models,
    specs: Mapping[str, dg.AssetSpec],
    settings: OpSettings,
    partitions: Mapping[str, tuple[str, str, EventPartitions]],
) -> dg.AssetsDefinition:
    names = {spec.key: model for model, spec in specs.items()}

    @dg.multi_asset(
        name=op_name,
        description="Builds the marts: all models, or those that are selected, in the order of their dependencies.",
        specs=list(specs.values()),
        check_specs=[check for model, spec in specs.items() for check in mart_check_specs(models[model], spec.key)],
        can_subset=True,
        **settings.op_arguments,
    )
    def build_marts(context: dg.AssetExecutionContext, config: KlaviyoMartConfig) -> Any:
        """Build the selected models and check them."""
        # Imported only when models are built: a code location is loaded far more often, and should load fast.
        from klaviyo_assets.ops.mart_op import MartStep

        step = MartStep(
            config=config,
            models=models,
            assets=by_current_key(context.assets_def, build_marts, names),
            partitions={
                model: (key, days) for model, (op, output, days) in partitions.items() if (key := current_key(context, op, output)) is not None
            },
            **settings.step_arguments(context),
        )
        yield from step.run()

    return build_marts
