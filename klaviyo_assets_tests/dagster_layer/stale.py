"""What Dagster's UI says about an asset, or a partition, that is out of date."""

import dagster as dg
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest


def stale_causes(defs: dg.Definitions, instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str | None = None) -> tuple[str, ...]:
    """Return why Dagster calls a materialized asset, or a partition of it, out of date; nothing if it is up to date.

    Args:
        defs: The code location.
        instance: The instance with the events.
        asset: Key of the asset.
        partition: Key of the partition.
    """
    resolver = CachingStaleStatusResolver(instance, defs.resolve_asset_graph(), LoadingContextForTest(instance))
    assert resolver.get_status(asset, partition).value != "MISSING"
    return tuple(cause.reason for cause in resolver.get_stale_causes(asset, partition))
