"""Everything for one account as one ``dagster.Definitions``."""

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg
from dagster_duckdb import DuckDBResource

from klaviyo_assets.assets import build_klaviyo_assets
from klaviyo_assets.audit.check import build_klaviyo_checks
from klaviyo_assets.io_manager import KlaviyoFrameIOManager
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets.schedules import build_klaviyo_automation
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
) -> dg.Definitions:
    """Build assets, checks, jobs, schedules and resources for one account.

    Args:
        klaviyo: Access to the account.
        duckdb: The database, or the path of its file.
        resource_types: Names from the catalogue; all by default.
        name: Names the account: prefix of asset keys, ops, jobs, resource keys, and the schema and group. Give each account its own.
        owners: E-mail addresses or ``team:name``, of all assets.
        tags: Tags of all assets.
        translator: In place of the one that follows from ``name``, ``owners`` and ``tags``.
        pool: Dagster concurrency pool.
        retry_policy: For transient faults that outlast the client's own retries.
        executor: The executor of this code location; leave it out when the definitions are merged into others.

    Example:
        >>> defs = dg.Definitions.merge(
        ...     mine, build_klaviyo_definitions(KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_API_KEY")), duckdb="data/klaviyo.duckdb")
        ... )
    """
    resource_types = None if resource_types is None else list(resource_types)
    frames_key, duckdb_key = f"{name}_frames", f"{name}_duckdb"
    translator = translator or KlaviyoTranslator(
        key_prefix=[name], group_name=name, schema=name, owners=owners, tags=tags or {}, io_manager_key=frames_key
    )
    if isinstance(duckdb, str):
        duckdb = DuckDBResource(database=duckdb, connection_config=dict(CONNECTION_CONFIG))
    assets = build_klaviyo_assets(
        resource_types=resource_types,
        name=name,
        resource_key=name,
        duckdb_key=duckdb_key,
        translator=translator,
        pool=pool,
        retry_policy=retry_policy,
    )
    asset_checks = build_klaviyo_checks(resource_types=resource_types, resource_key=name, duckdb_key=duckdb_key, translator=translator)
    automation = build_klaviyo_automation(assets, name, asset_checks)
    return dg.Definitions(
        assets=assets,
        asset_checks=asset_checks,
        jobs=automation.jobs,
        schedules=automation.schedules,
        resources={name: klaviyo, duckdb_key: duckdb, translator.io_manager_key: KlaviyoFrameIOManager(duckdb=duckdb)},
        executor=executor,
    )
