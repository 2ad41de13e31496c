"""Where SQL runs: lock, connect, close, and the names of things in the database."""

from klaviyo_assets.warehouse.base import Warehouse, WarehouseError
from klaviyo_assets.warehouse.local_file import LocalFile

__all__ = ["LocalFile", "Warehouse", "WarehouseError"]
