"""Calls the user's code around a sync, and lets the op fail if that code hides what the sync has done."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import dagster as dg

from klaviyo_assets.errors import NotSynced
from klaviyo_assets.ops.asset_sync import Result
from klaviyo_assets.ops.sync_op import SyncStep
from klaviyo_assets.reporting.failures import failure


def executed(
    execute: Callable[[dg.AssetExecutionContext, SyncStep], Iterable[Result]], context: dg.AssetExecutionContext, sync: SyncStep
) -> Iterator[Any]:
    """Yield the results of the user's code around a sync.

    Args:
        execute: The code.
        context: Dagster's execution context.
        sync: The sync.

    Raises:
        dagster.Failure: If the code returns no results, has not run the sync of selected assets to its end, or leaves out a materialization.
    """
    passed_on: set[dg.AssetKey | None] = set()
    for result in results_of(execute, context, sync):
        if isinstance(result, dg.MaterializeResult):
            passed_on.add(result.asset_key)
        yield result
    if not sync.progress.ended and context.selected_asset_keys:
        names = _names(context.selected_asset_keys)
        raise _failure(f"execute has ended, but it has not run the sync of {names} to its end.", sync)
    left_out = set() if None in passed_on else sync.progress.materialized - passed_on
    if left_out:
        raise _failure(f"The sync has changed the tables of {_names(left_out)}, but execute has not yielded their materializations.", sync)


def results_of(
    execute: Callable[[dg.AssetExecutionContext, SyncStep], Iterable[Result]], context: dg.AssetExecutionContext, sync: SyncStep
) -> Iterable[Any]:
    """Call the user's code around a sync.

    Raises:
        dagster.Failure: If it does not return results.
    """
    results: object = execute(context, sync)
    if isinstance(results, Iterable) and not isinstance(results, str):
        return results
    raise _failure(f"execute has returned {type(results).__name__}, not the results of the sync.", sync)


def _failure(summary: str, sync: SyncStep) -> dg.Failure:
    return failure(NotSynced(summary), sync.setting_names.with_configured_names)


def _names(assets: Iterable[dg.AssetKey]) -> str:
    return ", ".join(sorted(asset.to_user_string() for asset in assets))
