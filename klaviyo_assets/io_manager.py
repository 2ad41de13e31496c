"""Hands the tables to downstream assets as Polars frames."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
from dagster import ResourceDependency
from duckdb import DuckDBPyConnection
from pydantic import Field

from klaviyo_assets.resources import option_field
from klaviyo_assets.run_log import in_the_log_of
from klaviyo_assets.setting_names import worded_by
from klaviyo_assets.settings import OPTIONS
from klaviyo_assets.warehouse import frame_copies
from klaviyo_assets.warehouse.base import Warehouse, WarehouseError
from klaviyo_assets.warehouse.factory import warehouse_from
from klaviyo_assets.warehouse.sql import literal, parts_of, quoted

if TYPE_CHECKING:
    import polars as pl


DATABASE_VARIABLES = tuple(OPTIONS[name].variable for name in ("duckdb_path", "duckdb_patience", "duckdb_memory_limit", "duckdb_threads"))
"""Environment variables of the settings for reading a table."""


class KlaviyoFrameIOManager(dg.ConfigurableIOManager):
    """Loads a table for a downstream asset that takes it as an argument.

    The argument's type decides: ``pl.DataFrame`` (default) holds the whole table in memory; ``pl.LazyFrame`` scans a temporary Parquet copy in the
    state folder next to the database, which is deleted when the process ends, or, if it is killed, when the database is opened next.
    ``AssetIn(metadata={"columns": [...]})`` chooses columns, a string one column. Deleted records are included, with ``_deleted_at`` set.

    Args:
        duckdb: The DuckDB resource, or a resource with a method ``warehouse()``.
        duckdb_patience: Seconds to wait for another program that has the file open.
        duckdb_memory_limit: Memory that DuckDB may use, such as ``2GB``; None for the default.
        duckdb_threads: Threads that DuckDB may use; None for the default.
        setting_names: What error messages call the settings, by this library's variable (``KLAVIYO_DUCKDB_PATH``). By default the fields of this IO
            manager, and of its DuckDB resource.

    Example:
        >>> @dg.asset(ins={"profiles": dg.AssetIn(["klaviyo", "profiles"], metadata={"columns": ["id", "email"]})})
        ... def subscribers(profiles: pl.LazyFrame) -> None: ...
    """

    duckdb: ResourceDependency[Any]
    duckdb_patience: float = option_field("duckdb_patience")
    duckdb_memory_limit: str | None = option_field("duckdb_memory_limit")
    duckdb_threads: int | None = option_field("duckdb_threads")

    setting_names: dict[str, str] = Field(default={}, description="What error messages call the settings, by this library's variable.")

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse: the assets write their tables themselves."""
        raise dg.DagsterInvariantViolationError(f"{context.get_identifier()} is written by its own sync, not by an IO manager.")

    def load_input(self, context: dg.InputContext) -> Any:
        """Return the table that the upstream asset's metadata names."""
        import polars as pl  # a code location is loaded without it

        assert context.upstream_output is not None
        name = (context.upstream_output.definition_metadata or {}).get("dagster/table_name")
        if not name:
            raise dg.DagsterInvariantViolationError(f"{context.get_asset_identifier()} has no dagster/table_name in its metadata.")
        columns = _columns(context)
        worded = partial(worded_by, _own_names(context) | self.setting_names)
        lazy = context.dagster_type.typing_type is pl.LazyFrame
        try:
            warehouse = warehouse_from(self.duckdb, patience=self.duckdb_patience, memory_limit=self.duckdb_memory_limit, threads=self.duckdb_threads)
            with in_the_log_of(context.log, worded), warehouse.connection() as connection:
                query = _query(warehouse, str(name), columns)
                return _lazy(connection, query, warehouse.state_dir) if lazy else connection.sql(query).pl()
        except WarehouseError as error:
            from klaviyo_assets.failures import failure  # a code location is loaded without it

            raise failure(error, worded) from None
        except duckdb.CatalogException as error:
            raise dg.Failure(
                f"There is no table {name} yet. What to do: materialize {context.asset_key.to_user_string()} first.", allow_retries=False
            ) from error
        except duckdb.BinderException as error:
            raise dg.Failure(f"{name}: {str(error).splitlines()[0]} What to do: correct the columns in AssetIn's metadata.") from error


def _columns(context: dg.InputContext) -> list[str]:
    """Return the columns that an input's metadata chooses; none for all.

    Raises:
        dagster.Failure: If they are something else than names.
    """
    given = (context.definition_metadata or {}).get("columns")
    if isinstance(given, dg.MetadataValue):
        given = given.value
    columns = [given] if isinstance(given, str) else [] if given is None else given
    if isinstance(columns, list | tuple) and all(isinstance(one, str) for one in columns):
        return list(columns)
    raise dg.Failure(
        f"The metadata columns of the input {context.name} is {given!r}. What to do: give names of columns, such as ['id', 'email'].",
        allow_retries=False,
    )


def _own_names(context: dg.InputContext) -> dict[str, str]:
    """Return names of the settings for a user who created the IO manager: its own fields, and that of its DuckDB resource."""
    assert context.upstream_output is not None
    key = (context.upstream_output.definition_metadata or {}).get("dagster/io_manager_key")
    owner = f"of the IO manager {key!r}" if key else "of the IO manager"
    path, *others = DATABASE_VARIABLES
    own = {variable: f"the field {variable.removeprefix('KLAVIYO_').lower()} {owner}" for variable in others}
    return {path: f"the field database of the DuckDB resource {owner}", **own}


def _lazy(connection: DuckDBPyConnection, query: str, state: Path) -> "pl.LazyFrame":
    import polars as pl

    relation = connection.sql(query)
    # As text, as in an eager frame; Parquet's JSON type would come back as bytes.
    columns = ", ".join(
        f"{quoted(name)}::VARCHAR AS {quoted(name)}" if str(type_) == "JSON" else quoted(name)
        for name, type_ in zip(relation.columns, relation.types, strict=True)
    )
    query = f"SELECT {columns} FROM ({query})"
    copy = frame_copies.new_copy(state)
    try:
        connection.execute(f"COPY ({query}) TO {literal(str(copy))} (FORMAT parquet)")
    except BaseException:
        frame_copies.discard(copy)
        raise
    return pl.scan_parquet(copy)


def _query(warehouse: Warehouse, table: str, columns: list[str]) -> str:
    chosen = ", ".join(quoted(column) for column in columns) if columns else "*"
    *_, schema, name = parts_of(table)
    return f"SELECT {chosen} FROM {warehouse.qualified(schema, name)}"
