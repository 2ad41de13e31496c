"""The keys that assets of other ops have in a run: code may change keys after the assets were built."""

import dagster as dg


def current_key(context: dg.AssetExecutionContext, op_name: str, output: str | None = None) -> dg.AssetKey | None:
    """Return the key of an op's asset in the code location that runs; None if the op is not part of it.

    Code may give an asset another key after it was built (``load_assets_from_modules(key_prefix=…)``, ``with_attributes``). The names of ops and of
    their outputs stay.

    Args:
        context: Dagster's.
        op_name: Name of the op.
        output: The asset's output of the op; None if it has one asset only.
    """
    graph = context.job_def.asset_layer.asset_graph
    while graph.source_asset_graph is not graph:  # a job's own graph has only the assets that it selects
        graph = graph.source_asset_graph
    for definition in graph.assets_defs:
        if definition.is_executable and definition.node_def.name == op_name:
            keys = definition.node_keys_by_output_name
            return next(iter(keys.values())) if output is None else keys[output]
    return None
