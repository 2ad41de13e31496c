"""The database: the interface of a warehouse (``base``), a DuckDB file as one (``local_file``), pieces of SQL (``sql``, ``ddl``).

``factory.warehouse_from`` returns the warehouse that a user names. The names in ``__all__`` are public: with them, code from outside this package
implements warehouses of its own.
"""

from klaviyo_assets.warehouse.base import Capabilities, Warehouse, WarehouseBusy, WarehouseError
from klaviyo_assets.warehouse.local_file import LocalFile

__all__ = [
    "Capabilities",
    "LocalFile",
    "Warehouse",
    "WarehouseBusy",
    "WarehouseError",
]
