"""The keys that assets have in a run.

Code may give an asset another key after it was built (``load_assets_from_modules(key_prefix=…)``, ``with_attributes``). The names of ops and of
their outputs stay.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import dagster as dg

T = TypeVar("T")


def asset_graph(context: dg.AssetExecutionContext) -> Any:
    """Return Dagster's graph of all assets of the code location that runs: a job's own graph has only the assets that it selects.

    Args:
        context: Dagster's.
    """
    # No public API returns it: `context.repository_def` fails in `dg.materialize`, which has no repository, and does not describe assets either.
    graph = context.job_def.asset_layer.asset_graph
    while graph.source_asset_graph is not graph:
        graph = graph.source_asset_graph
    return graph


def current_key(context: dg.AssetExecutionContext, op_name: str, output: str | None = None) -> dg.AssetKey | None:
    """Return the key of an op's asset in the code location that runs; None if the op is not part of it.

    Args:
        context: Dagster's.
        op_name: Name of the op.
        output: The asset's output of the op; None if it has one asset only.
    """
    for definition in asset_graph(context).assets_defs:
        if definition.is_executable and definition.node_def.name == op_name:
            keys = definition.node_keys_by_output_name
            found: dg.AssetKey = next(iter(keys.values())) if output is None else keys[output]
            return found
    return None


def by_current_key(current: dg.AssetsDefinition, built: dg.AssetsDefinition, facts: Mapping[dg.AssetKey, T]) -> dict[dg.AssetKey, T]:
    """Return facts about the assets of an op by the keys that these have now, in the same order.

    Args:
        current: The assets of the op in the job that runs.
        built: The assets of the op as they were built.
        facts: The facts by the keys with which the assets were built.
    """
    outputs = {key: output for output, key in built.node_keys_by_output_name.items()}
    return {current.node_keys_by_output_name[outputs[key]]: fact for key, fact in facts.items()}
