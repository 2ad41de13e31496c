"""Reads the names of the stored metrics."""

from klaviyo_assets.catalog.types.metrics import METRICS
from klaviyo_assets.warehouse.ddl import table_exists
from klaviyo_assets.warehouse.interface import Warehouse


def stored_metric_names(warehouse: Warehouse, schema: str) -> dict[str, str]:
    """Return the names of all metrics in the table ``metrics`` by id, also of those that were deleted in Klaviyo; none if there is no table."""
    with warehouse.connection() as connection:
        if not table_exists(connection, schema, METRICS.name):
            return {}
        return dict(connection.execute(f"SELECT id, coalesce(name, id) FROM {warehouse.qualified(schema, METRICS.name)}").fetchall())
