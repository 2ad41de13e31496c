"""Resolves the user's selection of metrics for one sync."""

from collections.abc import Iterable, Sequence

from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.extract.metric_names import metric_names
from klaviyo_assets.extract.metric_selection import MetricRules, MetricSelection, left_out
from klaviyo_assets.load.access.stored_metrics import stored_metric_names
from klaviyo_assets.state.coverage import CoverageRow
from klaviyo_assets.sync.context import SyncContext
from klaviyo_assets.warehouse.sql import literal, quoted


async def select_metrics(sync: SyncContext, covered: Sequence[CoverageRow]) -> None:
    """Set which metrics a sync reads, and which rows it may therefore mark as deleted. Requests the metrics only if the user selects some, or did.

    Args:
        sync: The sync.
        covered: The coverage so far.

    Raises:
        KlaviyoError: If the metrics cannot be requested.
        UnknownMetric: If a setting names an unknown metric and nothing has been read yet, or none of the metrics to include exists.
        WarehouseError: If the database cannot be opened.
    """
    column = sync.entry.metric_filter
    rules = sync.options.metrics
    if column is None or not (rules or left_out(covered)):
        return
    sync.selection = await _resolve_metrics(sync, rules, covered)
    for text in sync.selection.notes:
        sync.note(text)
    sync.loader.selected = _condition(sync.selection, column)


async def _resolve_metrics(sync: SyncContext, rules: MetricRules, covered: Sequence[CoverageRow]) -> MetricSelection:
    """Return the metrics that the user selects, by Klaviyo's list and the names that are stored.

    Raises:
        KlaviyoError: If the metrics cannot be requested.
        UnknownMetric: If a setting names an unknown metric and nothing has been read yet, or none of the metrics to include exists.
        WarehouseError: If the database cannot be opened.
    """
    listed = await metric_names(sync.client, sync.catalog.metrics_type)
    return rules.resolve(listed, await in_thread(stored_metric_names, sync.loader.warehouse, sync.loader.schema), covered)


def _condition(selection: MetricSelection, column: str) -> str:
    """SQL condition for rows that are selected."""
    name = quoted(column)
    if selection.included is not None:
        return f"coalesce({name} IN ({_listed(selection.included)}), false)"
    return f"coalesce({name} NOT IN ({_listed(selection.excluded)}), true)" if selection.excluded else "true"


def _listed(ids: Iterable[str]) -> str:
    return ", ".join(literal(id_) for id_ in sorted(ids))
