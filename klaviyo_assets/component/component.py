"""The component: a Klaviyo account as a document of a ``defs.yaml``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import dagster as dg
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from pydantic import BaseModel

from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.component.fields import API_KEY_FIELD, DATABASE, PARTITIONS, PUBLISH, RETRY_POLICY, SCHEDULES, PublishedFiles, default, option
from klaviyo_assets.component.json_schema import with_schema
from klaviyo_assets.component.scaffolder import KlaviyoScaffolder
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.schedules import KlaviyoSchedules
from klaviyo_assets.settings.options import OPTIONS, RESOURCE_OPTIONS
from klaviyo_assets.validation import InvalidDefinition

if TYPE_CHECKING:
    from klaviyo_assets.ops.asset_sync import Result
    from klaviyo_assets.ops.sync_op import SyncStep
    from klaviyo_assets.translator import KlaviyoTranslator


@dg.scaffold_with(KlaviyoScaffolder)
@dataclass(kw_only=True)
class KlaviyoComponent(dg.Component, dg.Resolvable):
    """A Klaviyo account as assets in DuckDB: one table per resource type, synced incrementally, with checks, jobs and schedules.

    Several accounts are several documents, each with its own ``account``; they may share one database. The API key stays an ``EnvVar``: it is
    read when a run starts, and is not in definitions, in the UI or in Dagster's storage.

    A subclass can override ``get_asset_spec`` and ``execute``, and set ``catalog`` to add resource types.
    """

    catalog: ClassVar[Catalog] = CATALOG
    """The resource types that exist."""

    api_key: Annotated[dg.EnvVar, API_KEY_FIELD]
    account: Annotated[str, dg.Resolver.default(description="Prefix of asset keys, ops, jobs and resources; also the group and the schema.")] = (
        "klaviyo"
    )
    database: Annotated[str, DATABASE] = OPTIONS["duckdb_path"].default
    resource_types: Annotated[Sequence[str], option("resource_types")] = default("resource_types")
    marts: Annotated[
        bool | str | list[str],
        dg.Resolver.default(description=f"{OPTIONS['marts'].description}."),
    ] = False
    publish: Annotated[str | PublishedFiles | None, PUBLISH] = None
    partitions: Annotated[str | EventPartitions | None, PARTITIONS] = None
    schedules: Annotated[bool | KlaviyoSchedules, SCHEDULES] = True
    pool: Annotated[str | None, dg.Resolver.default(description="Dagster concurrency pool of all ops.")] = None
    retry_policy: Annotated[dg.RetryPolicy | None, RETRY_POLICY] = None
    translation: Annotated[
        TranslationFn[ResourceType] | None,
        TranslationFnResolver[ResourceType](template_vars_for_translation_fn=lambda entry: {"entry": entry}),
    ] = None

    rate_limit_share: Annotated[float, option("rate_limit_share")] = default("rate_limit_share")
    start_date: Annotated[str | None, option("start_date")] = default("start_date")
    field_rules: Annotated[dict[str, dict[str, str]], option("field_rules")] = default("field_rules")  # noqa: RUF009 (a dataclass field)
    event_metrics: Annotated[Sequence[str], option("event_metrics")] = default("event_metrics")
    exclude_event_metrics: Annotated[Sequence[str], option("exclude_event_metrics")] = default("exclude_event_metrics")
    member_groups: Annotated[Sequence[str], option("member_groups")] = default("member_groups")
    conversion_metric_ids: Annotated[str | None, option("conversion_metric_ids")] = default("conversion_metric_ids")
    account_id: Annotated[str | None, option("account_id")] = default("account_id")
    accept_other_account: Annotated[bool, option("accept_other_account")] = default("accept_other_account")
    accept_changed_options: Annotated[bool, option("accept_changed_options")] = default("accept_changed_options")
    duckdb_patience: Annotated[float, option("duckdb_patience")] = default("duckdb_patience")
    duckdb_memory_limit: Annotated[str | None, option("duckdb_memory_limit")] = default("duckdb_memory_limit")
    duckdb_threads: Annotated[int | None, option("duckdb_threads")] = default("duckdb_threads")
    concurrency: Annotated[int, option("concurrency")] = default("concurrency")
    timeout: Annotated[float, option("timeout")] = default("timeout")
    max_retries: Annotated[int, option("max_retries")] = default("max_retries")
    max_response_bytes: Annotated[int, option("max_response_bytes")] = default("max_response_bytes")
    revision: Annotated[str, option("revision")] = default("revision")
    base_url: Annotated[str, option("base_url")] = default("base_url")
    allow_http: Annotated[bool, option("allow_http")] = default("allow_http")

    def __post_init__(self) -> None:
        if not isinstance(self.api_key, dg.EnvVar):
            raise InvalidDefinition('api_key= takes dg.EnvVar("NAME"), not the text of a key: Dagster would store and show it.')

    @classmethod
    def model(cls) -> type[BaseModel]:
        """Return the Pydantic model of the attributes, with a JSON schema that names what is allowed."""
        return with_schema(super().model(), cls.catalog)

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """Return what ``dg list components`` shows."""
        return dg.ComponentTypeSpec(tags=["klaviyo", "duckdb"])

    def get_asset_spec(self, entry: ResourceType) -> dg.AssetSpec:
        """Return the spec of a resource type's asset; override it to change keys, groups, descriptions or anything else.

        Args:
            entry: The resource type.

        Example:
            >>> class ByTeam(KlaviyoComponent):
            ...     def get_asset_spec(self, entry):
            ...         return super().get_asset_spec(entry).replace_attributes(owners=["team:crm"])
        """
        spec = self._translator.get_asset_spec(entry)
        return spec if self.translation is None else self.translation(spec, entry)

    def execute(self, context: dg.AssetExecutionContext, sync: "SyncStep") -> "Iterator[Result]":
        """Sync the selected assets of one op, and check them. Override it to do something before or after, or with the results.

        The op of partitions calls it once for each run of adjacent days. Marts and the published copy do not call it.

        Args:
            context: Dagster's execution context.
            sync: The sync. ``run()`` yields its results: materializations and check results. ``klaviyo`` is the ``KlaviyoResource``.

        Raises:
            dagster.Failure: After all results, if a resource type failed.

        Example:
            >>> class Announced(KlaviyoComponent):
            ...     def execute(self, context, sync):
            ...         context.log.info("The sync starts.")
            ...         yield from super().execute(context, sync)
        """
        yield from sync.run()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the assets, checks, jobs, schedules and resources of the account.

        Raises:
            InvalidDefinition: A ``ValueError``: if a value that is known when code is loaded cannot be used.
        """
        from klaviyo_assets.build import build_klaviyo_definitions
        from klaviyo_assets.component.component_translator import ComponentTranslator
        from klaviyo_assets.publish.target import PublishTarget
        from klaviyo_assets.resources import KlaviyoResource

        publish = PublishTarget.at(self.publish.file, self.publish.parquet) if isinstance(self.publish, PublishedFiles) else self.publish
        return build_klaviyo_definitions(
            KlaviyoResource(**self._options()),
            duckdb=self.database,
            resource_types=self.resource_types,
            marts=self.marts,
            catalog=self.catalog,
            name=self.account,
            translator=ComponentTranslator(specs=self.get_asset_spec),
            pool=self.pool,
            retry_policy=self.retry_policy,
            publish=publish,
            schedules=self.schedules,
            partitions=self.partitions,
            execute=self.execute,
        )

    def _options(self) -> dict[str, Any]:
        """Return the options of the resource, with the key as an ``EnvVar``."""
        values = {one.name: getattr(self, one.name) for one in RESOURCE_OPTIONS}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @cached_property
    def _translator(self) -> "KlaviyoTranslator":
        """The translator with the fields of the account."""
        from klaviyo_assets.build import account_translator
        from klaviyo_assets.database_argument import as_resource

        return account_translator(None, self.account, as_resource(self.database))
