"""The code location that ``dagster dev`` loads. Options come from the environment (:mod:`klaviyo_assets.settings.options`)."""

import dagster as dg

from klaviyo_assets.build import build_klaviyo_definitions
from klaviyo_assets.jobs import sync_executor
from klaviyo_assets.partitions import EventPartitions
from klaviyo_assets.publish.target import PublishTarget
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets.setting_names import VARIABLES
from klaviyo_assets.settings.options import API_KEY, API_KEY_OPTION, RESOURCE_OPTIONS, from_environment, selected_marts
from klaviyo_assets.warehouse.default_name import DEFAULT_SCHEMA


def _definitions() -> dg.Definitions:
    settings = from_environment()
    account = build_klaviyo_definitions(
        KlaviyoResource(
            api_key=dg.EnvVar(API_KEY),
            **{option.name: getattr(settings, option.name) for option in RESOURCE_OPTIONS if option.name != API_KEY_OPTION.name},
        ),
        duckdb=settings.duckdb_path,
        resource_types=settings.resource_types or None,
        marts=selected_marts(settings.marts),
        name=DEFAULT_SCHEMA,
        publish=PublishTarget.at(settings.publish_path, settings.publish_parquet) if settings.publish_path else None,
        partitions=EventPartitions(settings.partitions, settings.partitions_timezone) if settings.partitions else None,
        setting_names=VARIABLES,
    )
    # For runs without a job, such as those of the button "Materialize all".
    executor = sync_executor(len(list(account.assets or ())))
    return dg.Definitions.merge(account, dg.Definitions(executor=executor))


defs = _definitions()
