"""An asset downstream of a table."""

import dagster as dg
import polars as pl


@dg.asset(
    ins={"profiles": dg.AssetIn(["klaviyo", "profiles"], metadata={"columns": ["id", "created"], "where": "_deleted_at IS NULL"})},
    automation_condition=dg.AutomationCondition.eager(),
)
def signups_by_month(profiles: pl.DataFrame) -> dg.MaterializeResult:
    """How many profiles were created in each month."""
    months = profiles.group_by(pl.col("created").dt.strftime("%Y-%m").alias("month")).len("profiles").sort("month")
    rows = "\n".join(f"| {month} | {count} |" for month, count in months.iter_rows())
    table = dg.MetadataValue.md(f"| month | profiles |\n| --- | --- |\n{rows}")
    return dg.MaterializeResult(metadata={"profiles": len(profiles), "by month": table})
