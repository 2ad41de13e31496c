"""The tags that Dagster gives a materialization which an op yields, for those that an op logs itself, such as days that a sync has changed.

From these tags the UI, and code that asks for stale assets, know whether the code of an asset or its inputs have changed since.
"""

from collections.abc import Iterable

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


class InputVersions:
    """The latest events of the inputs of assets when a step begins, before it reads them.

    These are the inputs that Dagster records for what a step yields, too. An event of another run that comes while the step reads does not count as
    read, although the step may have read its rows: such an asset is called outdated until its next materialization, and never up to date by mistake.

    Args:
        context: Dagster's execution context.
        assets: Keys of assets that the step may materialize; without inputs if the code location that runs does not have them.
    """

    def __init__(self, context: dg.AssetExecutionContext, assets: Iterable[dg.AssetKey] = ()) -> None:
        self._context = context
        self._graph = asset_graph(context)
        self._first = {key: self._latest(key) for key in sorted({key for asset in assets for key in self._inputs(asset)})}

    def tags(self, asset: dg.AssetKey) -> dict[str, str]:
        """Return the tags of a materialization of an asset, all but its data version.

        Args:
            asset: Key of the asset; one of those that the object was made for, if it has inputs.
        """
        if not self._graph.has(asset):
            return {}
        tags = {CODE_VERSION: self._graph.get(asset).code_version or self._context.run.run_id, _FROM_USER: "true"}
        for key in sorted(self._inputs(asset)):
            record = self._as_read(key)
            event = None if record is None else record.asset_materialization or record.event_log_entry.asset_observation
            version = None if event is None else (event.tags or {}).get(DATA_VERSION)
            tags[f"{_INPUT_VERSION}{key.to_user_string()}"] = version or _NO_VERSION
            tags[f"{_INPUT_EVENT}{key.to_user_string()}"] = _NO_EVENT if record is None else str(record.storage_id)
        return tags

    def _inputs(self, asset: dg.AssetKey) -> set[dg.AssetKey]:
        return set(self._graph.get(asset).parent_keys) if self._graph.has(asset) else set()

    def _as_read(self, key: dg.AssetKey) -> dg.EventLogRecord | None:
        """Return the event that an input had at the beginning, or a later one if the step has materialized the input itself."""
        latest = self._latest(key)
        own = latest is not None and (latest.run_id, latest.event_log_entry.step_key) == (self._context.run.run_id, self._step_key)
        return latest if own else self._first[key]

    def _latest(self, key: dg.AssetKey) -> dg.EventLogRecord | None:
        record: dg.EventLogRecord | None = self._context.instance.get_latest_data_version_record(key)
        return record

    @property
    def _step_key(self) -> str:
        key: str = self._context.get_step_execution_context().step.key
        return key
