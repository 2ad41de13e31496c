"""Hands the tables to downstream assets as Polars frames."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
from dagster import ResourceDependency
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection

from klaviyo_assets.warehouse.base import Warehouse, literal, quoted
from klaviyo_assets.warehouse.local_file import LocalFile
from klaviyo_assets.warehouse.names import parts_of

if TYPE_CHECKING:
    import polars as pl

_COPIES: list[tempfile.TemporaryDirectory[str]] = []
"""Copies that lazy frames scan. What is derived from a frame outlives it, so they are kept until the process ends."""


class KlaviyoFrameIOManager(dg.ConfigurableIOManager):
    """Loads a table for a downstream asset that takes it as an argument.

    The argument's type decides: ``pl.DataFrame`` (default) holds the whole table in memory; ``pl.LazyFrame`` scans a temporary Parquet copy, which is
    deleted when the process ends. ``AssetIn(metadata={"columns": [...]})`` chooses columns. Deleted records come with ``_deleted_at`` set.

    Args:
        duckdb: The DuckDB resource.

    Example:
        >>> @dg.asset(ins={"profiles": dg.AssetIn(["klaviyo", "profiles"], metadata={"columns": ["id", "email"]})})
        ... def subscribers(profiles: pl.LazyFrame) -> None: ...
    """

    duckdb: ResourceDependency[DuckDBResource]

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
        columns = (context.definition_metadata or {}).get("columns")
        lazy = context.dagster_type.typing_type is pl.LazyFrame
        warehouse = LocalFile(self.duckdb)
        try:
            with warehouse.connection() as connection:
                query = _query(warehouse, str(name), columns)
                return _lazy(connection, query) if lazy else connection.sql(query).pl()
        except duckdb.CatalogException as error:
            raise dg.Failure(
                f"There is no table {name} yet. What to do: materialize {context.asset_key.to_user_string()} first.", allow_retries=False
            ) from error
        except duckdb.BinderException as error:
            raise dg.Failure(f"{name}: {str(error).splitlines()[0]} What to do: correct the columns in AssetIn's metadata.") from error


def _lazy(connection: DuckDBPyConnection, query: str) -> "pl.LazyFrame":
    import polars as pl

    folder = tempfile.TemporaryDirectory(prefix="klaviyo_assets_")
    _COPIES.append(folder)
    copy = Path(folder.name) / "table.parquet"
    relation = connection.sql(query)
    # As text, as in an eager frame; Parquet's JSON type would come back as bytes.
    columns = ", ".join(
        f"{quoted(name)}::VARCHAR AS {quoted(name)}" if str(type_) == "JSON" else quoted(name)
        for name, type_ in zip(relation.columns, relation.types, strict=True)
    )
    query = f"SELECT {columns} FROM ({query})"
    connection.execute(f"COPY ({query}) TO {literal(str(copy))} (FORMAT parquet)")
    return pl.scan_parquet(copy)


def _query(warehouse: Warehouse, table: str, columns: list[str] | None) -> str:
    chosen = ", ".join(quoted(column) for column in columns) if columns else "*"
    *_, schema, name = parts_of(table)
    return f"SELECT {chosen} FROM {warehouse.qualified(schema, name)}"
