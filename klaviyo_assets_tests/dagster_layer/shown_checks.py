"""What Dagster's UI shows of the checks of an asset."""

import asyncio

import dagster as dg
from dagster._core.loader import LoadingContextForTest


def shown_checks(defs: dg.Definitions, instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[str, str]:
    """Return the status of each check of an asset by name, such as ``FAILED``.

    It is ``not evaluated`` if the last result is not that of the latest materialization.

    Args:
        defs: The code location.
        instance: The instance with the events.
        asset: Key of the asset.
    """
    keys = sorted(defs.resolve_asset_graph().get(asset).check_keys)
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)

    async def status(key: dg.AssetCheckKey) -> str:
        record, context = records.get(key), LoadingContextForTest(instance)
        if record is None or not await record.targets_latest_materialization(context):
            return "not evaluated"
        return (await record.resolve_status(context)).value

    return {key.name: asyncio.run(status(key)) for key in keys}
