"""The data version of a model's table: it changes when its rows change, and only then."""

from collections.abc import Iterable
from hashlib import sha256

from klaviyo_assets.marts.library import TABLE_OF_VIEW
from klaviyo_assets.marts.model import Model
from klaviyo_assets.marts.sources import Sources
from klaviyo_assets.marts.stores import BuiltModels
from klaviyo_assets.state.data_version import data_version
from klaviyo_assets.state.sync_log import SyncLog
from klaviyo_assets.warehouse.sql import literal, quoted

_APPROXIMATE = ("DOUBLE", "FLOAT")
"""Types of sums whose last digits depend on the order in which threads add."""

_NEARLY_ZERO = 1e-9

_HASH_LENGTH = 16


def version_of_rows(sources: Sources, model: str) -> str:
    """Return a hash of the rows of a model's table, whatever their order. Of approximate numbers, ten digits count.

    Args:
        sources: The sources of the connection.
        model: Name of the model.
    """
    columns = _columns(sources, model)
    row = sources.connection.execute(f"SELECT count(*), {_sum_of_hashes(columns)} FROM {sources.table(model)}").fetchone()
    return _hash([*map(str, columns), str(row)])


def digest_of_rows(sources: Sources, model: str) -> str:
    """Return the SQL of an aggregate: a text that changes when rows of a model's table change, or its columns. Their order does not count.

    Args:
        sources: The sources of the connection.
        model: Name of the model.
    """
    columns = _columns(sources, model)
    return f"{literal(_hash(map(str, columns)))} || '-' || {_sum_of_hashes(columns)}"


def _columns(sources: Sources, model: str) -> list[tuple[str, str]]:
    return sources.connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE {sources.table(model)})").fetchall()


def _sum_of_hashes(columns: Iterable[tuple[str, str]]) -> str:
    contents = [_rounded(quoted(name)) if type_ in _APPROXIMATE else quoted(name) for name, type_ in columns]
    return f"sum(hash({', '.join(contents)})::HUGEINT)"


def _rounded(column: str) -> str:
    """SQL for the text of a sum without its last digits; sums of positive and negative values may be nearly zero instead of zero."""
    return f"format('{{:.9e}}', if(abs({column}) < {_NEARLY_ZERO}, 0, {column}))"


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


def _hash(parts: Iterable[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:_HASH_LENGTH]
