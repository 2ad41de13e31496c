"""The data version of a model's table: it changes when its rows change, and only then."""

from hashlib import sha256

from klaviyo_assets.marts.library import TABLE_OF_VIEW
from klaviyo_assets.marts.model import Model
from klaviyo_assets.marts.sources import Sources
from klaviyo_assets.marts.stores import BuiltModels
from klaviyo_assets.state.data_version import data_version
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.warehouse.sql import quoted

_APPROXIMATE = ("DOUBLE", "FLOAT")
"""Types of sums whose last digits depend on the order in which threads add."""

_LENGTH = 16


def version_of_rows(sources: Sources, model: str) -> str:
    """Return a hash of the rows of a model's table, whatever their order. Of approximate numbers, ten digits count.

    Args:
        sources: The sources of the connection.
        model: Name of the model.
    """
    table = sources.table(model)
    columns = sources.connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE {table})").fetchall()
    contents = [f"format('{{:.9e}}', {quoted(name)})" if type_ in _APPROXIMATE else quoted(name) for name, type_ in columns]
    row = sources.connection.execute(f"SELECT count(*), sum(hash({', '.join(contents)})::HUGEINT) FROM {table}").fetchone()
    return _hash([*map(str, columns), str(row)])


def version_of_view(sources: Sources, model: Model, built: BuiltModels) -> str:
    """Return the version of a view: its text, and the versions of what it reads.

    Args:
        sources: The sources of the connection.
        model: The model.
        built: How the other models were built.
    """
    log, parts = SyncLog(sources.connection, sources.warehouse, sources.schema), [model.hash]
    for name in sorted(model.sources):
        table = TABLE_OF_VIEW.get(name, name)
        if (other := built.get(name)) is not None:
            parts.append(f"{name} {other.version}")
        elif log.exists and table in sources.catalog:
            parts.append(f"{table} {data_version(log, table)}")
    return _hash(parts)


def _hash(parts: list[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:_LENGTH]
