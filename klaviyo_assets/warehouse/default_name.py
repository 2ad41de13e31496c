"""The default names of the database file and of the schema, and the name of the database in SQL."""

import logging
from functools import cache
from pathlib import Path

from klaviyo_assets.errors import KlaviyoAssetsError

DEFAULT_PATH = "data/warehouse.duckdb"
"""The database file if no setting names one."""

DEFAULT_SCHEMA = "klaviyo"
"""The schema of this package's own code location."""

EARLIER_DEFAULT_PATH = "data/klaviyo.duckdb"
"""The default of versions up to 0.1: a file that DuckDB calls ``klaviyo``, like the schema in it."""

_BUILT_IN = {"system", "temp"}
"""Databases that every DuckDB connection has."""

_FILE_NAMES_THAT_DUCKDB_RENAMES = {"main", "system", "temp"}

_log = logging.getLogger("klaviyo_assets")


class AmbiguousName(KlaviyoAssetsError, ValueError):
    """A schema has the name of its database, so ``schema.table`` is an error in SQL."""


def default_path() -> str:
    """Return the database file if no setting names one; log once if it is the default of earlier versions.

    A file at the earlier default is used until a sync has written to the current default, as its state folder shows.
    """
    earlier = Path(EARLIER_DEFAULT_PATH)
    if not earlier.is_file():
        return DEFAULT_PATH
    if Path(f"{DEFAULT_PATH}.sync").is_dir():
        _warn_once(
            f"{DEFAULT_PATH} is used; {EARLIER_DEFAULT_PATH}, the default of earlier versions, is there too and is not. "
            f"What to do: move it away, or set KLAVIYO_DUCKDB_PATH to the file that you mean."
        )
        return DEFAULT_PATH
    _warn_once(
        f"The database is {EARLIER_DEFAULT_PATH}, the default of earlier versions; new ones are made as {DEFAULT_PATH}, so that klaviyo.events "
        f"is not ambiguous in SQL. What to do: while nothing uses them, move the file to {DEFAULT_PATH} and the folder "
        f"{EARLIER_DEFAULT_PATH}.sync to {DEFAULT_PATH}.sync; or set KLAVIYO_DUCKDB_PATH={EARLIER_DEFAULT_PATH} to keep it."
    )
    return EARLIER_DEFAULT_PATH


def name_in_sql(database: str) -> str:
    """Return what DuckDB calls a database file: its name up to the first dot.

    Example:
        >>> name_in_sql("data/warehouse.backup.duckdb")
        'warehouse'
    """
    stem = Path(database).name.partition("?")[0].lstrip(".").partition(".")[0]
    return f"{stem}_db" if stem in _FILE_NAMES_THAT_DUCKDB_RENAMES else stem


def check_schema_name(schema: str, database: str) -> None:
    """Refuse a schema that has the name of its database, except in an existing file with the earlier default name.

    Args:
        schema: DuckDB schema.
        database: Path of the database file.

    Raises:
        AmbiguousName: With both names and a valid one.
    """
    if schema.lower() in _BUILT_IN:
        raise AmbiguousName(
            f"The schema cannot be called {schema!r}: DuckDB has a database of that name, so {schema}.events is ambiguous in SQL.",
            "give the account another name.",
        )
    name = name_in_sql(database)
    if name.lower() != schema.lower():
        return
    path = Path(database).expanduser()
    if path.name == Path(EARLIER_DEFAULT_PATH).name and path.is_file():
        return
    raise AmbiguousName(
        f"The database file {database} is called {name!r} in SQL, like the schema {schema!r} in it, so {schema}.events is ambiguous.",
        f"give the file another name, such as {path.with_name('warehouse.duckdb')}, or the account another one.",
    )


@cache
def _warn_once(text: str) -> None:
    _log.warning("%s", text)
