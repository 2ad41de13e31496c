"""The tags that Dagster gives a materialization which an op yields, for those that an op logs itself, such as days that a sync has changed.

From these tags the UI, and code that asks for stale assets, know whether the code of an asset or its inputs have changed since.
"""

import dagster as dg

from klaviyo_assets.current_keys import asset_graph

DATA_VERSION = "dagster/data_version"
"""Tag with the data version of a materialization."""

CODE_VERSION = "dagster/code_version"
"""Tag with the code version of the asset when it was materialized."""

_FROM_USER = "dagster/data_version_is_user_provided"
_INPUT_VERSION = "dagster/input_data_version/"
_INPUT_EVENT = "dagster/input_event_pointer/"
_NO_EVENT, _NO_VERSION = "NULL", "INITIAL"


def provenance_tags(context: dg.AssetExecutionContext, asset: dg.AssetKey) -> dict[str, str]:
    """Return the tags of a materialization of an asset now, all but its data version.

    They name the latest event of each input. Dagster compares days with their input by the place of that event, so an input that is reported later
    makes them outdated.

    Args:
        context: Dagster's.
        asset: Key of the asset; without tags if the code location that runs does not have it.
    """
    graph = asset_graph(context)
    if not graph.has(asset):
        return {}
    node = graph.get(asset)
    tags = {CODE_VERSION: node.code_version or context.run.run_id, _FROM_USER: "true"}
    for key in sorted(node.parent_keys):
        record = context.instance.get_latest_data_version_record(key)
        event = None if record is None else record.asset_materialization or record.event_log_entry.asset_observation
        version = None if event is None else (event.tags or {}).get(DATA_VERSION)
        tags[f"{_INPUT_VERSION}{key.to_user_string()}"] = version or _NO_VERSION
        tags[f"{_INPUT_EVENT}{key.to_user_string()}"] = _NO_EVENT if record is None else str(record.storage_id)
    return tags
