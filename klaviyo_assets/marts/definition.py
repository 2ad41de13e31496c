"""What a model's table follows from besides the rows: if any of it changes, an incremental model is rebuilt."""

from collections.abc import Iterable
from hashlib import sha256

from klaviyo_assets._version import __version__
from klaviyo_assets.marts.library import LIVE_EVENTS, TABLE_OF_VIEW
from klaviyo_assets.marts.model import Model
from klaviyo_assets.marts.sources import Sources
from klaviyo_assets.state.computed_columns import ComputedColumns
from klaviyo_assets.state.field_rule_log import FieldRuleLog
from klaviyo_assets.warehouse.sql import quoted


def definition_of(model: Model, sources: Sources) -> str:
    """Return a hash of a model's file, of the columns of the raw tables that it reads, and of this library's version.

    The definitions of computed columns are those by which all rows were filled: a sync records them when it has filled the last one.
    """
    raw = sorted({TABLE_OF_VIEW[name] if name == LIVE_EVENTS else name for name in model.sources} & {*sources.catalog})
    columns = [f"{name}.{column.name} {column.type} {column.path}" for name in raw for column in sources.catalog[name].columns]
    stored = [f"{name} {sorted((column, type_) for column, (type_, _) in sources.raw.of(name).items())}" for name in raw]
    computed = ComputedColumns(sources.connection, sources.warehouse, sources.schema)
    filled = [f"{name} {sorted(computed.definitions(name).items())}" for name in raw]
    return _hash([__version__, model.hash, *columns, *stored, *filled])


def rules_of(sources: Sources) -> str:
    """Return a hash of the field rules with which the raw tables were stored."""
    log = FieldRuleLog(sources.connection, sources.warehouse, sources.schema)
    if not log.exists:
        return _hash([])
    columns = ", ".join(log.COLUMNS)
    return _hash(map(str, sources.connection.execute(f"SELECT {columns} FROM {log.table} ORDER BY ALL").fetchall()))


def contents_of(model: Model, sources: Sources, generations: Iterable[str]) -> str:
    """Return a hash of the sources that an incremental model reads completely. Their views exist.

    Args:
        model: The model.
        sources: The sources of the connection.
        generations: Of the sources that are reduced: if one was rebuilt, so is this.
    """
    context = sources.context
    parts = [context.timezone, str(context.currency), *generations]
    for name in sorted(model.sources - TABLE_OF_VIEW.keys()):
        if name in sources.models and sources.models[name].header.scope is model.header.scope:
            continue
        row = sources.connection.execute(f"SELECT count(*), sum(hash(source)::HUGEINT) FROM {quoted(name)} AS source").fetchone()
        parts.append(f"{name} {row}")
    return _hash(parts)


def _hash(parts: Iterable[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()
