"""Hands the tables to downstream assets as frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import ResourceDependency
from dagster._check import CheckError
from pydantic import Field

from klaviyo_assets.frames.explained import InputReading
from klaviyo_assets.frames.input_selection import Selection
from klaviyo_assets.frames.kinds import LAZY, frame, frame_kind_of
from klaviyo_assets.frames.lazy import Opened, lazy_frame
from klaviyo_assets.frames.published import published_copy
from klaviyo_assets.resources import option_field
from klaviyo_assets.setting_names import replace_names
from klaviyo_assets.settings.options import OPTIONS
from klaviyo_assets.warehouse.factory import warehouse_with
from klaviyo_assets.warehouse.sql import pasted, unquoted_parts

PUBLISHED_FILE, PUBLISHED_SCHEMA = "klaviyo/published_file", "klaviyo/schema"
"""Metadata of the asset ``published``: the path of the copy, and the account's schema."""

DATABASE_VARIABLES = tuple(OPTIONS[name].variable for name in ("duckdb_path", "duckdb_patience", "duckdb_memory_limit", "duckdb_threads"))
"""Environment variables of the settings for reading a table."""


class KlaviyoFrameIOManager(dg.ConfigurableIOManager):
    """Loads a table, or a part of it, for a downstream asset that takes it as an argument.

    The argument's type decides: ``pl.DataFrame`` (default), ``pandas.DataFrame`` and ``pyarrow.Table`` hold the rows in memory. A ``pl.LazyFrame``
    reads when it is evaluated: the columns and rows that the query needs are copied to a temporary Parquet file in the state folder next to the
    database. JSON columns are text. Deleted records are included, with ``_deleted_at`` set.

    An input from the asset ``published`` is read from the published copy, and keeps no sync waiting. One from a resource type is read from the
    database, in turn with the syncs, also if the account has a copy: in the run of a sync, the copy does not have the new rows yet.

    Metadata of ``dg.AssetIn`` chooses a part: ``columns`` (a list of names, or one name), ``where`` (an SQL condition), and ``partition_expr`` (a
    time column, or an SQL expression): in a run of partitions of time, only rows of their time window are read.

    Args:
        duckdb: The DuckDB resource, or a resource with a method ``warehouse()``.
        duckdb_patience: Seconds to wait for another program that has the file open.
        duckdb_memory_limit: Memory that DuckDB may use, such as ``2GB``; None for the default.
        duckdb_threads: Threads that DuckDB may use; None for the default.
        published: Path of the published copy, to read from instead of the database: then no sync waits for this input, and it may be as old as the
            copy. It also serves inputs from the asset ``published``, whose metadata ``table`` names a table.
        setting_names: What error messages call the settings, by this library's variable (``KLAVIYO_DUCKDB_PATH``). By default the fields of this IO
            manager, and of its DuckDB resource.

    Example:
        >>> @dg.asset(ins={"events": dg.AssetIn(["klaviyo", "events"], metadata={"columns": ["id", "profile_id"], "where": "metric_id = 'RESQ6t'"})})
        ... def buyers(events: pl.LazyFrame) -> None: ...
    """

    duckdb: ResourceDependency[Any]
    duckdb_patience: float = option_field("duckdb_patience")
    duckdb_memory_limit: str | None = option_field("duckdb_memory_limit")
    duckdb_threads: int | None = option_field("duckdb_threads")
    published: str | None = Field(default=None, description="Path of the published copy, to read from instead of the database.")

    setting_names: dict[str, str] = Field(default={}, description="What error messages call the settings, by this library's variable.")

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse: the assets write their tables themselves.

        Raises:
            dagster.Failure: Always.
        """
        written = context.asset_key.to_user_string() if context.has_asset_key else context.name
        raise dg.Failure(
            f"The IO manager of the Klaviyo tables only reads, so it cannot store the output {written}. What to do: give it an IO manager of its own "
            "with io_manager_key.",
            allow_retries=False,
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """Return the table that the upstream asset's metadata names, or the part of it that the input's metadata chooses.

        Raises:
            dagster.Failure: If the metadata cannot be used, or the database cannot be read. A lazy frame raises it when it is evaluated, too.
        """
        source = _source(context)
        selection = _selection(context)
        kind = _kind(context)
        with_configured_names = partial(replace_names, _own_names(context) | self.setting_names)
        reading = InputReading(context.log, with_configured_names, ".".join(source.table), context.asset_key.to_user_string())
        with reading.reported():
            warehouse = warehouse_with(self, self.duckdb)
        copy = source.copy or self.published
        opened: Opened = partial(reading.connection, partial(published_copy, Path(copy)) if copy else warehouse.connection)
        query = selection.query(pasted(*source.table))
        if kind == LAZY:
            with reading.reported():
                state = warehouse.state_dir
            return lazy_frame(opened, query, state)
        with opened() as connection:
            return frame(connection, query, kind)


@dataclass(frozen=True)
class _TableSource:
    """Where an input is read from.

    Attributes:
        table: Schema and name of the table.
        copy: The published copy, if the input comes from its asset.
    """

    table: tuple[str, str]
    copy: str | None = None


def _upstream_metadata(context: dg.InputContext) -> Mapping[str, Any]:
    """Return the metadata of the asset that an input comes from."""
    if context.upstream_output is None:  # an input of an op or a graph, with this IO manager as its input manager
        raise dg.Failure(
            f"The input {context.name} comes from no asset, so it is not known which table to read. What to do: take the asset of a Klaviyo table as "
            "input, such as ins={'events': AssetIn(key='events')}.",
            allow_retries=False,
        )
    return context.upstream_output.definition_metadata or {}


def _source(context: dg.InputContext) -> _TableSource:
    upstream = _upstream_metadata(context)
    if copy := _plain(upstream.get(PUBLISHED_FILE)):
        schema = str(_plain(upstream[PUBLISHED_SCHEMA]))
        table = _plain((context.definition_metadata or {}).get("table"))
        if not isinstance(table, str) or not table:
            raise dg.Failure(
                f"The input {context.name} reads the published copy and does not say which table. What to do: name it in AssetIn's metadata, such as "
                "{'table': 'events'}.",
                allow_retries=False,
            )
        return _TableSource(_qualified(table, schema), str(copy))
    name = upstream.get("dagster/table_name")
    if not name:
        raise dg.Failure(
            f"The asset {context.asset_key.to_user_string()} has no dagster/table_name in its metadata, so it is not known which table to read. What "
            "to do: keep the metadata of the spec that KlaviyoTranslator returns, or add 'dagster/table_name': 'klaviyo.events'.",
            allow_retries=False,
        )
    return _TableSource(_qualified(str(name)))


def _qualified(table: str, schema: str = "main") -> tuple[str, str]:
    *others, name = unquoted_parts(table)
    return (others[-1] if others else schema, name)


def _selection(context: dg.InputContext) -> Selection:
    """Return the part of the table that an input's metadata chooses.

    Raises:
        dagster.Failure: If the metadata cannot be used.
    """
    metadata = context.definition_metadata or {}
    where = _text(context, "where", metadata.get("where"))
    time = _text(context, "partition_expr", metadata.get("partition_expr"))
    return Selection(tuple(_columns(context)), where, time, _window(context) if time else None)


def _text(context: dg.InputContext, name: str, given: object) -> str:
    given = _plain(given)
    if given is None or isinstance(given, str):
        return given or ""
    raise dg.Failure(f"The metadata {name} of the input {context.name} is {given!r}. What to do: give SQL as a string.", allow_retries=False)


def _window(context: dg.InputContext) -> tuple[datetime, datetime] | None:
    """Return the time window of the run's partitions; None if the run has none.

    Raises:
        dagster.Failure: If they are not partitions of time, are not known, or are not one range.
    """
    of_asset = context.has_asset_partitions
    if not of_asset and not context.has_partition_key and not _has_range_of_partitions(context):
        return None
    definition = _partitions(context)
    if definition is None:
        raise _no_window(context, "it is not known here which partitions the input has", "load the input in a run, or leave partition_expr out")
    if not _are_of_time(definition):
        raise _no_window(context, "those of the input are others", "leave it out, or give the asset partitions of time")
    try:
        window = context.asset_partitions_time_window if of_asset else context.step_context.partition_time_window
    except CheckError:
        if of_asset and not context.asset_partition_keys:
            raise _no_window(context, "the input has none of them", "leave it out, or map the run's partitions to some of the input's") from None
        raise _no_window(
            context,
            "the input has several separate ranges of partitions",
            "leave it out and choose the rows in the asset, or map the run's partitions to one range",
        ) from None
    return window.start, window.end


def _no_window(context: dg.InputContext, why: str, advice: str) -> dg.Failure:
    return dg.Failure(
        f"The metadata partition_expr of the input {context.name} is for partitions of time, and {why}. What to do: {advice}.", allow_retries=False
    )


def _partitions(context: dg.InputContext) -> dg.PartitionsDefinition | None:
    """Return the definition of the upstream asset's partitions, or else of the run's; None if it is not known."""
    try:
        return context.asset_partitions_def if context.has_asset_partitions else context.step_context.run_partitions_def
    except dg.DagsterInvariantViolationError:  # the input is loaded outside of a run
        return None


def _are_of_time(definition: dg.PartitionsDefinition) -> bool:
    """Return whether partitions are of time, or have one dimension of time."""
    if isinstance(definition, dg.MultiPartitionsDefinition):
        return sum(_are_of_time(dimension.partitions_def) for dimension in definition.partitions_defs) == 1
    return isinstance(definition, dg.TimeWindowPartitionsDefinition)


def _has_range_of_partitions(context: dg.InputContext) -> bool:
    """Return whether the step runs several partitions at once, as that of an asset with ``BackfillPolicy.single_run()``."""
    try:
        step = context.step_context
    except dg.DagsterInvariantViolationError:  # the input is loaded outside of a run
        return False
    return step.has_partition_key_range and step.run_partitions_def is not None


def _kind(context: dg.InputContext) -> str:
    try:
        return frame_kind_of(context.dagster_type.typing_type)
    except TypeError as error:
        raise dg.Failure(f"The input {context.name}: {error}.", allow_retries=False) from None


def _plain(value: object) -> object:
    """Return a metadata value without Dagster's wrapper."""
    return value.value if isinstance(value, dg.MetadataValue) else value


def _columns(context: dg.InputContext) -> list[str]:
    """Return the columns that an input's metadata chooses; none for all.

    Raises:
        dagster.Failure: If they are something else than names.
    """
    given = _plain((context.definition_metadata or {}).get("columns"))
    columns = [given] if isinstance(given, str) else [] if given is None else given
    if isinstance(columns, list | tuple) and all(isinstance(one, str) for one in columns):
        return list(columns)
    raise dg.Failure(
        f"The metadata columns of the input {context.name} is {given!r}. What to do: give names of columns, such as ['id', 'email'].",
        allow_retries=False,
    )


def _own_names(context: dg.InputContext) -> dict[str, str]:
    """Return names of the settings for a user who created the IO manager: its own fields, and that of its DuckDB resource."""
    key = _upstream_metadata(context).get("dagster/io_manager_key")
    owner = f"of the IO manager {key!r}" if key else "of the IO manager"
    path, *others = DATABASE_VARIABLES
    own = {variable: f"the field {variable.removeprefix('KLAVIYO_').lower()} {owner}" for variable in others}
    return {path: f"the field database of the DuckDB resource {owner}", **own}
