"""The database that a user's code passes, as a path or as a resource."""

import os
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_duckdb import DuckDBResource

from klaviyo_assets.setting_names import SettingNames
from klaviyo_assets.validation import InvalidDefinition
from klaviyo_assets.warehouse.default_name import name_in_sql
from klaviyo_assets.warehouse.factory import WarehouseProvider, warehouse_from
from klaviyo_assets.warehouse.interface import WarehouseError
from klaviyo_assets.warehouse.tuning import CONNECTION_CONFIG


def as_resource(duckdb: dg.ConfigurableResource[Any] | str | Path) -> dg.ConfigurableResource[Any]:
    """Return the resource of a database.

    Args:
        duckdb: The resource, or the path of the file; a string may be an ``EnvVar``. A resource with a method ``warehouse()`` is returned as it is.

    Raises:
        InvalidDefinition: If it is something else, or the path is known and cannot be that of a DuckDB file.
    """
    if isinstance(duckdb, Path):
        duckdb = str(duckdb)
    if isinstance(duckdb, str):
        duckdb = DuckDBResource(database=duckdb, connection_config=dict(CONNECTION_CONFIG))
    if isinstance(duckdb, WarehouseProvider) and isinstance(duckdb, dg.ConfigurableResource):
        return duckdb
    if not isinstance(duckdb, DuckDBResource):
        raise InvalidDefinition(f"duckdb= takes a path or a DuckDBResource, not {type(duckdb).__name__}.")
    if not isinstance(duckdb.database, dg.EnvVar):
        try:
            warehouse_from(duckdb)
        except WarehouseError as error:
            advice = SettingNames("", "").with_configured_names(error.advice).replace("the field database of resource ''", "duckdb=")
            raise InvalidDefinition(f"duckdb=: {error.summary} {advice}") from None
    return duckdb


def database_name_of(duckdb: dg.ConfigurableResource[Any]) -> str | None:
    """Return what DuckDB calls the database; None if that is not known yet."""
    if not isinstance(duckdb, DuckDBResource):
        return None
    path = duckdb.database
    if isinstance(path, dg.EnvVar):
        path = os.environ.get(path.env_var_name, "")
    return name_in_sql(path) or None
