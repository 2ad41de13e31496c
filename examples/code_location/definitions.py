"""A code location in plain Python: an account, and an asset that reads one of its tables."""

import os

import dagster as dg
import polars as pl

from klaviyo_assets import KlaviyoResource, KlaviyoSchedules, build_klaviyo_definitions


@dg.asset(
    ins={"events": dg.AssetIn(["klaviyo", "events"])},
    deps=[["klaviyo", "metrics"]],
    automation_condition=dg.AutomationCondition.eager(),
)
def events_by_metric(events: pl.LazyFrame) -> dg.MaterializeResult:
    """How many events each metric has."""
    counts = events.filter(pl.col("_deleted_at").is_null()).group_by("metric_id").len("events").sort("events", "metric_id", descending=True).collect()
    return dg.MaterializeResult(metadata={"events": int(counts["events"].sum()), "metrics": len(counts)})


# Klaviyo's API, or the sandbox.
address = {"base_url": os.environ["KLAVIYO_BASE_URL"]} if "KLAVIYO_BASE_URL" in os.environ else {}

defs = dg.Definitions.merge(
    dg.Definitions(assets=[events_by_metric]),
    build_klaviyo_definitions(
        KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_API_KEY"), rate_limit_share=0.5, **address),
        duckdb="data/warehouse.duckdb",
        marts=True,
        schedules=KlaviyoSchedules(timezone="Europe/Berlin"),
        owners=["team:data"],
    ),
)
