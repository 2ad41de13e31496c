"""The database: the interface of a warehouse (``interface``), a DuckDB file as one (``local_file``), pieces of SQL (``sql``, ``ddl``).

``factory.warehouse_from`` returns the warehouse that a user names. The names in ``__all__`` are public: with them, code from outside this package
implements other warehouses. Each is loaded when it is first used: the names of files and limits are needed where no database is opened.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from klaviyo_assets.warehouse.interface import Capabilities, Warehouse, WarehouseBusy, WarehouseError
    from klaviyo_assets.warehouse.local_file import LocalFile

__all__ = [
    "Capabilities",
    "LocalFile",
    "Warehouse",
    "WarehouseBusy",
    "WarehouseError",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'local_file' if name == 'LocalFile' else 'interface'}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
