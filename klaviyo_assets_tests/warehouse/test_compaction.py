"""A file that is written anew holds what it held, and nothing of what is gone."""

import shutil
import stat
from collections import namedtuple
from pathlib import Path

import duckdb
import pytest

from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.base import WarehouseError
from klaviyo_assets_tests.accounts import local_file

pytestmark = pytest.mark.duckdb

SECRET = "ann@example.com"

SETUP = f"""
CREATE SCHEMA shop; CREATE TABLE shop.people (id INTEGER, email VARCHAR USING COMPRESSION Uncompressed, j JSON USING COMPRESSION zstd);
COMMENT ON TABLE shop.people IS 'who'; COMMENT ON COLUMN shop.people.email IS 'where';
CREATE VIEW shop.mails AS SELECT email FROM shop.people; CREATE SEQUENCE numbers; CREATE MACRO twice(x) AS 2 * x;
CREATE TABLE mine (i INTEGER PRIMARY KEY); INSERT INTO mine VALUES (7);
INSERT INTO shop.people SELECT i - 1, if(i = 0, '{SECRET}', 'someone else'), '{{"a": 1.0}}' FROM range(200_000) t(i);
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> LocalFile:
    warehouse = local_file(tmp_path)
    with warehouse.connection() as connection:
        connection.execute(SETUP)
    with warehouse.connection() as connection:
        connection.execute("DELETE FROM shop.people WHERE id = -1")
    return warehouse


def contents(path: Path) -> list[list[tuple[object, ...]]]:
    questions = (
        "SELECT count(*), sum(id), min(email), min(j::VARCHAR) FROM shop.people",
        "SELECT count(*), min(email) FROM shop.mails",
        "SELECT twice(i), nextval('numbers') FROM mine",
        "SELECT comment FROM duckdb_tables() WHERE comment IS NOT NULL",
        "SELECT column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL",
        "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = current_database()",
        "SELECT DISTINCT compression FROM pragma_storage_info('shop.people') WHERE segment_type = 'VARCHAR' ORDER BY 1",
    )
    with duckdb.connect(str(path)) as connection:
        return [connection.execute(question).fetchall() for question in questions]


def test_what_is_gone_is_gone_and_the_rest_is_kept(warehouse: LocalFile, tmp_path: Path) -> None:
    copy = tmp_path / "before.duckdb"
    shutil.copy(warehouse.path, copy)
    warehouse.path.chmod(0o640)
    assert SECRET.encode() in warehouse.path.read_bytes()

    warehouse.ask_for_compaction()
    warehouse.compact_if_asked()

    assert SECRET.encode() not in warehouse.path.read_bytes()
    assert stat.S_IMODE(warehouse.path.stat().st_mode) == 0o640
    assert contents(warehouse.path) == contents(copy)
    assert {path.name for path in tmp_path.iterdir()} == {"before.duckdb", "klaviyo.duckdb", "klaviyo.duckdb.lock", "klaviyo.duckdb.sync"}
    assert not (warehouse.state_dir / "compaction-due").exists()


def test_nothing_happens_unless_it_was_asked_for(warehouse: LocalFile) -> None:
    before = warehouse.path.stat()

    warehouse.compact_if_asked()

    assert warehouse.path.stat() == before


@pytest.mark.parametrize("trouble", ["no room", "a copy that lacks a row", "a copy that fails"])
def test_where_it_cannot_be_done_the_file_stays_and_it_is_tried_again(trouble: str, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    before = warehouse.path.read_bytes()
    with monkeypatch.context() as patch:
        match trouble:
            case "no room":
                usage = namedtuple("usage", "free")
                patch.setattr("klaviyo_assets.warehouse.compaction.shutil.disk_usage", lambda _: usage(1000))
            case "a copy that lacks a row":
                compare = "klaviyo_assets.warehouse.compaction._compare"
                from klaviyo_assets.warehouse import compaction

                original = compaction._compare
                patch.setattr(compare, lambda connection, path: (connection.execute("DELETE FROM new.main.mine"), original(connection, path)))
            case _:
                patch.setattr("klaviyo_assets.warehouse.compaction._NEW", "no database")
        warehouse.ask_for_compaction()
        with pytest.raises(WarehouseError):
            warehouse.compact_if_asked()

    assert warehouse.path.read_bytes() == before
    assert not list(warehouse.path.parent.glob("*.compacting*"))
    assert (warehouse.state_dir / "compaction-due").exists()
    warehouse.compact_if_asked()
    assert SECRET.encode() not in warehouse.path.read_bytes()
