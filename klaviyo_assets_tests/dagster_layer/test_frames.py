"""What downstream assets get as an argument: the kind of frame, and the part of the table that their metadata chooses."""

import os
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pyarrow
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info
from dagster_duckdb import DuckDBResource

from klaviyo_assets import KlaviyoFrameIOManager, KlaviyoResource, PublishTarget, build_klaviyo_definitions, build_klaviyo_published
from klaviyo_assets.frames.published import published_copy
from klaviyo_assets.publish.publisher import Publisher
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.factory import warehouse_from
from klaviyo_assets.warehouse.interface import Warehouse, WarehouseError

EVENTS = dg.AssetSpec(["klaviyo", "events"], metadata={"dagster/table_name": "klaviyo.events"}).with_io_manager_key("klaviyo_frames")
DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01")
SETUP = """
CREATE SCHEMA klaviyo;
CREATE TABLE klaviyo.events AS
SELECT
    'e' || i AS id, if(i % 2 = 0, NULL, 'p' || i) AS profile_id, '{"a": 1.0}'::JSON AS event_properties,
    TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_hours(i::INTEGER) AS datetime
FROM range(100) r(i);
CREATE TABLE klaviyo._syncs AS
SELECT
    'a sync' AS id, 'events' AS resource_type, 'succeeded' AS outcome, 'incremental' AS mode, now() AS started_at,
    1 AS rows_inserted, 0 AS rows_updated, 0 AS rows_deleted;
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> LocalFile:
    file = LocalFile(DuckDBResource(database=str(tmp_path / "shop.duckdb")))
    with file.connection() as connection:
        connection.execute(SETUP)
    return file


def read(
    warehouse: LocalFile, instance: dg.DagsterInstance, annotation: Any, partition: str | None = None, published: str | None = None, **metadata: Any
) -> Any:
    """Return what an asset gets that reads the events."""
    seen: list[Any] = []

    def downstream(events: Any) -> None:
        seen.append(events.collect() if isinstance(events, pl.LazyFrame) else events)

    downstream.__annotations__["events"] = annotation
    ins = {"events": dg.AssetIn(EVENTS.key, metadata=metadata)}
    asset = dg.asset(ins=ins, partitions_def=DAYS if partition else None)(downstream)
    _materialize(asset, EVENTS, warehouse, instance, published, partition)
    return seen[0]


def _materialize(
    asset: dg.AssetsDefinition, upstream: Any, warehouse: LocalFile, instance: dg.DagsterInstance, published: str | None, partition: str | None = None
) -> None:
    manager = KlaviyoFrameIOManager(duckdb=DuckDBResource(database=str(warehouse.path)), published=published)
    dg.materialize([upstream, asset], selection=[asset], resources={"klaviyo_frames": manager}, instance=instance, partition_key=partition)


def test_the_io_manager_of_an_account_opens_the_database_with_the_options_of_its_resource(
    warehouse: LocalFile, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[dict[str, Any]] = []

    def noted(source: Any, **options: Any) -> Warehouse:
        opened.append(options)
        return warehouse_from(source, **options)

    monkeypatch.setattr("klaviyo_assets.warehouse.factory.warehouse_from", noted)
    monkeypatch.setenv("A_KEY", "pk_0123456789abcdef0123456789abcdef01")

    @dg.asset(ins={"events": dg.AssetIn(EVENTS.key)})
    def downstream(events: pl.DataFrame) -> int:
        return len(events)

    klaviyo = KlaviyoResource(api_key=dg.EnvVar("A_KEY"), duckdb_patience=7.5, duckdb_memory_limit="300MB", duckdb_threads=1)
    account = build_klaviyo_definitions(klaviyo, duckdb=warehouse.path, resource_types=["events"], executor=dg.in_process_executor)
    defs = dg.Definitions.merge(account, dg.Definitions(assets=[downstream], resources={"io_manager": dg.mem_io_manager}))
    job = defs.resolve_implicit_global_asset_job_def()

    result = job.execute_in_process(instance=instance, asset_selection=[downstream.key])
    assert result.output_for_node("downstream") == 100
    assert opened == [{"patience": 7.5, "memory_limit": "300MB", "threads": 1}]


@pytest.mark.parametrize("annotation", [pl.DataFrame, pl.LazyFrame, pyarrow.Table, Any, pl.DataFrame | None, pyarrow.Table | None])
def test_the_annotation_decides_the_kind(annotation: Any, warehouse: LocalFile, instance: dg.DagsterInstance) -> None:
    found = read(warehouse, instance, annotation)

    of_arrow = annotation in (pyarrow.Table, pyarrow.Table | None)
    assert isinstance(found, pyarrow.Table if of_arrow else pl.DataFrame)
    frame = pl.DataFrame(pl.from_arrow(found)) if of_arrow else found
    assert frame.shape == (100, 4)
    assert frame["event_properties"].unique().to_list() == ['{"a": 1.0}']
    assert frame["datetime"].dt.convert_time_zone("UTC")[1] == datetime(2026, 1, 1, 1, tzinfo=UTC)


def test_an_optional_lazy_frame_is_lazy(warehouse: LocalFile, instance: dg.DagsterInstance) -> None:
    seen: list[pl.LazyFrame | None] = []

    @dg.asset(ins={"events": dg.AssetIn(EVENTS.key)})
    def downstream(events: pl.LazyFrame | None) -> None:
        seen.append(events)

    _materialize(downstream, EVENTS, warehouse, instance, None)

    (frame,) = seen
    assert isinstance(frame, pl.LazyFrame)
    assert frame.select(pl.len()).collect().item() == 100


def test_pandas(warehouse: LocalFile, instance: dg.DagsterInstance) -> None:
    pandas = pytest.importorskip("pandas")
    frame = read(warehouse, instance, pandas.DataFrame, columns=["id", "event_properties"])
    assert isinstance(frame, pandas.DataFrame)
    assert frame.shape == (100, 2)
    assert frame["event_properties"][0] == '{"a": 1.0}'


@pytest.mark.parametrize("annotation", [pl.DataFrame, pl.LazyFrame])
def test_a_condition_and_columns(annotation: type, warehouse: LocalFile, instance: dg.DagsterInstance) -> None:
    frame = read(warehouse, instance, annotation, columns=["profile_id", "id"], where="profile_id IS NULL OR id = 'e1'")
    assert frame.columns == ["profile_id", "id"]
    assert (frame.height, frame["profile_id"].drop_nulls().to_list()) == (51, ["p1"])


def test_a_run_of_a_partition_reads_its_time_window(warehouse: LocalFile, instance: dg.DagsterInstance) -> None:
    day = read(warehouse, instance, pl.DataFrame, partition="2026-01-02", partition_expr="datetime", where="profile_id IS NULL OR true")
    assert day["id"].to_list() == [f"e{i}" for i in range(24, 48)]
    assert read(warehouse, instance, pl.DataFrame, partition="2026-01-02").height == 100, "without partition_expr, everything"
    assert read(warehouse, instance, pl.DataFrame, partition_expr="datetime").height == 100, "no partitions"


DAY = {"partition_key": "2026-01-02"}
TWO_DAYS = {"tags": {"dagster/asset_partition_range_start": "2026-01-02", "dagster/asset_partition_range_end": "2026-01-03"}}
STATES = dg.StaticPartitionsDefinition(["2026-01-02", "2026-01-03"])


def rows_of_a_run(
    warehouse: LocalFile,
    instance: dg.DagsterInstance,
    upstream: dg.PartitionsDefinition | None,
    own: dg.PartitionsDefinition | None,
    run: dict[str, Any],
) -> list[str]:
    """Return the ids that an asset with partitions of its own reads in a run."""
    events = EVENTS.replace_attributes(partitions_def=upstream)
    seen: list[str] = []

    @dg.asset(
        ins={"events": dg.AssetIn(EVENTS.key, metadata={"partition_expr": "datetime"})},
        partitions_def=own,
        backfill_policy=dg.BackfillPolicy.single_run() if own else None,
    )
    def downstream(events: pl.DataFrame) -> None:
        seen.extend(events["id"])

    manager = KlaviyoFrameIOManager(duckdb=DuckDBResource(database=str(warehouse.path)))
    dg.materialize([events, downstream], selection=[downstream], resources={"klaviyo_frames": manager}, instance=instance, **run)
    return seen


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`:dagster.BetaWarning")
@pytest.mark.parametrize("upstream", [None, DAYS], ids=["events", "events_by_day"])
@pytest.mark.parametrize(("run", "end"), [(DAY, 48), (TWO_DAYS, 72)], ids=["a day", "a backfill in one run"])
def test_a_run_reads_the_rows_of_all_its_partitions_and_no_others(
    upstream: dg.PartitionsDefinition | None, run: dict[str, Any], end: int, warehouse: LocalFile, instance: dg.DagsterInstance
) -> None:
    assert rows_of_a_run(warehouse, instance, upstream, DAYS, run) == [f"e{i}" for i in range(24, end)]


@pytest.mark.parametrize(("upstream", "day", "rows"), [(None, None, 100), (DAYS, "2026-01-02", 24)], ids=["events", "events_by_day"])
def test_a_time_column_may_be_named_outside_of_a_run(
    upstream: dg.PartitionsDefinition | None, day: str | None, rows: int, warehouse: LocalFile, instance: dg.DagsterInstance
) -> None:
    """As in a notebook."""
    manager = KlaviyoFrameIOManager(duckdb=DuckDBResource(database=str(warehouse.path)))
    defs = dg.Definitions(assets=[EVENTS.replace_attributes(partitions_def=upstream)], resources={"klaviyo_frames": manager})

    with defs.get_asset_value_loader(instance) as loader:
        frame = loader.load_asset_value(
            EVENTS.key, python_type=pl.DataFrame, partition_key=day, input_definition_metadata={"partition_expr": "datetime"}
        )
    assert frame.height == rows


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`:dagster.BetaWarning")
def test_an_asset_without_partitions_reads_all_rows_in_the_run_of_a_backfill(warehouse: LocalFile, instance: dg.DagsterInstance) -> None:
    assert len(rows_of_a_run(warehouse, instance, None, None, TWO_DAYS)) == 100


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`:dagster.BetaWarning")
@pytest.mark.parametrize("upstream", [None, STATES], ids=["none upstream", "the same upstream"])
@pytest.mark.parametrize("run", [DAY, TWO_DAYS], ids=["one", "several"])
def test_a_time_column_for_partitions_that_have_no_time_is_refused(
    upstream: dg.PartitionsDefinition | None, run: dict[str, Any], warehouse: LocalFile, instance: dg.DagsterInstance
) -> None:
    with pytest.raises(
        dg.Failure, match=r"^The metadata partition_expr of the input events is for partitions of time, .* What to do: leave it out"
    ) as caught:
        rows_of_a_run(warehouse, instance, upstream, STATES, run)
    assert not caught.value.allow_retries


@pytest.mark.parametrize(
    ("annotation", "metadata", "words"),
    [
        (pl.DataFrame, {"where": "nonsense ="}, "What to do: correct columns, where and partition_expr"),
        (pl.LazyFrame, {"columns": ["nonsense"]}, "What to do: correct columns, where and partition_expr"),
        (pl.DataFrame, {"where": 7}, "give SQL as a string"),
        (pl.Series, {}, "polars.Series is not supported; use polars.DataFrame"),
    ],
)
def test_unusable_inputs_fail_with_a_sentence(
    annotation: type, metadata: dict[str, Any], words: str, warehouse: LocalFile, instance: dg.DagsterInstance
) -> None:
    with pytest.raises(dg.Failure, match=words):
        read(warehouse, instance, annotation, **metadata)


@pytest.mark.parametrize("annotation", [pl.DataFrame, pl.LazyFrame])
@pytest.mark.parametrize("where", ["profile_id::INTEGER = 1", "strptime(profile_id, '%Y') IS NULL"])
def test_a_condition_that_fails_shows_no_values(annotation: type, where: str, warehouse: LocalFile, instance: dg.DagsterInstance) -> None:
    with pytest.raises((dg.Failure, pl.exceptions.ComputeError)) as caught:
        read(warehouse, instance, annotation, where=where)

    shown = str(serializable_error_info_from_exc_info((caught.type, caught.value, caught.tb)))
    assert "string …" in shown
    assert "What to do: correct columns, where and partition_expr" in shown
    assert "'p" not in str(caught.value)
    assert '"p' not in str(caught.value)
    assert not re.search(r"""string ["']p\d""", shown)


def test_an_input_of_two_kinds_of_frames_is_refused(warehouse: LocalFile, instance: dg.DagsterInstance) -> None:
    """Dagster refuses such an annotation itself, but not such a type of its own."""
    either = dg.PythonObjectDagsterType((pyarrow.Table, pl.DataFrame), name="Either")

    @dg.asset(ins={"events": dg.AssetIn(EVENTS.key, dagster_type=either)})
    def downstream(events) -> None:  # type: ignore[no-untyped-def]
        raise AssertionError

    with pytest.raises(dg.Failure, match=r"^The input events: its type names several kinds of frames, pyarrow\.Table and polars\.DataFrame; use one"):
        _materialize(downstream, EVENTS, warehouse, instance, None)


@pytest.mark.filterwarnings("ignore:Class `SpecificPartitionsPartitionMapping`:dagster.BetaWarning")
@pytest.mark.parametrize(
    ("days", "why"),
    [(["2026-01-02", "2026-01-05"], "the input has several separate ranges of partitions"), ([], "the input has none of them")],
    ids=["two ranges", "none"],
)
def test_partitions_that_are_not_one_range_are_refused(days: list[str], why: str, warehouse: LocalFile, instance: dg.DagsterInstance) -> None:
    mapping = dg.SpecificPartitionsPartitionMapping(days)

    @dg.asset(ins={"events": dg.AssetIn(EVENTS.key, metadata={"partition_expr": "datetime"}, partition_mapping=mapping)}, partitions_def=DAYS)
    def downstream(events: pl.DataFrame) -> None:
        raise AssertionError

    with pytest.raises(dg.Failure, match=f"^The metadata partition_expr of the input events is for partitions of time, and {why}. What to do: "):
        _materialize(downstream, EVENTS.replace_attributes(partitions_def=DAYS), warehouse, instance, None, "2026-01-02")


@pytest.mark.parametrize("asset_key", [None, EVENTS.key], ids=["a partition of the run", "a partition of the asset"])
def test_a_partition_without_its_definition_is_refused_with_the_reason(asset_key: dg.AssetKey | None, warehouse: LocalFile) -> None:
    manager = KlaviyoFrameIOManager(duckdb=DuckDBResource(database=str(warehouse.path)))
    context = dg.build_input_context(
        name="events",
        partition_key="2026-01-02",
        asset_key=asset_key,
        definition_metadata={"partition_expr": "datetime"},
        upstream_output=dg.build_output_context(asset_key=EVENTS.key, definition_metadata=EVENTS.metadata),
    )

    with pytest.raises(dg.Failure, match=r"it is not known here which partitions the input has\. What to do: load the input in a run, or leave"):
        manager.load_input(context)


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`:dagster.BetaWarning")
def test_partitions_with_one_dimension_of_time_have_a_time_window(warehouse: LocalFile, instance: dg.DagsterInstance) -> None:
    both = dg.MultiPartitionsDefinition({"day": DAYS, "country": dg.StaticPartitionsDefinition(["de", "fr"])})
    key = {"partition_key": dg.MultiPartitionKey({"day": "2026-01-02", "country": "de"})}

    assert rows_of_a_run(warehouse, instance, None, both, key) == [f"e{i}" for i in range(24, 48)]


def test_an_input_may_come_from_the_published_copy(warehouse: LocalFile, instance: dg.DagsterInstance, tmp_path: Path) -> None:
    copy = tmp_path / "published.duckdb"
    with pytest.raises(dg.Failure, match="There is no published copy"):
        read(warehouse, instance, pl.DataFrame, published=str(copy))
    Publisher(warehouse, PublishTarget.at(copy)).publish()
    with warehouse.connection() as connection:
        connection.execute("DELETE FROM klaviyo.events")
        # Open elsewhere: an input that needed the database would wait.
        assert read(warehouse, instance, pl.LazyFrame, published=str(copy)).height == 100


@pytest.mark.parametrize("annotation", [pl.DataFrame, pl.LazyFrame])
def test_a_file_in_the_place_of_the_copy_is_named_with_what_writes_a_copy(
    annotation: type, warehouse: LocalFile, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    copy = tmp_path / "published.duckdb"
    copy.write_text("not a database, but long enough to look like one\n" * 400)

    with pytest.raises(dg.Failure) as caught:
        read(warehouse, instance, annotation, published=str(copy))
    assert caught.value.description == (
        f"{copy} is not a DuckDB database. What to do: If it is the published copy, delete it and materialize the asset published, which writes a "
        "new one; otherwise correct the path."
    )


def test_a_copy_that_a_connection_has_open_for_writing_is_not_to_be_deleted(
    warehouse: LocalFile, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    copy = tmp_path / "published.duckdb"
    Publisher(warehouse, PublishTarget.at(copy)).publish()

    with duckdb.connect(str(copy)), pytest.raises(dg.Failure, match=r"published\.duckdb is already open in this process") as caught:
        read(warehouse, instance, pl.DataFrame, published=str(copy))
    assert "delete it" not in (caught.value.description or "")
    assert read(warehouse, instance, pl.DataFrame, published=str(copy)).height == 100


def _leave_the_log_of_another_database(copy: Path) -> None:
    other = copy.with_name("other.duckdb")
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS i; CHECKPOINT; INSERT INTO t VALUES (2)")
        shutil.copy(f"{other}.wal", f"{copy}.wal")


REPLACE = "If it is the published copy, delete it and materialize the asset published, which writes a new one; otherwise correct the path."
DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "another kind": (lambda copy: copy.write_bytes(b"no database " * 2000), "is not a DuckDB database", REPLACE),
    "incomplete": (lambda copy: os.truncate(copy, 12_288), "is incomplete", REPLACE),
    "damaged": (lambda copy: copy.write_bytes(bytes(8) + copy.read_bytes()[8:]), "is damaged", REPLACE),
    "log": (_leave_the_log_of_another_database, "belongs to another database", "delete it and the log, and materialize the asset published"),
}


@pytest.mark.parametrize(("damage", "summary", "advice"), DAMAGES.values(), ids=DAMAGES)
def test_a_copy_that_is_damaged_is_to_be_written_again(
    damage: Callable[[Path], object], summary: str, advice: str, warehouse: LocalFile, tmp_path: Path
) -> None:
    copy = tmp_path / "published.duckdb"
    Publisher(warehouse, PublishTarget.at(copy)).publish()
    damage(copy)

    with pytest.raises(WarehouseError) as caught, published_copy(copy):
        pass
    assert summary in caught.value.summary
    assert advice in caught.value.advice


NEWER = "Trying to read a database file with version number 69, but we can only read versions between 64 and 68."
INTACT: dict[str, tuple[duckdb.Error, str, str]] = {
    "newer": (
        duckdb.IOException(NEWER),
        "was written by a newer version of DuckDB",
        "Upgrade duckdb here (pip install --upgrade duckdb), or publish",
    ),
    "locks": (duckdb.IOException("File locks are not supported"), "does not support file locks", "Publish to a local disk, or mount the file system"),
    "permission": (duckdb.IOException('Cannot open file "/x": Permission denied'), "no permission", "Give the user that runs the sync"),
    "encrypted": (duckdb.CatalogException("Cannot open encrypted database"), "is an encrypted", "a published copy is not encrypted"),
    "no cause": (duckdb.InvalidInputException("Nothing known."), "cannot be opened as a published copy (Nothing known.)", "Correct the path"),
}


@pytest.mark.parametrize(("error", "summary", "advice"), INTACT.values(), ids=INTACT)
def test_a_copy_that_may_be_intact_is_not_to_be_deleted(
    error: duckdb.Error, summary: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The messages are DuckDB's; other versions and file systems cannot be had here."""
    copy = tmp_path / "published.duckdb"
    copy.touch()

    def connect(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("duckdb.connect", connect)
    with pytest.raises(WarehouseError) as caught, published_copy(copy):
        pass
    assert summary in caught.value.summary
    assert advice in caught.value.advice
    assert not {"delete", "settings", "KLAVIYO_DUCKDB_PATH"} & set(re.findall(r"\w+", str(caught.value)))


def test_an_asset_downstream_of_published_reads_its_tables(warehouse: LocalFile, instance: dg.DagsterInstance, tmp_path: Path) -> None:
    published = build_klaviyo_published([], tmp_path / "published.duckdb")
    Publisher(warehouse, PublishTarget.at(tmp_path / "published.duckdb")).publish()
    seen: list[int] = []

    @dg.asset(ins={"events": dg.AssetIn(["klaviyo", "published"], metadata={"table": "events", "where": "profile_id IS NULL"})})
    def dashboard(events: pl.LazyFrame) -> None:
        seen.append(events.select(pl.len()).collect().item())

    @dg.asset(ins={"events": dg.AssetIn(["klaviyo", "published"])})
    def vague(events: pl.LazyFrame) -> None:
        raise AssertionError

    _materialize(dashboard, published.get_asset_spec(dg.AssetKey(["klaviyo", "published"])), warehouse, instance, None)
    assert seen == [50]
    with pytest.raises(dg.Failure, match="does not say which table"):
        _materialize(vague, published.get_asset_spec(dg.AssetKey(["klaviyo", "published"])), warehouse, instance, None)


def test_an_account_with_a_copy_gives_its_types_inputs_the_database_and_the_copys_inputs_the_copy(
    warehouse: LocalFile, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """In the run of a sync, an asset downstream of it needs the rows that the sync has just loaded: the copy is written later."""
    klaviyo = KlaviyoResource(api_key=dg.EnvVar("A_KEY"))
    account = build_klaviyo_definitions(klaviyo, duckdb=warehouse.path, resource_types=["events"], publish=tmp_path / "published.duckdb")
    Publisher(warehouse, PublishTarget.at(tmp_path / "published.duckdb")).publish()
    with warehouse.connection() as connection:
        connection.execute("DELETE FROM klaviyo.events WHERE id <> 'e0'")
    seen: dict[str, int] = {}

    @dg.asset(ins={"events": dg.AssetIn(["klaviyo", "events"]), "copied": dg.AssetIn(["klaviyo", "published"], metadata={"table": "events"})})
    def both(events: pl.DataFrame, copied: pl.DataFrame) -> None:
        seen.update(events=events.height, copied=copied.height)

    defs = dg.Definitions.merge(account, dg.Definitions(assets=[both], resources={"io_manager": dg.mem_io_manager}))
    defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance, asset_selection=[both.key])

    assert seen == {"events": 1, "copied": 100}


def test_a_window_is_read_in_utc(warehouse: LocalFile, instance: dg.DagsterInstance) -> None:
    frame = read(warehouse, instance, pl.DataFrame, partition="2026-01-01", partition_expr="datetime")
    assert frame["datetime"].max() - frame["datetime"].min() == timedelta(hours=23)


def test_an_asset_whose_translator_removed_the_name_of_its_table_is_named(warehouse: LocalFile, instance: dg.DagsterInstance) -> None:
    @dg.asset(ins={"events": dg.AssetIn(EVENTS.key)})
    def downstream(events: pl.DataFrame) -> None:
        raise AssertionError

    with pytest.raises(dg.Failure, match=r"^The asset klaviyo/events has no dagster/table_name in its metadata, .* What to do: keep the metadata of"):
        _materialize(downstream, dg.AssetSpec(EVENTS.key).with_io_manager_key("klaviyo_frames"), warehouse, instance, None)


def test_an_asset_that_returns_a_value_is_told_that_this_io_manager_only_reads(warehouse: LocalFile, instance: dg.DagsterInstance) -> None:
    @dg.asset(io_manager_key="klaviyo_frames")
    def totals() -> pl.DataFrame:
        return pl.DataFrame({"orders": [1]})

    manager = KlaviyoFrameIOManager(duckdb=DuckDBResource(database=str(warehouse.path)))
    with pytest.raises(dg.Failure, match=r"only reads, so it cannot store the output totals\. What to do: give it an IO manager of its own"):
        dg.materialize([totals], resources={"klaviyo_frames": manager}, instance=instance)
    with warehouse.connection() as connection:
        assert connection.execute("SELECT count(*) FROM klaviyo.events").fetchall() == [(100,)]


def test_an_input_that_comes_from_no_asset_is_refused(warehouse: LocalFile) -> None:
    """As that of an op whose input has the IO manager as its input manager."""

    @dg.op(ins={"table": dg.In(pl.DataFrame, input_manager_key="klaviyo_frames")})
    def reads(table: pl.DataFrame) -> None:
        pass

    @dg.job(resource_defs={"klaviyo_frames": KlaviyoFrameIOManager(duckdb=DuckDBResource(database=str(warehouse.path)))})
    def job() -> None:
        reads()

    with pytest.raises(dg.Failure, match="The input table comes from no asset, so it is not known which table to read"):
        job.execute_in_process()
