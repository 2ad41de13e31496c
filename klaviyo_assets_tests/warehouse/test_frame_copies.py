"""Copies for lazy frames are next to the database, end with their process, and an erasure removes them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets.cli.erase_command import erase
from klaviyo_assets.frames.lazy import lazy_frame
from klaviyo_assets.io_manager import KlaviyoFrameIOManager
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile, frame_copies
from klaviyo_assets_tests.accounts import local_file, sync

pytestmark = pytest.mark.duckdb

_HOLD = """
import pathlib, sys
from klaviyo_assets.warehouse.frame_copies import new_copy
from klaviyo_assets.warehouse.state_dir import owner_only_files
with owner_only_files():
    new_copy(pathlib.Path(sys.argv[1])).touch()
print("copied", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> LocalFile:
    warehouse = LocalFile(DuckDBResource(database=str(tmp_path / "klaviyo.duckdb")))
    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE t AS SELECT 'ann@example.com' AS email FROM range(1000)")
    return warehouse


@contextmanager
def consumer(warehouse: LocalFile) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", _HOLD, str(warehouse.state_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"copied\n"
        yield process


def copies(warehouse: LocalFile) -> list[Path]:
    return list(warehouse.state_dir.rglob("*.parquet"))


@pytest.mark.long
def test_the_copy_of_a_killed_consumer_is_deleted(warehouse: LocalFile) -> None:
    with consumer(warehouse) as process:
        assert len(copies(warehouse)) == 1
        assert [path.stat().st_mode & 0o077 for path in (copies(warehouse)[0], copies(warehouse)[0].parent)] == [0, 0]
        with warehouse.connection():  # it is in use
            pass
        assert len(copies(warehouse)) == 1
        process.kill()
        process.wait()

    with warehouse.connection():
        pass
    assert copies(warehouse) == []
    assert list((warehouse.state_dir / "copies").iterdir()) == []


@pytest.mark.long
def test_a_copy_is_deleted_when_its_consumer_ends(warehouse: LocalFile) -> None:
    work = "import sys, pathlib; from klaviyo_assets.warehouse.frame_copies import new_copy; new_copy(pathlib.Path(sys.argv[1])).touch()"
    subprocess.run([sys.executable, "-c", work, str(warehouse.state_dir)], check=True)

    assert list((warehouse.state_dir / "copies").iterdir()) == []


@pytest.mark.long
def test_an_erasure_says_which_copies_are_in_use(
    new_account: Callable[..., SandboxProcess], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse = local_file(tmp_path)
    sync("profiles", new_account(), warehouse)
    abandoned = warehouse.state_dir / "copies" / "of a killed process"
    abandoned.mkdir(parents=True)
    (abandoned / "table.parquet").write_bytes(b"ann@example.com")
    copy = frame_copies.new_copy(warehouse.state_dir)
    copy.write_bytes(b"in use")
    try:
        assert erase("01HAAAAAAAAAAAAAAAAAAAAAAA", database=str(warehouse.path)) == 0
        assert "temporary copies of tables (1)" in capsys.readouterr().out
        assert copies(warehouse) == [copy]
    finally:
        frame_copies.discard(copy)

    assert erase("01HAAAAAAAAAAAAAAAAAAAAAAA", database=str(warehouse.path)) == 0
    assert "temporary copies" not in capsys.readouterr().out
    assert copies(warehouse) == []


@pytest.fixture
def held(warehouse: LocalFile) -> Iterator[None]:
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold, str(warehouse.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield
        other.communicate(b"")


@pytest.mark.long
def test_the_io_manager_waits_for_its_patience_and_says_what_to_do(warehouse: LocalFile, held: None) -> None:
    manager = KlaviyoFrameIOManager(duckdb=DuckDBResource(database=str(warehouse.path)), duckdb_patience=0.2)
    with pytest.raises(dg.Failure) as caught:
        manager.load_input(reading_t("frames"))

    assert "is open in another program" in (caught.value.description or "")
    assert caught.value.allow_retries
    advice = caught.value.metadata["what_to_do"].value
    assert "The field duckdb_patience of the IO manager 'frames' sets how many seconds" in str(advice)
    assert "KLAVIYO_" not in f"{caught.value.description} {advice}"


def reading_t(io_manager_key: str) -> dg.InputContext:
    """The context of an asset that reads the table t."""
    upstream = dg.build_output_context(definition_metadata={"dagster/table_name": "main.t", "dagster/io_manager_key": io_manager_key})
    any_type = dg.DagsterType(lambda _, __: True, "frame", typing_type=pl.DataFrame)
    return dg.build_input_context(upstream_output=upstream, dagster_type=any_type, asset_key=dg.AssetKey("t"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("setting_names", "expected"),
    [
        ({}, "Set the field database of the DuckDB resource of the IO manager 'frames' to another file."),
        ({"KLAVIYO_DUCKDB_PATH": "the field database of resource 'eu_duckdb'"}, "Set the field database of resource 'eu_duckdb' to another file."),
        ({"KLAVIYO_DUCKDB_PATH": "KLAVIYO_DUCKDB_PATH"}, "Set KLAVIYO_DUCKDB_PATH to another file."),
    ],
    ids=["own", "of a factory", "of the shipped code location"],
)
def test_the_io_manager_names_the_users_own_settings(setting_names: dict[str, str], expected: str, tmp_path: Path) -> None:
    other = tmp_path / "other.duckdb"
    other.write_text("not a database, but long enough to be read " * 10)
    manager = KlaviyoFrameIOManager(duckdb=DuckDBResource(database=str(other)), setting_names=setting_names)

    with pytest.raises(dg.Failure) as caught:
        manager.load_input(reading_t("frames"))

    assert caught.value.metadata["what_to_do"].value == expected


@pytest.mark.long
def test_an_erasure_waits_as_long_as_the_setting_says(
    warehouse: LocalFile, held: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATIENCE", "0.2")
    assert erase("01HAAAAAAAAAAAAAAAAAAAAAAA", database=str(warehouse.path)) == 1
    assert "is open in another program" in capsys.readouterr().err

    monkeypatch.setenv("KLAVIYO_DUCKDB_PATIENCE", "soon")
    assert erase("01HAAAAAAAAAAAAAAAAAAAAAAA", database=str(warehouse.path)) == 1
    assert "KLAVIYO_DUCKDB_PATIENCE" in capsys.readouterr().err


def test_a_copy_that_fails_is_not_left(warehouse: LocalFile) -> None:
    frame = lazy_frame(warehouse.connection, "SELECT error(email) AS x FROM t", warehouse.state_dir)
    with pytest.raises(duckdb.Error, match=r"ann@example\.com"):
        frame.collect()
    assert list((warehouse.state_dir / "copies").iterdir()) == []


def test_only_what_a_query_needs_is_copied_and_deleted_at_its_end(warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[pl.DataFrame] = []
    discard = frame_copies.discard

    def note(copy: Path) -> None:
        copied.append(pl.read_parquet(copy))
        discard(copy)

    monkeypatch.setattr(frame_copies, "discard", note)
    with warehouse.connection() as connection:
        connection.execute("CREATE TABLE numbers AS SELECT i, i % 10 AS digit, '{\"a\": 1.0}'::JSON AS j FROM range(1000) r(i)")
    frame = lazy_frame(warehouse.connection, "SELECT * FROM numbers", warehouse.state_dir)

    assert frame.collect_schema() == {"i": pl.Int64, "digit": pl.Int64, "j": pl.String}
    assert frame.filter(pl.col("digit") == 3).select("i").collect().height == 100
    assert copied.pop().height == 100
    assert frame.select("j").head(5).collect()["j"].to_list() == ['{"a": 1.0}'] * 5
    assert copied.pop().shape == (5, 1)
    assert frame.filter(pl.col("i") < 0).collect().shape == (0, 3)
    assert frame.join(frame, on="i").select(pl.len()).collect().item() == 1000
    assert copies(warehouse) == []


def test_a_lazy_frame_keeps_no_sync_waiting(warehouse: LocalFile) -> None:
    frame = lazy_frame(warehouse.connection, "SELECT * FROM t", warehouse.state_dir)
    with warehouse.connection() as connection:
        connection.execute("INSERT INTO t VALUES ('bob@example.com')")
    assert frame.collect().height == 1001, "it reads when it is evaluated"


def test_what_cannot_be_locked_counts_as_a_copy_only_if_it_has_one(warehouse: LocalFile) -> None:
    strange = warehouse.state_dir / "copies" / "strange"
    (strange / "lock").mkdir(parents=True)
    (warehouse.state_dir / "copies" / "notes.txt").write_text("mine")
    assert warehouse.copies_in_use() == 0

    (strange / "table.parquet").write_text("rows")
    assert warehouse.copies_in_use() == 1
    assert (strange / "table.parquet").read_text() == "rows"
    assert (warehouse.state_dir / "copies" / "notes.txt").read_text() == "mine"
