"""Where SQL runs: what a warehouse can do (``base``), a DuckDB file as one kind of it (``local_file``), pieces of SQL (``sql``, ``ddl``).

``factory.warehouse_from`` returns the warehouse that a user names.
"""

from klaviyo_assets.warehouse.base import Warehouse, WarehouseError
from klaviyo_assets.warehouse.local_file import LocalFile

__all__ = ["LocalFile", "Warehouse", "WarehouseError"]
