"""The keys that assets have in a run.

Code may give an asset another key after it was built (``load_assets_from_modules(key_prefix=…)``, ``with_attributes``). The names of ops and of
their outputs stay.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import dagster as dg

T = TypeVar("T")


def asset_graph(context: dg.AssetExecutionContext) -> Any:
    """Return Dagster's graph of all assets of the code location that runs: a job's own graph has only the assets that it selects.

    Args:
        context: Dagster's execution context.
    """
    # No public API returns it: `context.repository_def` fails in `dg.materialize`, which has no repository, and does not describe assets either.
    graph = context.job_def.asset_layer.asset_graph
    while graph.source_asset_graph is not graph:
        graph = graph.source_asset_graph
    return graph


def current_key(context: dg.AssetExecutionContext, op_name: str, output: str | None = None) -> dg.AssetKey | None:
    """Return the key of an op's asset in the code location that runs; None if the op is not part of it.

    Args:
        context: Dagster's execution context.
        op_name: Name of the op.
        output: The asset's output of the op; None if it has one asset only.
    """
    if (definition := _definition(context, op_name)) is None:
        return None
    keys = definition.node_keys_by_output_name
    return next(iter(keys.values())) if output is None else keys[output]


def current_checks(context: dg.AssetExecutionContext, op_name: str) -> frozenset[dg.AssetCheckKey]:
    """Return the checks of an op in the code location that runs; none if the op is not part of it.

    Args:
        context: Dagster's execution context.
        op_name: Name of the op.
    """
    definition = _definition(context, op_name)
    return frozenset() if definition is None else frozenset(definition.check_keys)


def _definition(context: dg.AssetExecutionContext, op_name: str) -> dg.AssetsDefinition | None:
    definitions: Iterable[dg.AssetsDefinition] = asset_graph(context).assets_defs
    return next((one for one in definitions if one.is_executable and one.node_def.name == op_name), None)


def by_current_key(current: dg.AssetsDefinition, built: dg.AssetsDefinition, facts: Mapping[dg.AssetKey, T]) -> dict[dg.AssetKey, T]:
    """Return facts about the assets of an op by the keys that these have now, in the same order.

    Args:
        current: The assets of the op in the job that runs.
        built: The assets of the op as they were built.
        facts: The facts by the keys with which the assets were built.
    """
    outputs = {key: output for output, key in built.node_keys_by_output_name.items()}
    return {current.node_keys_by_output_name[outputs[key]]: fact for key, fact in facts.items()}
