"""The warehouse that a user names: by a path, a DuckDB resource, or an object of their own."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from dagster_duckdb import DuckDBResource

from klaviyo_assets.warehouse.interface import Warehouse, WarehouseError
from klaviyo_assets.warehouse.local_file import LocalFile
from klaviyo_assets.warehouse.memory_limit import PATIENCE
from klaviyo_assets.warehouse.tuning import CONNECTION_CONFIG


@runtime_checkable
class WarehouseProvider(Protocol):
    """An object, such as a Dagster resource, that creates a warehouse.

    Example:
        >>> class Lake(dg.ConfigurableResource):
        ...     address: str
        ...
        ...     def warehouse(self) -> Warehouse:
        ...         return DuckLake(self.address)
    """

    def warehouse(self) -> Warehouse:
        """Return the warehouse, not opened yet."""


def warehouse_from(source: Any, *, patience: float = PATIENCE, memory_limit: str | None = None, threads: int | None = None) -> Warehouse:
    """Return the warehouse that a user names, not opened yet.

    Args:
        source: The path of a DuckDB file, a ``DuckDBResource``, a :class:`WarehouseProvider`, or a warehouse, which is returned as it is.
        patience: Seconds to wait for another program that has the file open.
        memory_limit: Memory that DuckDB may use for a file, such as ``2GB``; None for the default.
        threads: Threads that DuckDB may use for a file; None for the default.

    Raises:
        WarehouseError: If the path, the memory limit or the result of ``warehouse()`` cannot be used.
        TypeError: If the source is something else.
    """
    if Warehouse in type(source).__mro__:
        own: Warehouse = source
        return own
    if isinstance(source, WarehouseProvider):
        return _checked(source.warehouse(), type(source).__name__)
    if isinstance(source, str | Path):
        source = DuckDBResource(database=str(source), connection_config=dict(CONNECTION_CONFIG))
    if not isinstance(source, DuckDBResource):
        raise TypeError(f"A warehouse is a path, a DuckDBResource or an object with a method warehouse(), not {type(source).__name__}.")
    return LocalFile(source, patience=patience, memory_limit=memory_limit, threads=threads)


class DatabaseOptions(Protocol):
    """Options of the database, as a ``KlaviyoResource`` and the settings of the environment have them."""

    @property
    def duckdb_patience(self) -> float:
        """Seconds to wait for another program that has the file open."""

    @property
    def duckdb_memory_limit(self) -> str | None:
        """Memory that DuckDB may use for a file; None for the default."""

    @property
    def duckdb_threads(self) -> int | None:
        """Threads that DuckDB may use for a file; None for the default."""


def warehouse_with(options: DatabaseOptions, source: Any) -> Warehouse:
    """Return the warehouse that a user names, with the user's options, not opened yet.

    Args:
        options: The options.
        source: As for :func:`warehouse_from`.

    Raises:
        WarehouseError: As :func:`warehouse_from`.
        TypeError: As :func:`warehouse_from`.
    """
    return warehouse_from(source, patience=options.duckdb_patience, memory_limit=options.duckdb_memory_limit, threads=options.duckdb_threads)


def _checked(found: Any, provider: str) -> Warehouse:
    if Warehouse in type(found).__mro__:
        own: Warehouse = found
        return own
    returned = f"the class {found.__name__}" if isinstance(found, type) else type(found).__name__
    raise WarehouseError(
        f"The method warehouse() of {provider} returns {returned}, not a Warehouse.",
        "Return an instance of a class that derives from klaviyo_assets.warehouse.interface.Warehouse.",
    )
