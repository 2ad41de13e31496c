"""One asset per resource type: a thin shell over the sync, with its checks inside.

Each is a ``multi_asset`` with a single spec, since only in that shape is a check reported also when the asset then fails, and can a check be run
alone.
"""

from collections.abc import Iterable
from typing import Any

import dagster as dg
from pydantic import Field

from klaviyo_assets import checks
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.options import SyncMode
from klaviyo_assets.setting_names import SettingNames
from klaviyo_assets.translator import KlaviyoTranslator
from klaviyo_assets.validation import check_keys, check_name, checked_types

RESOURCE_TYPE_TAG = "klaviyo_assets/resource_type"
"""Tag of an op that says which resource type it syncs, whatever key a translator gives its asset."""


class KlaviyoSyncConfig(dg.Config):
    """Run config of an asset: how much to read.

    Example:
        >>> KlaviyoSyncConfig(mode=SyncMode.range, start="2026-01-01", end="2026-02-01")
    """

    mode: SyncMode = Field(
        default=SyncMode.incremental,
        description="incremental: what is not read yet. full: everything, into a new table that is then swapped in. range: a span of time again. "
        "repair (events): the days that the last audit found to differ, and what is not read yet.",
    )
    field: str | None = Field(default=None, description="For range: datetime (events) or created (profiles, reviews); may be left out.")
    start: str | None = Field(default=None, description="For range: first instant, such as 2026-01-01 or 2026-01-01T12:00:00Z.")
    end: str | None = Field(default=None, description="For range: first instant that is no longer read.")


def build_klaviyo_assets(
    *,
    resource_types: Iterable[str] | None = None,
    name: str = "klaviyo",
    resource_key: str = "klaviyo",
    duckdb_key: str = "duckdb",
    translator: KlaviyoTranslator | None = None,
    pool: str | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    setting_names: SettingNames | None = None,
) -> list[dg.AssetsDefinition]:
    """Build one asset per resource type, with its checks.

    Args:
        resource_types: Names from the catalogue; all by default.
        name: Prefix of the op names; give each account its own.
        resource_key: Key of the :class:`~klaviyo_assets.KlaviyoResource`.
        duckdb_key: Key of the ``dagster_duckdb.DuckDBResource``.
        translator: Makes the asset specs; also holds the key prefix, the group and the schema.
        pool: Dagster concurrency pool of the ops.
        retry_policy: For what may be over by the next try: transient faults that outlast the client's own retries, a database that another program
            has open, another sync of the same resource type. Nothing else is retried, and nothing where Klaviyo
            asks to wait 15 minutes or longer.
        setting_names: What messages call the settings; the fields of the two resources by default.

    Raises:
        InvalidDefinition: A ``ValueError``: if a resource type is not in the catalogue, or a name or key cannot be used.

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
    names = checked_types(resource_types)
    check_name(name)
    translator = translator or KlaviyoTranslator()
    check_keys((one, translator.get_asset_spec(CATALOG[one])) for one in names)
    return [
        _build_asset(
            CATALOG[one],
            op_name=f"{name}_{one}",
            resource_key=resource_key,
            duckdb_key=duckdb_key,
            translator=translator,
            pool=pool,
            retry_policy=retry_policy,
            setting_names=setting_names or SettingNames(resource_key, duckdb_key),
        )
        for one in names
    ]


def _build_asset(
    entry: ResourceType,
    *,
    op_name: str,
    resource_key: str,
    duckdb_key: str,
    translator: KlaviyoTranslator,
    pool: str | None,
    retry_policy: dg.RetryPolicy | None,
    setting_names: SettingNames,
) -> dg.AssetsDefinition:
    spec = translator.get_asset_spec(entry)

    @dg.multi_asset(
        name=op_name,
        specs=[spec],
        check_specs=checks.check_specs(entry, spec.key),
        can_subset=True,
        pool=pool,
        retry_policy=retry_policy,
        op_tags={RESOURCE_TYPE_TAG: entry.name},
        required_resource_keys={resource_key, duckdb_key},
    )
    def sync_asset(context: dg.AssetExecutionContext, config: KlaviyoSyncConfig) -> Any:
        # What a sync takes is loaded when one runs: a code location is loaded far more often, and should be light.
        from klaviyo_assets.sync_op import Execution

        execution = Execution(
            context=context,
            config=config,
            entry=entry,
            asset=spec.key,
            schema=translator.schema,
            klaviyo=getattr(context.resources, resource_key),
            duckdb=getattr(context.resources, duckdb_key),
            setting_names=setting_names,
        )
        yield from execution.run()

    return sync_asset
