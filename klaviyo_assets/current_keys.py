"""The keys that assets of other ops have in a run: code may change keys after the assets were built."""

from typing import Any

import dagster as dg


def asset_graph(context: dg.AssetExecutionContext) -> Any:
    """Return Dagster's graph of all assets of the code location that runs: a job's own graph has only the assets that it selects.

    Args:
        context: Dagster's.
    """
    graph = context.job_def.asset_layer.asset_graph
    while graph.source_asset_graph is not graph:
        graph = graph.source_asset_graph
    return graph


def current_key(context: dg.AssetExecutionContext, op_name: str, output: str | None = None) -> dg.AssetKey | None:
    """Return the key of an op's asset in the code location that runs; None if the op is not part of it.

    Code may give an asset another key after it was built (``load_assets_from_modules(key_prefix=…)``, ``with_attributes``). The names of ops and of
    their outputs stay.

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
