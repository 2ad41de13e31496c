"""Everything for one account as one ``dagster.Definitions``."""

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg
from dagster_duckdb import DuckDBResource

from klaviyo_assets.assets import build_klaviyo_assets
from klaviyo_assets.database_name import check_schema_name
from klaviyo_assets.io_manager import KlaviyoFrameIOManager
from klaviyo_assets.launchpad import kept_out_of_launchpad
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets.schedules import build_klaviyo_automation
from klaviyo_assets.setting_names import SettingNames, names_of
from klaviyo_assets.translator import KlaviyoTranslator
from klaviyo_assets.warehouse.local_file import CONNECTION_CONFIG


def build_klaviyo_definitions(
    klaviyo: KlaviyoResource,
    *,
    duckdb: DuckDBResource | str,
    resource_types: Iterable[str] | None = None,
    name: str = "klaviyo",
    owners: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    translator: KlaviyoTranslator | None = None,
    pool: str | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    executor: dg.ExecutorDefinition | None = None,
    setting_names: SettingNames | None = None,
) -> dg.Definitions:
    """Build assets, checks, jobs, schedules and resources for one account.

    Args:
        klaviyo: Access to the account.
        duckdb: The database, or the path of its file.
        resource_types: Names from the catalogue; all by default.
        name: Names the account: prefix of asset keys, ops, jobs, resource keys, and the schema and group. Give each account its own, and not the name
            of the database's file.
        owners: E-mail addresses or ``team:name``, of all assets.
        tags: Tags of all assets.
        translator: In place of the one that follows from ``name``, ``owners`` and ``tags``.
        pool: Dagster concurrency pool.
        retry_policy: For what may be over by the next try; see :func:`~klaviyo_assets.build_klaviyo_assets`.
        executor: The executor of this code location; leave it out when the definitions are merged into others.
        setting_names: What messages call the settings; by default the fields of the two resources, with the variable of each ``EnvVar``.

    Raises:
        AmbiguousName: If the schema has the name of the database's file, where that is known here.

    Example:
        >>> defs = dg.Definitions.merge(
        ...     mine, build_klaviyo_definitions(KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_API_KEY")), duckdb="data/warehouse.duckdb")
        ... )
    """
    resource_types = None if resource_types is None else list(resource_types)
    frames_key, duckdb_key = f"{name}_frames", f"{name}_duckdb"
    translator = translator or KlaviyoTranslator(
        key_prefix=[name], group_name=name, schema=name, owners=owners, tags=tags or {}, io_manager_key=frames_key
    )
    if isinstance(duckdb, str):
        duckdb = DuckDBResource(database=duckdb, connection_config=dict(CONNECTION_CONFIG))
    if not isinstance(duckdb.database, dg.EnvVar):
        check_schema_name(translator.schema, duckdb.database)
    assets = build_klaviyo_assets(
        resource_types=resource_types,
        name=name,
        resource_key=name,
        duckdb_key=duckdb_key,
        translator=translator,
        pool=pool,
        retry_policy=retry_policy,
        setting_names=setting_names or names_of(name, duckdb_key, klaviyo, duckdb),
    )
    automation = build_klaviyo_automation(assets, name)
    return dg.Definitions(
        assets=assets,
        jobs=automation.jobs,
        schedules=automation.schedules,
        resources={
            name: kept_out_of_launchpad(klaviyo),
            duckdb_key: kept_out_of_launchpad(duckdb),
            translator.io_manager_key: KlaviyoFrameIOManager(duckdb=duckdb),
        },
        executor=executor,
    )
