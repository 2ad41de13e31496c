"""The database: the interface of a warehouse (``base``), a DuckDB file as one (``local_file``), pieces of SQL (``sql``, ``ddl``).

``factory.warehouse_from`` returns the warehouse that a user names.
"""

from klaviyo_assets.warehouse.base import Warehouse, WarehouseError
from klaviyo_assets.warehouse.local_file import LocalFile

__all__ = ["LocalFile", "Warehouse", "WarehouseError"]
