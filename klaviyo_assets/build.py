"""Everything for one account as one ``dagster.Definitions``."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_duckdb import DuckDBResource

from klaviyo_assets.assets.code_version import code_version, with_options
from klaviyo_assets.assets.mart_assets import Marts, build_klaviyo_marts
from klaviyo_assets.assets.published_asset import build_klaviyo_published, publish_target
from klaviyo_assets.assets.resource_type_assets import Execute, build_klaviyo_assets, run
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.database_argument import as_resource, database_name_of
from klaviyo_assets.extract.sync_options import parse_start_date
from klaviyo_assets.io_manager import DATABASE_VARIABLES, KlaviyoFrameIOManager
from klaviyo_assets.jobs import build_klaviyo_automation, build_publish_job
from klaviyo_assets.launchpad import kept_out_of_launchpad
from klaviyo_assets.partitions import EventPartitions, event_partitions
from klaviyo_assets.publish.target import PublishTarget
from klaviyo_assets.resources import KlaviyoResource, check_account
from klaviyo_assets.run_config import PARTITIONS_OF, RESOURCE_TYPE
from klaviyo_assets.schedules import KlaviyoSchedules
from klaviyo_assets.setting_names import SettingNames, names_in_code
from klaviyo_assets.translator import KlaviyoTranslator, checked_translator
from klaviyo_assets.validation import check_name
from klaviyo_assets.warehouse.default_name import check_schema_name


def build_klaviyo_definitions(
    klaviyo: KlaviyoResource,
    *,
    duckdb: dg.ConfigurableResource[Any] | str | Path,
    resource_types: Iterable[str] | None = None,
    marts: Marts = False,
    catalog: Catalog = CATALOG,
    name: str = "klaviyo",
    owners: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    translator: KlaviyoTranslator | None = None,
    pool: str | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    executor: dg.ExecutorDefinition | None = None,
    publish: str | Path | PublishTarget | None = None,
    schedules: KlaviyoSchedules | bool | None = True,
    execute: Execute = run,
    partitions: str | EventPartitions | None = None,
    setting_names: SettingNames | None = None,
) -> dg.Definitions:
    """Build assets, checks, jobs, schedules and resources for one account.

    Args:
        klaviyo: Access to the account.
        duckdb: The ``DuckDBResource``, or the path of its file; the path may be an ``EnvVar``. A resource with a method ``warehouse()`` names another
            kind of warehouse.
        resource_types: Names of types and groups (``core``, ``messages``, ``audiences``, ``catalog``, ``reports``, ``default``, ``all``); by default
            all types that are not opt-in. A type that another one needs, such as its parent, is added.
        marts: True to build the marts of this package from the tables: orders, messages, campaign performance and more. A folder, or several, with
            ``.sql`` files of your own, which replace or add models; see :func:`~klaviyo_assets.build_klaviyo_marts`.
        catalog: The resource types that exist; ``CATALOG.with_(MY_TYPE)`` adds one of your own.
        name: The account's name: the prefix of asset keys, ops, jobs and resource keys, and the schema and group. Give each account its own, which
            must not be the name of the database file.
        owners: Owners of all assets: e-mail addresses or ``team:name``.
        tags: Tags of all assets.
        translator: Creates the asset specs. Fields that it does not set follow ``name``; ``owners`` and ``tags`` are added to its specs.
        pool: Dagster concurrency pool.
        retry_policy: For failures where a retry may help; see :func:`~klaviyo_assets.build_klaviyo_assets`.
        executor: The executor of this account's jobs. By default each job has a suitable one (see
            :func:`~klaviyo_assets.build_klaviyo_automation`). Your own jobs, and runs without a job (*Materialize all*), use the executor of the
            definitions that these are merged with.
        publish: The DuckDB file of the published copy, which readers can have open while syncs run, or a ``PublishTarget`` with a folder for Parquet
            files too: adds the asset ``published``, a job and a schedule. By default there is none.
        schedules: When the jobs run: a :class:`~klaviyo_assets.KlaviyoSchedules`, True for the default ones, which a user starts in the UI, False or
            None for none.
        execute: Runs each sync op; see :func:`~klaviyo_assets.build_klaviyo_assets`.
        partitions: ``"daily"`` or ``"monthly"``, or :class:`~klaviyo_assets.EventPartitions`: adds the asset ``events_by_day`` (``events_by_month``),
            which shows what has been read, and reads days again that are selected in the UI. They begin with the start date of ``klaviyo`` if that is
            known when code is loaded. By default there is none.
        setting_names: What messages call the settings; by default the fields of the two resources, with the variable of each ``EnvVar``.

    Raises:
        AmbiguousName: If the schema has the name of the database file, and that is known when code is loaded.
        InvalidDefinition: A ``ValueError``: if a value that is known when code is loaded cannot be used.

    Example:
        >>> defs = dg.Definitions.merge(
        ...     mine, build_klaviyo_definitions(KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_API_KEY")), duckdb="data/warehouse.duckdb")
        ... )
    """
    check_name(name)
    check_account(klaviyo)
    duckdb_key = f"{name}_duckdb"
    database = as_resource(duckdb)
    known_klaviyo, known_database = kept_out_of_launchpad(klaviyo.with_catalog(catalog)), kept_out_of_launchpad(database)
    translator = account_translator(translator, name, database)
    if isinstance(database, DuckDBResource) and not isinstance(database.database, dg.EnvVar):
        check_schema_name(translator.schema, database.database)
    setting_names = setting_names or names_in_code(name, duckdb_key, klaviyo, database)
    by_period = event_partitions(partitions, _start_date(klaviyo))
    assets = build_klaviyo_assets(
        resource_types=resource_types,
        catalog=catalog,
        name=name,
        resource_key=name,
        duckdb_key=duckdb_key,
        translator=translator,
        pool=pool,
        retry_policy=retry_policy,
        execute=execute,
        setting_names=setting_names,
        partitions=by_period,
    )
    mart_assets = build_klaviyo_marts(
        assets,
        marts,
        catalog=catalog,
        name=name,
        resource_key=name,
        duckdb_key=duckdb_key,
        translator=translator,
        pool=pool,
        retry_policy=retry_policy,
        setting_names=setting_names,
        partitions=by_period,
    )
    # Added here, so that the specs of a user's own translator get them too.
    assets, mart_assets = (
        list(dg.map_asset_specs(lambda spec: _with_owners_and_tags(spec, owners, tags or {}), group)) for group in (assets, mart_assets)
    )
    assets = list(dg.map_asset_specs(lambda spec: _with_code_version(spec, catalog, klaviyo), assets))
    automation = [build_klaviyo_automation(assets, name, marts=mart_assets, catalog=catalog, executor=executor, schedules=schedules)]
    assets = [*assets, *mart_assets]
    if publish is not None:
        target = publish_target(publish, database)
        published = build_klaviyo_published(
            assets,
            target.file,
            parquet=target.parquet,
            catalog=catalog,
            name=name,
            resource_key=name,
            duckdb_key=duckdb_key,
            translator=translator,
            pool=pool,
            retry_policy=retry_policy,
            setting_names=setting_names,
        )
        automation.append(build_publish_job(published, name, executor=executor, schedules=schedules))
        assets = [*assets, published.map_asset_specs(lambda spec: _with_owners_and_tags(spec, owners, tags or {}))]
    return dg.Definitions(
        assets=assets,
        jobs=[job for one in automation for job in one.jobs],
        schedules=[schedule for one in automation for schedule in one.schedules],
        resources={
            name: known_klaviyo,
            duckdb_key: known_database,
            str(translator.io_manager_key): kept_out_of_launchpad(
                KlaviyoFrameIOManager(
                    duckdb=database,
                    duckdb_patience=klaviyo.duckdb_patience,
                    duckdb_memory_limit=klaviyo.duckdb_memory_limit,
                    duckdb_threads=klaviyo.duckdb_threads,
                    setting_names={variable: setting_names.with_configured_names(variable) for variable in DATABASE_VARIABLES},
                )
            ),
        },
    )


def _with_code_version(spec: dg.AssetSpec, catalog: Catalog, klaviyo: KlaviyoResource) -> dg.AssetSpec:
    """Let the code version of a resource type depend on the options too, unless it comes from the user's translator."""
    entry = catalog[spec.metadata.get(RESOURCE_TYPE) or spec.metadata[PARTITIONS_OF]]
    if spec.code_version != code_version(entry):
        return spec
    return spec.replace_attributes(code_version=with_options(spec.code_version, entry, klaviyo))


def _start_date(klaviyo: KlaviyoResource) -> datetime | None:
    """Return the start date, if it is known when code is loaded: a variable need not be set there."""
    start_date = klaviyo.start_date
    return parse_start_date(start_date, "start_date") if start_date and not isinstance(start_date, dg.EnvVar) else None


def account_translator(translator: KlaviyoTranslator | None, name: str, database: dg.ConfigurableResource[Any]) -> KlaviyoTranslator:
    """Return a translator in which the fields that the user has not given follow an account's name and database.

    Args:
        translator: The user's, if any.
        name: The account's name.
        database: The DuckDB resource, or that of another warehouse.

    Raises:
        InvalidDefinition: If the translator is none.
    """
    translator = KlaviyoTranslator() if translator is None else checked_translator(translator)
    kind = "duckdb" if isinstance(database, DuckDBResource) else None
    return translator.following(name, f"{name}_frames", database_name_of(database), storage_kind=kind)


def _with_owners_and_tags(spec: dg.AssetSpec, owners: Sequence[str], tags: Mapping[str, str]) -> dg.AssetSpec:
    """Add owners and tags to a spec; its own value of a tag takes precedence."""
    added = [one for one in owners if one not in spec.owners]
    return spec.replace_attributes(owners=[*spec.owners, *added], tags={**tags, **spec.tags})


def build_klaviyo_checks(
    *,
    resource_types: Sequence[str] | None = None,
    resource_key: str = "klaviyo",
    duckdb_key: str = "duckdb",
    translator: KlaviyoTranslator | None = None,
) -> list[dg.AssetChecksDefinition]:
    """Return no checks: every check belongs to its asset. Kept so that code for earlier versions loads.

    Args:
        resource_types: Names of types and groups; no effect.
        resource_key: No effect.
        duckdb_key: No effect.
        translator: No effect.

    Example:
        >>> build_klaviyo_checks(resource_types=["events"])
        []
    """
    return []
